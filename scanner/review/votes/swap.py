"""SWAP, the score of Space Warps (Marshall et al. 2016, MNRAS 455, 1171): an update after each vote, for live displays.

It depends on the order of votes; `em` does not, and makes the grades that a catalogue shows.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scanner.review.votes.effective import effective_votes
from scanner.review.votes.grade_arrays import ANSWERS, UNKNOWN
from scanner.review.votes.grades import LENS_GRADES
from scanner.review.votes.vote import Vote

SKEPTICISM = 2
"""Number of imagined subjects that a new grader's skill of 0.5 is worth, beside the two of SWAP."""
LEAST_SKILL, MOST_SKILL = 0.01, 0.99
"""Limits of a grader's probabilities: no vote decides alone."""


@dataclass(frozen=True)
class Agent:
    """Belief about a grader: how often they know a lens, and how often they know another object."""

    p_lens: float = 0.5
    """Probability that the grader says "lens" of a lens."""
    p_not: float = 0.5
    """Probability that the grader says "not" of a non-lens."""
    n_lens: float = 2 + SKEPTICISM
    """Number of lenses seen, real and imagined; a lens of unknown answer counts by its probability."""
    n_not: float = 2 + SKEPTICISM

    @property
    def information_bits(self) -> float:
        """Information that a vote of this grader brings about a subject with a probability of 0.5, in bits; 0 for a guess."""
        says_lens = 0.5 * (self.p_lens + 1 - self.p_not)
        known = 0.5 * (_entropy(self.p_lens) + _entropy(self.p_not))
        return max(0.0, _entropy(says_lens) - known)

    def judge(self, p_subject: float, *, says_lens: bool) -> float:
        """Return the probability of a lens after a vote of this grader."""
        if_lens = self.p_lens if says_lens else 1 - self.p_lens
        if_not = 1 - self.p_not if says_lens else self.p_not
        return p_subject * if_lens / (p_subject * if_lens + (1 - p_subject) * if_not)

    def learn(self, p_subject: float, *, says_lens: bool) -> "Agent":
        """Return the grader after a vote on a subject: 1 for a known lens, 0 for a known non-lens, else its probability."""
        n_lens, n_not = self.n_lens + p_subject, self.n_not + 1 - p_subject
        right_lens = self.p_lens * self.n_lens + p_subject * says_lens
        right_not = self.p_not * self.n_not + (1 - p_subject) * (not says_lens)
        return Agent(_clipped(right_lens / n_lens), _clipped(right_not / n_not), n_lens, n_not)


@dataclass(frozen=True)
class Swap:
    """Subjects and graders after all votes."""

    p_lens: dict[str, float]
    """Probability of a lens by subject, for subjects of unknown answer."""
    agents: dict[str, Agent]
    """Graders by name."""


def swap(votes: Iterable[Vote], priors: Mapping[str, float], *, supervised_only: bool = False) -> Swap:
    """Return the state after the votes that count, one after the other by time; only a grader's first view of a subject counts.

    Grades that may follow from the answer (`Vote.may_know_answer`) change nothing.

    Args:
        votes: Acts in any order.
        priors: Probability of a lens by subject, such as its p_lens; 0.5 for a subject that is not named.
        supervised_only: Learn about graders from subjects of known answer alone.
    """
    subjects: dict[str, float] = {}
    agents: dict[str, Agent] = {}
    seen: set[tuple[str, str]] = set()
    for vote in effective_votes(votes):
        agent = agents.setdefault(vote.grader, Agent())
        if (vote.grader, vote.subject) in seen:
            continue
        seen.add((vote.grader, vote.subject))
        says_lens, answer = vote.grade in LENS_GRADES, ANSWERS[vote.role]
        if vote.may_know_answer:
            continue
        if answer != UNKNOWN:
            agents[vote.grader] = agent.learn(answer, says_lens=says_lens)
            continue
        before = subjects.get(vote.subject, priors.get(vote.subject, 0.5))
        subjects[vote.subject] = after = agent.judge(before, says_lens=says_lens)
        if not supervised_only:
            # As in Space Warps, the grader learns from the probability that the vote itself has changed.
            agents[vote.grader] = agent.learn(after, says_lens=says_lens)
    return Swap(subjects, agents)


def _clipped(p: float) -> float:
    return min(max(p, LEAST_SKILL), MOST_SKILL)


def _entropy(p: float) -> float:
    """Return the entropy of an event with this probability, in bits."""
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)
