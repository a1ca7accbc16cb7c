"""Measure graders: the known lenses that they find, the others that they call lenses, and grades of the same image twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, median

from scanner.review.votes.grades import LENS_GRADES, Grade
from scanner.review.votes.vote import Vote


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval (Wilson 1927, JASA 22, 209)."""

    n: int
    n_all: int
    share: float | None
    """None if there is nothing to count."""
    low: float
    high: float

    @classmethod
    def of(cls, n: int, n_all: int, level: float = 0.95) -> "Share":
        """Return the share of n in all, with its interval."""
        if not n_all:
            return cls(0, 0, None, 0.0, 1.0)
        z, p = NormalDist().inv_cdf((1 + level) / 2), n / n_all
        middle = (p + z * z / (2 * n_all)) / (1 + z * z / n_all)
        half = z * sqrt(p * (1 - p) / n_all + z * z / (4 * n_all**2)) / (1 + z * z / n_all)
        return cls(n, n_all, p, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Skill:
    """Figures of a grader, from subjects of known answer and from subjects that were shown again."""

    n_votes: int
    """Number of grades that count, repeats among them."""
    completeness: Share
    """Share of the gold lenses that got a lens grade."""
    false_positives: Share
    """Share of the gold non-lenses that got a lens grade."""
    same_again: Share
    """Share of the later views that got the same grade as the first view."""
    median_decision_s: float
    """Median time of a decision, in seconds."""


def skills(votes: Iterable[Vote], lens_grades: Sequence[Grade] = LENS_GRADES) -> dict[str, Skill]:
    """Return the skill of each grader, by name.

    The subjects of the training at the start do not count: their answers are shown. Only the first view of gold counts, and
    that only if its grade is blind.

    Args:
        votes: Grades that count (`effective_votes`).
        lens_grades: Grades that say "lens".
    """
    by_grader: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_grader[vote.grader].append(vote)
    return {grader: _skill(by_grader[grader], lens_grades) for grader in sorted(by_grader)}


def _skill(votes: list[Vote], lens_grades: Sequence[Grade]) -> Skill:
    first = {vote.subject: vote for vote in sorted(votes, key=lambda vote: vote.repeat, reverse=True)}
    again = [vote for vote in votes if vote is not first[vote.subject]]
    lens, other = (
        [vote.grade in lens_grades for vote in first.values() if vote.role == role and not vote.may_know_answer]
        for role in ("gold_lens", "gold_nonlens")
    )
    return Skill(
        len(votes),
        Share.of(sum(lens), len(lens)),
        Share.of(sum(other), len(other)),
        Share.of(sum(vote.grade == first[vote.subject].grade for vote in again), len(again)),
        median(vote.decision_s for vote in votes),
    )
