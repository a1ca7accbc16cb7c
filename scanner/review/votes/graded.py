"""The grades of a catalogue's objects as a table, and as columns beside those of candidates."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scanner.catalogue.columns import OBJECT_ID
from scanner.catalogue.query import Views
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.em import consensus
from scanner.review.votes.grade_arrays import GradeArrays, first_views, grade_arrays
from scanner.review.votes.graded_columns import GRADED_COLUMNS
from scanner.review.votes.grades import GRADES, REASONS, Grade
from scanner.review.votes.log import VoteLog
from scanner.review.votes.priors import UNKNOWN_PRIOR, priors
from scanner.review.votes.vote import Vote, subject_of

SCHEMA = pa.schema([column.field() for column in (OBJECT_ID, *GRADED_COLUMNS)])
_OBJECT, _MOST_CHARACTERS = "object:", 20


def graded_objects(root_uri: str) -> pa.Table:
    """Return a row for each graded object of a catalogue, by object_id; without votes, one listing of the store tells so.

    Raises:
        VoteError: a vote is damaged, or votes contradict each other.
        LensscanError: a file of the catalogue is damaged, or the store failed.
    """
    votes = effective_votes(VoteLog(root_uri).votes())
    return grades_table(votes, priors(root_uri, graded_ids(votes)))


def grade_views(root_uri: str) -> Views:
    """Return the view `grades` for SQL, the table of `graded_objects`, which is read if the SQL names it."""
    return {"grades": partial(graded_objects, root_uri)}


def grades_table(votes: Sequence[Vote], p_lens: Mapping[int, float]) -> pa.Table:
    """Return a row for each graded object, by object_id, with the columns `object_id` and `GRADED_COLUMNS`.

    Args:
        votes: Grades that count (`effective_votes`), also those of gold objects, which tell how good graders are.
        p_lens: p_lens by object_id; `UNKNOWN_PRIOR` for an object that is not named.
    """
    arrays = grade_arrays(votes)
    p_graded = dict(zip(arrays.subjects, consensus(arrays, prior_of(arrays, p_lens)).p_graded.tolist(), strict=True))
    by_object: dict[int, list[Vote]] = defaultdict(list)
    for vote in first_views(votes):
        if (object_id := id_of(vote.subject)) is not None:
            by_object[object_id].append(vote)
    rows = [_row(object_id, given, p_graded[given[0].subject]) for object_id, given in sorted(by_object.items())]
    return pa.Table.from_pylist(rows, SCHEMA)


def with_grades(rows: pa.Table, graded: pa.Table) -> pa.Table:
    """Return rows of the catalogue with `GRADED_COLUMNS`: `n_votes` is 0 for an object that was not graded.

    Args:
        rows: Rows with an `object_id`, in any order.
        graded: Table of `graded_objects`.
    """
    found = graded.take(pc.index_in(rows["object_id"], graded["object_id"].combine_chunks()))
    for column in GRADED_COLUMNS:
        empty = "" if column.type == pa.string() else 0
        cells = found[column.name] if column.nullable else pc.fill_null(found[column.name], pa.scalar(empty, column.type))
        rows = rows.append_column(column.field(), cells)
    return rows


def graded_ids(votes: Iterable[Vote]) -> set[int]:
    """Return the objects of the catalogue that votes are about."""
    return {object_id for vote in votes if (object_id := id_of(vote.subject)) is not None}


def id_of(subject: str) -> int | None:
    """Return the object_id in the name of a subject; None for gold, and for a name that no object_id has."""
    text = subject.removeprefix(_OBJECT)
    if not (text.removeprefix("-").isdigit() and len(text) <= _MOST_CHARACTERS):
        return None
    number = int(text)
    return number if subject == subject_of(number) and -(2**63) <= number < 2**63 else None


def prior_of(arrays: GradeArrays, p_lens: Mapping[int, float]) -> NDArray[np.float64]:
    """Return the prior of each subject of the arrays: its p_lens, or `UNKNOWN_PRIOR`."""
    ids = map(id_of, arrays.subjects)
    return np.array([UNKNOWN_PRIOR if i is None else p_lens.get(i, UNKNOWN_PRIOR) for i in ids], np.float64)


def consensus_grade(grades: Sequence[Grade], p_graded: float) -> Grade:
    """Return the median of at least one grade; between two grades the better one if `p_graded` is at least 0.5."""
    places = sorted(GRADES.index(grade) for grade in grades)
    n = len(places)
    # The sum of the two in the middle, which are one and the same if n is odd.
    twice = places[(n - 1) // 2] + places[n // 2]
    return GRADES[twice // 2 if p_graded >= 0.5 else (twice + 1) // 2]


def _row(object_id: int, votes: Sequence[Vote], p_graded: float) -> dict[str, object]:
    grades = sorted(vote.grade for vote in votes if vote.grade)
    reasons = Counter(vote.reason for vote in votes if vote.reason)
    return {
        "object_id": object_id,
        "grade": consensus_grade(grades, p_graded),
        "p_graded": p_graded,
        "n_votes": len(votes),
        "grades": "".join(grades),
        "n_compound": sum(vote.is_compound for vote in votes),
        "reason": max(REASONS, key=lambda reason: reasons[reason]) if reasons else "",
    }
