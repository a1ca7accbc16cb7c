"""Votes as CSV, one column per field of `Vote`: what a page downloads, and what a person may open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from infra.spreadsheet_texts import protected, restored
from scanner.review.votes.errors import VoteError
from scanner.review.votes.vote import Vote, subject_of

COLUMNS = tuple(Vote.model_fields)
_REQUIRED = frozenset(name for name, field in Vote.model_fields.items() if field.is_required())
_FREE_TEXTS = frozenset({"comment", "page_version"})
"""Columns whose texts may begin with any character."""


def as_csv(votes: Iterable[Vote]) -> str:
    """Return a header and a row for each vote, in their order, with line ends of CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(name, value) for name, value in vote.model_dump().items()] for vote in votes)
    return text.getvalue()


def from_csv(name: str, data: bytes) -> list[Vote]:
    """Return the votes of a CSV file, in its order; columns may come in any order, and empty cells hold defaults.

    Args:
        name: Name of the file, for messages.
        data: Its bytes, in UTF-8 with or without a byte order mark.

    Raises:
        VoteError: it is no such file, or a row is no vote; the message names the line on which the row begins.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise VoteError(f"{name}: must be a CSV file in UTF-8, got other bytes at {error.start}") from error
    rows = _rows(name, text)
    header = next(rows, (1, []))[1]
    if len(set(header)) != len(header) or not _REQUIRED <= set(header) <= set(COLUMNS):
        raise VoteError(f"{name}: the first line must name the columns {', '.join(COLUMNS)}, got {', '.join(header)[:200]!r}")
    return [_vote(f"{name}, line {line}", header, cells) for line, cells in rows if cells]


def _rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line and the cells of each row; a quoted cell may go over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise VoteError(f"{name}, line {line}: is no row of CSV: {error}") from error


def _vote(place: str, header: list[str], cells: list[str]) -> Vote:
    if len(cells) != len(header):
        raise VoteError(f"{place}: must have {len(header)} cells, got {len(cells)}")
    given = {column: restored(cell) if column in _FREE_TEXTS else cell for column, cell in zip(header, cells, strict=True)}
    try:
        vote = Vote.model_validate({column: cell for column, cell in given.items() if cell != ""})
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"]))
        got = f", got {str(first['input'])[:80]!r}" if column else ""
        raise VoteError(f"{place}: {column + ': ' * bool(column)}{first['msg']}{got}") from error
    # Spreadsheets round numbers of more than 15 digits. The subject is a text, which they keep.
    if vote.object_id is not None and vote.subject.startswith("object:") and vote.subject != subject_of(vote.object_id):
        raise VoteError(f"{place}: object_id must be that of the subject {vote.subject}, got {vote.object_id}")
    return vote


def _cell(column: str, value: Any) -> str:
    """Return a value as text that pydantic reads as the same value."""
    if column in _FREE_TEXTS:
        return protected(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value.isoformat() if column == "graded_at" else str(value)
