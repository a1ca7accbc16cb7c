"""Completeness in words, tables and JSON: the numbers are those of the cells."""

import json
from dataclasses import replace

import pytest

from flows.commands.completeness_text import completeness_json, completeness_lines, completeness_tables, range_text
from scanner.completeness import EDGES
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.injected_parts import injected_into


@pytest.fixture(scope="module")
def injected(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("text"))
    finished(root, {"a": {1: 0.9}})
    return injected_into(root, 90)


def test_tables_fit_a_terminal(injected):
    tables = completeness_tables(injected)
    assert [title for title, _, _ in tables] == [
        "Completeness in %, by Einstein radius",
        "Completeness in %, by S/N of the arcs",
    ]
    for (_, columns, rows), name in zip(tables, EDGES, strict=True):
        assert columns[1:] == ["single", "compound_arc", "double_ring"]
        cells = {(range_text(cell.bounds[name]), cell.kind): cell for cell in injected.sample().cells({name: EDGES[name]})}
        for row in rows:
            for kind in columns[1:]:
                cell = cells[row[columns[0]], kind]
                told = row[kind].split(" of ")
                assert told[-1] == (f"{cell.n}" if cell.n else "")
                if cell.n:
                    assert told[0].split(" ")[0] == f"{100 * cell.completeness.value:.0f}"
        assert sum(len(max(row[column] for row in rows)) for column in columns) + 3 * len(columns) < 80


def test_lines_say_what_was_measured(injected):
    lines = completeness_lines(injected, is_new=True)
    assert lines["injected"] == "90 of 90 lenses, into galaxies of 1 tile or shard of 1"
    assert lines["recovered"] == "45 with p_lens of at least 0.5"
    assert lines["of single"] == "50 % (33\u201367 %)"
    assert (lines["night"], lines["hosts"], lines["PSF"]) == (NIGHT, "by hand", "none")
    assert lines["realism"].startswith("cannot be measured: 0 real candidates")
    assert completeness_lines(injected, is_new=False)["injected"].endswith(" (nothing to do)")


def test_json_has_all_cells(injected):
    told = json.loads(json.dumps(completeness_json(injected, is_new=True), allow_nan=False))
    assert (told["n_injected"], told["n_recovered"], told["is_new"], told["threshold"]) == (90, 45, True, 0.5)
    assert sum(cell["n"] for cell in told["cells"]) == 90
    assert sum(cell["n_recovered"] for cell in told["cells"]) == 45
    assert {"kind", *EDGES, "n", "value", "low", "high", "n_recovered"} == told["cells"][0].keys()
    assert told["kinds"]["single"]["n"] == 30


@pytest.mark.parametrize(
    ("bounds", "text"), [((0, 0.5), "below 0.5"), ((0.5, 0.75), "0.5\u20130.75"), ((80, float("inf")), "from 80")]
)
def test_ranges_read_well(bounds, text):
    assert range_text(bounds) == text


def test_lines_say_which_share_was_left_out(injected):
    """Files of earlier versions do not know it."""
    assert completeness_lines(injected, is_new=True)["left out"] == "not counted"
    facts = injected.facts.model_copy(update={"unlike_share": 0.146})
    told = completeness_lines(replace(injected, facts=facts), is_new=True)["left out"]
    assert told == "15 % of the lenses drawn, because none of these galaxies looks like theirs"
