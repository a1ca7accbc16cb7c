"""Test the one line about a command line that does not fit."""

import pytest
from cyclopts import CycloptsError

import flows.cli.main  # noqa: F401 - it registers the commands
from flows.cli.app import app
from flows.cli.mistakes import one_line_about


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["query"],
            (
                "lensscan query needs CATALOGUE: Folder or `s3://` prefix given to `scan --out`; "
                "for example `lensscan query catalogue/ --min-p-lens 0.9 --limit 10`; "
                "`lensscan query --help` shows all options"
            ),
        ),
        (
            ["scan", "tiles", "--region", "1", "2"],
            (
                "--region needs 3 values: RA, Dec and radius of a circle, in degrees; a tile with a source in the circle is "
                "scanned whole; `lensscan scan --help` shows all options"
            ),
        ),
        (
            ["demo", "--out"],
            (
                "--out needs a value: Folder for tiles and catalogue; a second run continues where the first stopped; "
                "`lensscan demo --help` shows all options"
            ),
        ),
        (["demo", "extra"], "there is no place for extra; `lensscan demo --help` shows all options"),
        (
            ["simulate", "--out", "x", "--n", "0"],
            'Invalid value "0" for --n. Must be >= 1; `lensscan simulate --help` shows all options',
        ),
    ],
    ids=str,
)
def test_a_mistake_names_argument_meaning_and_help(arguments, line):
    with pytest.raises(CycloptsError) as caught:
        app(arguments)
    assert one_line_about(caught.value) == line
