"""The probability of a lens from all votes together, and how often each grader gives each grade to lenses and to others.

The model is that of Dawid & Skene (1979, Applied Statistics 28, 20): each grader gives the grades A, B, C and X with fixed
probabilities to lenses, and with others to non-lenses, independently of other graders. The prior of a subject is its own p_lens
instead of one prevalence. An expectation-maximisation finds the probabilities, and a Gibbs sampler their uncertainty. Neither
depends on the order of votes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.review.votes.grade_arrays import UNKNOWN, GradeArrays
from scanner.review.votes.grades import GRADES

LEAST_PRIOR = 1e-4
"""Priors are clipped to this value and 1 minus it, so that several graders together can overrule the networks."""
TYPICAL = np.array([[0.04, 0.08, 0.2, 0.68], [0.35, 0.3, 0.2, 0.15]])
"""Confusion matrix of an imagined grader, for non-lenses and lenses.

Iterations start from it, so that it says which of the two classes is the lens.
"""
N_TYPICAL = 8.0
"""Number of lenses, and of non-lenses, that the imagined grader's grades add to those of each grader.

Smoothing with equal counts (Laplace) would make the first grades of a new grader, A among them, speak against a lens.
"""
TOLERANCE = 1e-10
MOST_ITERATIONS = 2000
N_DRAWS, N_BURN_IN = 1000, 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """The result of the expectation-maximisation."""

    p_graded: Floats
    """Probability of a lens for each subject from its prior and its votes, also where the answer is known."""
    confusion: Floats
    """`[grader, answer, grade]`: probability of a grade for non-lenses (answer 0) and lenses (1)."""
    n_iterations: int


@dataclass(frozen=True)
class Limits:
    """Lower and upper limits of intervals."""

    low: Floats
    high: Floats


def consensus(votes: GradeArrays, prior: Floats) -> Consensus:
    """Return the most probable confusion matrices, and the probability of a lens for each subject under them.

    Args:
        votes: The grades.
        prior: Probability of a lens for each subject, before the votes; it is clipped (`LEAST_PRIOR`).
    """
    log_odds = _log_odds(prior)
    confusion = np.broadcast_to(TYPICAL, (len(votes.graders), *TYPICAL.shape))
    p_lens = _p_lens(votes, log_odds, confusion)
    n_iterations = 0
    while n_iterations < MOST_ITERATIONS:
        counts = _counts(votes, _with_answers(votes, p_lens)) + N_TYPICAL * TYPICAL
        confusion = counts / counts.sum(2, keepdims=True)
        before, p_lens, n_iterations = p_lens, _p_lens(votes, log_odds, confusion), n_iterations + 1
        if np.abs(p_lens - before).max(initial=0.0) < TOLERANCE:
            break
    return Consensus(p_lens, confusion, n_iterations)


def confusion_limits(
    votes: GradeArrays, prior: Floats, found: Consensus, rng: np.random.Generator, level: float = 0.95, n_draws: int = N_DRAWS
) -> Limits:
    """Return the limits of central intervals of each grader's probabilities, from draws of their posterior distribution.

    A draw (Gibbs sampling) chooses the answer of each subject by its probability, then each grader's probabilities from the
    Dirichlet distribution of the grades that the grader gave to lenses and to others. So the limits hold the uncertainty of the
    answers, too, and a grade that a grader never gave has an upper limit.

    Returns:
        Limits `[grader, answer, grade]`.
    """
    log_odds, confusion = _log_odds(prior), found.confusion
    draws = []
    for _ in range(N_BURN_IN + n_draws):
        p_lens = _with_answers(votes, _p_lens(votes, log_odds, confusion))
        is_lens = (rng.random(len(p_lens)) < p_lens).astype(np.float64)
        gammas = rng.standard_gamma(_counts(votes, is_lens) + N_TYPICAL * TYPICAL)
        confusion = gammas / gammas.sum(2, keepdims=True)
        draws.append(confusion)
    low, high = np.quantile(draws[N_BURN_IN:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Limits(low, high)


def _log_odds(prior: Floats) -> Floats:
    clipped = np.clip(prior, LEAST_PRIOR, 1 - LEAST_PRIOR)
    return np.log(clipped) - np.log1p(-clipped)


def _p_lens(votes: GradeArrays, log_odds: Floats, confusion: Floats) -> Floats:
    """Return the probability of a lens for each subject, from its prior log-odds and its votes."""
    gain = np.log(confusion[:, 1]) - np.log(confusion[:, 0])
    total = log_odds + np.bincount(votes.subject, gain[votes.grader, votes.grade], len(log_odds))
    # This form does not overflow.
    return 0.5 * (1 + np.tanh(0.5 * total))


def _with_answers(votes: GradeArrays, p_lens: Floats) -> Floats:
    return np.where(votes.answer == UNKNOWN, p_lens, votes.answer)


def _counts(votes: GradeArrays, p_lens: Floats) -> Floats:
    """Return the expected number of each grade that each grader gave to non-lenses and lenses, `[grader, answer, grade]`."""
    shape = len(votes.graders), len(GRADES)
    cell = votes.grader * len(GRADES) + votes.grade
    of_lenses, of_all = (
        np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape)
        for weights in (p_lens[votes.subject], np.ones(len(cell)))
    )
    return np.stack([of_all - of_lenses, of_lenses], 1)
