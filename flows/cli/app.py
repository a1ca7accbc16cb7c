"""The command line application, and the argument types that its commands share."""

from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators

from flows.cli.arguments import fraction_or_cut, local_place, whole_number
from scanner.vocabulary.choices import MOST_MAPS_PER_UNIT, CutName

app = App(
    name="lensscan",
    help="Find strong gravitational lenses in survey tiles, compound lenses first.",
    version=lambda: version("lensscan"),
    help_format="markdown",
    # `main` prints errors, in one line each.
    exit_on_error=False,
    print_error=False,
    help_epilogue="With any command, `--verbose` (`-v`) shows logs, times and the causes of errors; `--log-json` as JSON.",
    # Ctrl-C is handled in interrupt.py.
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(help="Install completion for your shell.")

NotNegative = Annotated[int, Parameter(converter=whole_number, validator=validators.Number(gte=0))]
Positive = Annotated[int, Parameter(converter=whole_number, validator=validators.Number(gte=1))]
AtLeastTwo = Annotated[int, Parameter(converter=whole_number, validator=validators.Number(gte=2))]
MapsPerUnit = Annotated[int, Parameter(converter=whole_number, validator=validators.Number(gte=0, lte=MOST_MAPS_PER_UNIT))]
AboveZero = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Fraction = Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))]
FractionOrCut = Annotated[float | CutName, Parameter(converter=fraction_or_cut)]
LocalPath = Annotated[Path, Parameter(converter=local_place)]
"""File or folder that cannot be on S3."""
Night = date | Literal["undated"]
"""Night of a scan; `undated` stands for scans without a night."""
AsFlow = Annotated[bool, Parameter(negative=())]


@app.command(name="help")
def show_help(*command: str) -> None:
    """Show the help of a command, as `--help` does.

    For example: `lensscan help scan`

    Args:
        command: Name of the command, such as `scan` or `models list`; without a name, all commands are listed.
    """
    app([*command, "--help"])
