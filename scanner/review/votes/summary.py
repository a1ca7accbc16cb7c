"""A summary of all votes: each grader's skill, their agreement, and what the consensus says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scanner.review.votes.agreement import Agreement, agreement
from scanner.review.votes.completeness import Skill, skills
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.em import confusion_limits, consensus
from scanner.review.votes.grade_arrays import UNKNOWN, grade_arrays
from scanner.review.votes.graded import grades_table, prior_of
from scanner.review.votes.grades import GRADES, Grade
from scanner.review.votes.swap import swap
from scanner.review.votes.vote import Vote


@dataclass(frozen=True)
class Chance:
    """Probability that a grader gives a grade, with its 95 % interval."""

    p: float
    low: float
    high: float


@dataclass(frozen=True)
class GraderSummary:
    """Figures of one grader."""

    skill: Skill
    of_lenses: dict[Grade, Chance]
    """Probability of each grade for a lens, from the consensus of all graders."""
    of_nonlenses: dict[Grade, Chance]
    information_bits: float
    """Information that a vote brings about an object that may as well be a lens as not, by SWAP: 0 for guesses, at most 1."""


@dataclass(frozen=True)
class VotesSummary:
    """Figures of all votes."""

    n_acts: int
    """Number of acts in the log: grades and undos."""
    n_votes: int
    """Number of grades that count."""
    n_objects: int
    """Number of graded objects of the catalogue."""
    n_known: int
    """Number of graded subjects whose answer is known."""
    n_by_grade: dict[Grade, int]
    """Number of objects by their consensus."""
    agreement_nominal: Agreement
    """Krippendorff's alpha of the grades of subjects of unknown answer, where any two grades are equally different."""
    agreement_ordinal: Agreement
    """The same, where A is farther from X than from B."""
    graders: dict[str, GraderSummary]


def summary(acts: Sequence[Vote], p_lens: Mapping[int, float], seed: int) -> VotesSummary:
    """Return the summary of all acts of a log, in any order.

    Args:
        acts: Grades and undos.
        p_lens: p_lens by object_id, as for `grades_table`.
        seed: Seed of the intervals: the same votes give the same intervals.

    Raises:
        VoteError: votes contradict each other.
    """
    rng = np.random.default_rng(seed)
    votes = effective_votes(acts)
    arrays = grade_arrays(votes)
    prior = prior_of(arrays, p_lens)
    found = consensus(arrays, prior)
    limits = confusion_limits(arrays, prior, found, rng)
    table = grades_table(votes, p_lens)
    n_by_grade = Counter(table["grade"].to_pylist())
    ratings = arrays.as_matrix()[arrays.answer == UNKNOWN]
    skill = skills(votes)
    agents = swap(votes, dict(zip(arrays.subjects, prior.tolist(), strict=True))).agents

    def chances(grader: int, answer: int) -> dict[Grade, Chance]:
        place = grader, answer
        values = zip(found.confusion[place].tolist(), limits.low[place].tolist(), limits.high[place].tolist(), strict=True)
        return {grade: Chance(*value) for grade, value in zip(GRADES, values, strict=True)}

    return VotesSummary(
        len(acts),
        len(votes),
        table.num_rows,
        int((arrays.answer != UNKNOWN).sum()),
        {grade: n_by_grade[grade] for grade in GRADES},
        agreement(ratings, "nominal", len(GRADES), rng),
        agreement(ratings, "ordinal", len(GRADES), rng),
        {
            name: GraderSummary(skill[name], chances(i, 1), chances(i, 0), agents[name].information_bits)
            for i, name in enumerate(arrays.graders)
        },
    )
