"""Grades as arrays, in an order that follows from the votes alone."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.review.votes.errors import VoteError
from scanner.review.votes.grades import GRADES
from scanner.review.votes.vote import Role, Vote

UNKNOWN = -1
"""Answer for a subject whose answer is not known, and grade that was not given."""
ANSWERS: dict[Role, int] = {
    "candidate": UNKNOWN,
    "gold_lens": 1,
    "training_lens": 1,
    "gold_nonlens": 0,
    "training_nonlens": 0,
}


@dataclass(frozen=True)
class GradeArrays:
    """Grades of n votes: at most one of each grader for each subject, sorted by subject and then by grader."""

    graders: tuple[str, ...]
    subjects: tuple[str, ...]
    grader: NDArray[np.int64]
    """Place of the vote's grader in `graders`, `[n]`."""
    subject: NDArray[np.int64]
    """Place of the vote's subject in `subjects`, `[n]`."""
    grade: NDArray[np.int64]
    """Place of the grade in `GRADES`, `[n]`: 0 for A, 3 for X."""
    answer: NDArray[np.int64]
    """1 for a subject that is known to be a lens, 0 for one that is known to be none, -1 otherwise; one for each subject."""

    def as_matrix(self) -> NDArray[np.int64]:
        """Return the grades `[subject, grader]`; -1 where there is none."""
        matrix = np.full((len(self.subjects), len(self.graders)), UNKNOWN)
        matrix[self.subject, self.grader] = self.grade
        return matrix


def first_views(votes: Iterable[Vote]) -> list[Vote]:
    """Return the first grade of each grader for each subject, sorted by subject and then by grader.

    A grader's second view of a subject is no new opinion.

    Args:
        votes: Grades that count (`effective_votes`), in any order.
    """
    first: dict[tuple[str, str], Vote] = {}
    for vote in sorted(votes, key=lambda vote: (vote.subject, vote.grader, vote.repeat)):
        first.setdefault((vote.subject, vote.grader), vote)
    return [*first.values()]


def grade_arrays(votes: Iterable[Vote]) -> GradeArrays:
    """Return the first grades of graders as arrays; argument as for `first_views`.

    Grades that may follow from the answer (`Vote.may_know_answer`) are left out; their graders and subjects stay.

    Raises:
        VoteError: a subject is a known lens in one vote and a known non-lens in another.
    """
    given = [*votes]
    answers = _answers(given)
    first = [vote for vote in first_views(given) if not vote.may_know_answer]
    graders, subjects = sorted({vote.grader for vote in given}), sorted(answers)
    place_of_grader, place_of_subject = ({name: i for i, name in enumerate(names)} for names in (graders, subjects))
    return GradeArrays(
        tuple(graders),
        tuple(subjects),
        np.array([place_of_grader[vote.grader] for vote in first], np.int64),
        np.array([place_of_subject[vote.subject] for vote in first], np.int64),
        np.array([GRADES.index(vote.grade) for vote in first if vote.grade], np.int64),
        np.array([answers[subject] for subject in subjects], np.int64),
    )


def _answers(votes: Iterable[Vote]) -> dict[str, int]:
    """Return the known answer of each subject, or that it is not known."""
    answers: dict[str, int] = {}
    for vote in votes:
        answer, before = ANSWERS[vote.role], answers.get(vote.subject, UNKNOWN)
        if {answer, before} == {0, 1}:
            raise VoteError(f"{vote.subject}: is a known lens in one vote and a known non-lens in another, in its field role")
        answers[vote.subject] = max(answer, before)
    return answers
