"""Tables show every name and every value at any width."""

import re

import pytest

from flows.tables import cell
from flows.terminal import print_table

ROW = {
    "candidate_id": "EUCL J160445.68-200134.0",
    "ra": 241.19033,
    "dec": -20.02611,
    "p_lens": 0.99999,
    "p_compound": 0.000421337,
    "subclass": "double_ring",
    "disagreement": 1.5e-7,
    "attribution_peak_arcsec": None,
    "object_id": -1684100312999,
    "detail": "missing_band: H is not there, and a long reason follows for which no line is long enough",
    "cutout_rgb": list(range(6400)),
    "is_best": True,
}
SHOWN = {
    "ra": "241.1903",
    "dec": "-20.0261",
    "p_lens": ">0.999",
    "p_compound": "0.000421",
    "disagreement": "1.5e-07",
    "attribution_peak_arcsec": "",
    "object_id": "-1684100312999",
    "cutout_rgb": "6400 values",
    "is_best": "True",
}


@pytest.fixture
def printed(monkeypatch, capsys):
    """Return a function that prints a table in a terminal of a width, and returns whether it is a table, and its lines."""

    def run(columns, rows, width):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table("Title", columns, rows)
        out = capsys.readouterr().out
        assert out.endswith("\n")
        return "\u2501" in out, out.splitlines()

    return run


def fields(lines):
    """Return the texts of all cells of a printed table, folded lines joined, by row."""
    found, row = [], None
    for line in lines:
        if line[:1] in "┏┡├└":
            row = None
        elif line[:1] in "│┃":
            parts = [part.strip() for part in re.split("[│┃]", line)[1:-1]]
            row = [a + b for a, b in zip(row, parts, strict=True)] if row else parts
            found = [*found[:-1], row] if row is not parts else [*found, row]
    return found


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("n_columns", [2, 5, 7, 12])
def test_every_name_and_value_appears(printed, width, n_columns):
    columns = list(ROW)[:n_columns]
    expected = {column: SHOWN.get(column, ROW[column]) for column in columns}
    is_table, lines = printed(columns, [ROW], width)
    assert max(map(len, lines)) <= width
    if is_table:
        names, values = fields(lines)
        assert names == columns
        assert [value.replace(" ", "") for value in values] == [expected[c].replace(" ", "") for c in columns]
    else:
        text = "\n".join(lines)
        for column in columns:
            (value,) = re.findall(rf"^{column}\b((?: .*)?(?:\n +\S.*)*)", text, flags=re.MULTILINE)
            assert "".join(value.split()) == expected[column].replace(" ", "")


@pytest.mark.parametrize(("width", "is_table"), [(40, False), (60, False), (80, True), (120, True)])
def test_candidates_fit_a_terminal_of_80_columns(printed, width, is_table):
    columns = ["candidate_id", "ra", "dec", "p_lens", "p_compound", "subclass"]
    found, lines = printed(columns, [ROW, ROW], width)
    assert found == is_table
    assert sum("double_ring" in line for line in lines) == 2


def test_records_are_numbered(printed):
    _, lines = printed(list(ROW), [ROW, {**ROW, "p_lens": 0.5}], 40)
    assert [line for line in lines if line.startswith("--")] == ["-- 1 of 2 --", "-- 2 of 2 --"]
    assert [line.split()[-1] for line in lines if line.startswith("p_lens")] == [">0.999", "0.5000"]


def test_a_table_without_rows_shows_its_columns(printed):
    is_table, lines = printed(["a", "b"], [], 40)
    assert is_table
    assert fields(lines) == [["a", "b"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (0.01, "0.0100"), (0.00999, "0.00999"), (-2e-9, "-2e-09"), (123456.789, "123456.7890")),
        *((1.5e7, "1.5e+07"), (float("nan"), "nan"), (True, "True"), ([1, 2], "[1, 2]"), (b"abc", "3 bytes"), (7, "7")),
    ],
)
def test_values_are_short(value, text):
    assert cell(value) == text


def test_certain_candidates_of_the_demo_fit_80_letters(printed):
    row = {"candidate_id": "EUCL J160445.68-200134.0", "p_lens": 0.99998, "p_compound": 0.9955}
    row |= {"subclass": "compound_arc", "truth": "compound_arc"}
    _, lines = printed(list(row), [row], 80)
    assert any("EUCL J160445.68-200134.0 │ >0.999 │" in line for line in lines)
