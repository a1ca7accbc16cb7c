"""Votes from the classifications that Zooniverse (Panoptes) exports as CSV.

Used of a row are `classification_id`, `user_name`, `user_id`, `workflow_id`, `workflow_version`, `created_at`, `metadata` (JSON
with the times of start and end), `annotations` (JSON, a list with a task and a value for each answer) and `subject_data` (JSON,
with the columns of the manifest by the subject's number). Names of volunteers do not become names of graders.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from pydantic import ValidationError

from infra.provenance import sha256_bytes
from infra.store.files import one_line
from scanner.review.votes.grades import GRADES, REASONS, Grade, Reason
from scanner.review.votes.vote import Vote
from scanner.review.zooniverse.manifest import CHECK, CHECKED, OBJECT_ID, ROLE, SUBJECT, ZooniverseError, check_of

NEEDED = ("classification_id", "user_name", "workflow_id", "created_at", "metadata", "annotations", "subject_data")
MOST_COMMENT = 500
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True)
class Tasks:
    """Tasks of a workflow, and what their answers mean."""

    grade: str = "T0"
    reason: str | None = None
    """Task whose answer is a reason of `REASONS`; None if there is none."""
    comment: str | None = None
    """Task whose answer is a text."""
    answers: Mapping[str, Grade] = field(default_factory=dict)
    """Grade by answer; an answer that is not named must begin with the letter of its grade, as in `A: sure lens`."""
    workflow: str | None = None
    """Id of the workflow; None for all."""


@dataclass(frozen=True)
class Imported:
    """Votes of an export, and the numbers of the rows that are none."""

    votes: list[Vote]
    n_other: int
    """Number of classifications of another workflow, or of subjects that no manifest of lensscan has."""
    n_unanswered: int
    """Number of classifications without an answer to the task of the grade."""


class _Skipped(Enum):
    OTHER = "other"
    UNANSWERED = "unanswered"


class _RowError(ValueError):
    """A row has no meaning; the text says why."""


def votes_from_export(name: str, data: bytes, tasks: Tasks) -> Imported:
    """Return the votes of an export of classifications; the same classification always gives the same act.

    Args:
        name: Name of the file, for messages.
        data: Its bytes.
        tasks: What the answers mean.

    Raises:
        ZooniverseError: it is no such export, an answer has no meaning, or a row of the manifest was changed; the message names
            the line.
    """
    found: list[Vote | _Skipped] = []
    for line, row in _rows(name, data):
        try:
            found.append(_vote(row, tasks))
        except ValidationError as error:
            first = error.errors()[0]
            raise ZooniverseError(f"{name}, line {line}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except _RowError as error:
            raise ZooniverseError(f"{name}, line {line}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            cause = f"{type(error).__name__}: {one_line(error)[:200]}"
            raise ZooniverseError(f"{name}, line {line}: is no classification: {cause}") from error
    votes = [one for one in found if isinstance(one, Vote)]
    return Imported(votes, found.count(_Skipped.OTHER), found.count(_Skipped.UNANSWERED))


def _rows(name: str, data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the first line and the cells of each row."""
    try:
        line = 1
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        if missing := [column for column in NEEDED if column not in header]:
            raise ZooniverseError(f"{name}: is no export of classifications: it lacks the columns {', '.join(missing)}")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) not in {0, len(header)}:
                raise ZooniverseError(f"{name}, line {line}: must have {len(header)} cells, got {len(cells)}")
            if cells:
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise ZooniverseError(f"{name}: must be a CSV file in UTF-8, got other bytes at {error.start}") from error
    except csv.Error as error:
        raise ZooniverseError(f"{name}, line {line}: is no row of CSV: {error}") from error


def _vote(row: Mapping[str, str], tasks: Tasks) -> Vote | _Skipped:
    subject = _subject(json.loads(row["subject_data"]))
    if subject is None or (tasks.workflow is not None and row["workflow_id"] != tasks.workflow):
        return _Skipped.OTHER
    answers = dict(_answers(json.loads(row["annotations"])))
    answer = answers.get(tasks.grade)
    if answer is None:
        return _Skipped.UNANSWERED
    grade = _grade(answer, tasks)
    started, finished = _times(row)
    number = f"zooniverse {int(row['classification_id'])}"
    return Vote.model_validate(
        {
            "act_id": sha256_bytes(number.encode())[:32],
            "act": "grade",
            "grader": _grader(row),
            "subject": subject[SUBJECT],
            "object_id": subject[OBJECT_ID] or None,
            "role": subject[ROLE],
            "grade": grade,
            "reason": _reason(answers.get(tasks.reason)) if grade == "X" and tasks.reason else None,
            "comment": str(answers.get(tasks.comment) or "")[:MOST_COMMENT] if tasks.comment else "",
            "decision_s": max(0.0, (finished - started).total_seconds()),
            "page_version": f"zooniverse {row['workflow_id']} {row.get('workflow_version', '')}"[:64],
            "graded_at": finished,
        }
    )


def _subject(data: Mapping[str, Mapping[str, object]]) -> dict[str, str] | None:
    """Return the columns of the manifest; None for a subject that is in no manifest of lensscan.

    Raises:
        _RowError: a column was changed, or the classification is of several subjects.
    """
    ours = [columns for columns in data.values() if {SUBJECT, CHECK} & columns.keys()]
    if not ours:
        return None
    if len(data) > 1:
        raise _RowError(f"a classification must be of one subject, got {len(data)}")
    columns = {name: str(ours[0].get(name, "")) for name in (*CHECKED, CHECK)}
    if columns[CHECK] != check_of(columns):
        named = ", ".join(f"{name} {columns[name]!r}" for name in CHECKED)
        raise _RowError(f"the subject was changed after the export: {named} do not fit {CHECK} {columns[CHECK]!r}")
    return columns


def _answers(annotations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    """Yield each task with its answer; the value of a combined task is a list of tasks."""
    for one in annotations:
        value = one.get("value")
        if isinstance(value, list) and value and all(isinstance(part, dict) and "task" in part for part in value):
            yield from _answers(value)
        else:
            yield one["task"], value


def _grade(answer: object, tasks: Tasks) -> Grade:
    """Return the grade that an answer means."""
    text = str(answer).strip()
    for named, grade in tasks.answers.items():
        if named.casefold() == text.casefold():
            return grade
    for grade in GRADES:
        if text[:1] == grade and not text[1:2].isalnum():
            return grade
    raise _RowError(
        f"the answer {text[:80]!r} to {tasks.grade} has no meaning; name another --task, or the grade of the answer, such as "
        "--answer 'Lens=B'"
    )


def _reason(answer: object) -> Reason | None:
    if answer is None:
        return None
    for reason in REASONS:
        if str(answer).strip().casefold() == reason:
            return reason
    raise _RowError(f"the reason must be one of {', '.join(REASONS)}, got {str(answer)[:80]!r}")


def _grader(row: Mapping[str, str]) -> str:
    """Return a name that tells volunteers apart without naming them."""
    if _NUMBER.fullmatch(row.get("user_id", "")):
        return f"zooniverse-{row['user_id']}"
    return f"zooniverse-anonymous-{sha256_bytes(row['user_name'].encode())[:16]}"


def _times(row: Mapping[str, str]) -> tuple[datetime, datetime]:
    """Return when a volunteer began and ended, by the volunteer's clock if the metadata say it."""
    metadata = json.loads(row["metadata"])
    finished = _time(metadata.get("finished_at") or row["created_at"])
    return _time(metadata["started_at"]) if metadata.get("started_at") else finished, finished


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.removesuffix(" UTC"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
