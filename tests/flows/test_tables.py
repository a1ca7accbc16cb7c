"""Tables are tables at any width: no id or number is broken, and what has no room is named."""

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
    """Return a function that prints a table in a terminal of a width, and returns its lines and the names left out."""

    def run(columns, rows, width):
        monkeypatch.setenv("COLUMNS", str(width)) if width else monkeypatch.delenv("COLUMNS", raising=False)
        print_table("Title", columns, rows)
        *lines, last = capsys.readouterr().out.splitlines()
        absent = re.fullmatch(r"No room for (.*): --json shows all, and so does a wider terminal\.", last)
        return (lines, absent[1].split(", ")) if absent else ([*lines, last], [])

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


@pytest.mark.parametrize("width", [40, 80, 120, 200, 0])
@pytest.mark.parametrize("n_columns", [2, 5, 7, 11])
def test_all_columns_appear_or_are_named(printed, width, n_columns):
    columns = list(ROW)[:n_columns]
    lines, absent = printed(columns, [ROW], width)
    names, values = fields(lines)
    assert names[0] == "candidate_id"
    assert names + absent == columns
    assert absent == [] or width in {40, 80, 120}
    assert max(map(len, lines)) <= (width or 10**4)
    expected = [SHOWN.get(column, ROW[column]) for column in names]
    expected[0] = expected[0] if expected[0] in values[0] else "J160445.68-200134.0"
    assert [value.replace(" ", "") for value in values] == [value.replace(" ", "") for value in expected]
    # The name is never broken.
    assert any("J160445.68-200134.0" in line for line in lines)


@pytest.mark.parametrize(("width", "absent"), [(60, ["p_compound"]), (80, []), (200, []), (0, [])])
def test_candidates_fit_a_terminal_of_80_columns(printed, width, absent):
    lines, left_out = printed(["candidate_id", "ra", "dec", "p_lens", "subclass", "p_compound"], [ROW, ROW], width)
    assert left_out[-1:] == absent
    assert sum("J160445.68-200134.0 " in line for line in lines) == 2
    assert sum("EUCL J160445.68-200134.0 " in line for line in lines) == (2 if width in {200, 0} else 0)


def test_a_table_without_rows_shows_its_columns(printed):
    lines, _ = printed(["a", "b"], [], 40)
    assert fields(lines) == [["a", "b"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (0.01, "0.0100"), (0.00999, "0.00999"), (-2e-9, "-2e-09"), (123456.789, "123456.7890")),
        *((1.5e7, "1.5e+07"), (float("nan"), "nan"), (True, "True"), ([1, 2], "[1, 2]"), (b"abc", "3 bytes"), (7, "7")),
        *(("\x1b[2J\x07 a\nb\u202e", r"\x1b[2J\x07 a b\u202e"), ("x" * 10**6, "x" * 400 + "...")),
    ],
)
def test_values_are_short(value, text):
    assert cell(value) == text


def test_certain_candidates_of_the_demo_fit_80_letters(printed):
    row = {"candidate_id": "EUCL J160445.68-200134.0", "p_lens": 0.99998, "p_compound": 0.9955}
    row |= {"subclass": "compound_arc", "truth": "compound_arc"}
    lines, _ = printed(list(row), [row], 80)
    assert any("EUCL J160445.68-200134.0 │ >0.999 │" in line for line in lines)
