"""CSV keeps every vote exactly, executes nothing, and names the line of a wrong row."""

import csv
import io
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.review.votes.errors import VoteError
from scanner.review.votes.vote import Vote
from scanner.review.votes.vote_csv import as_csv, from_csv
from tests.scanner.review.votes.made_votes import HOSTILE, any_vote, undo_of, vote_of

HEADER = "act_id,act,grader,subject,grade,graded_at"
ROW = f"{'0' * 32},grade,ann,object:1,A,2026-11-24T03:00:00Z"


def encoded(votes):
    return as_csv(votes).encode()


@given(st.lists(any_vote(), max_size=4))
@example([*(vote_of(n, comment=text, page_version=text[:64]) for n, text in enumerate(HOSTILE)), undo_of(99, 1)])
def test_cells_hold_the_fields_and_no_formulas(votes):
    data = as_csv(votes).encode()
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    assert tuple(header) == tuple(Vote.model_fields)
    for vote, cells in zip(votes, rows, strict=True):
        for (name, value), cell in zip(vote.model_dump().items(), cells, strict=True):
            if name in {"comment", "page_version"}:
                assert cell in {value, f"'{value}"}
                assert cell.lstrip(" \ufeff")[:1] not in {*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"}
            elif name == "graded_at":
                assert datetime.fromisoformat(cell) == value
            else:
                text = "" if value is None else str(value)
                assert cell == (text.lower() if isinstance(value, bool) else text)
    # With and without a byte order mark, which spreadsheets want and write.
    assert from_csv("x.csv", data) == from_csv("x.csv", b"\xef\xbb\xbf" + data) == votes


def test_columns_come_in_any_order_and_some_are_left_out():
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    names = sorted(cells, reverse=True)
    text = f"{','.join([*names, 'is_compound'])}\n\n{','.join([*(cells[name] for name in names), 'TRUE'])}\n"
    assert from_csv("x.csv", text.encode()) == [Vote(**cells, is_compound=True)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv: the first line must name the columns act_id, act, .*, got ''"),
        ("object_id,ra,dec\n", "got 'object_id, ra, dec'"),
        (f"{HEADER},grade\n", "must name the columns"),
        (f"{HEADER},p_lens\n", "must name the columns"),
        (f"{HEADER}\n{ROW},\n", "x.csv, line 2: must have 6 cells, got 7"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(',A,', ',D,')}\n", "x.csv, line 3: grade: Input should be .*, got 'D'"),
        (f"{HEADER}\n{ROW.replace(',A,', ',,')}\n", "x.csv, line 2: Value error, a grade must be A, B, C or X"),
        (f"{HEADER}\n{ROW.replace('0' * 32, '0')}\n", "line 2: act_id: .*, got '0'"),
        (f"{HEADER}\n{ROW.replace('00Z', '00')}\n", "line 2: .*time zone"),
        (f'{HEADER}\n"\n', "line 2: is no row of CSV"),
        (f'{HEADER},comment\n{ROW},"a\nb\nc"\n{ROW.replace("ann", "=ann")},\n', "line 5: grader: "),
        (
            f"{HEADER},object_id\n{ROW.replace('object:1', 'object:1234567890123456789')},1234567890123450000\n",
            "line 2: object_id",
        ),
        (f"{HEADER},decision_s\n{ROW},inf\n", "line 2: decision_s: "),
    ],
)
def test_the_line_of_a_wrong_row_is_named(text, message):
    with pytest.raises(VoteError, match=message):
        from_csv("x.csv", text.encode())


def test_other_encodings_are_refused():
    with pytest.raises(VoteError, match=r"x.csv: must be a CSV file in UTF-8, got other bytes at 0"):
        from_csv("x.csv", as_csv([]).encode("utf-16"))
