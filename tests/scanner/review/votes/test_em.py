"""The consensus of simulated graders: their confusion matrices are recovered, and the whole is better than its parts."""

import itertools
import math
import sys

import numpy as np
import pytest

from scanner.review.votes.em import LEAST_PRIOR, N_TYPICAL, TYPICAL, confusion_limits, consensus
from scanner.review.votes.grade_arrays import GradeArrays, grade_arrays
from tests.scanner.review.votes.graders import auroc, random_confusions, simulated
from tests.scanner.review.votes.made_votes import vote_of


def vote_by_vote(votes, prior, n_iterations):
    """Return probabilities and confusion matrices of the same model, computed subject by subject and vote by vote."""
    n_graders = len(votes.graders)
    confusion = [[list(row) for row in TYPICAL] for _ in range(n_graders)]

    def chances():
        found = []
        for s in range(len(votes.subjects)):
            p = min(max(prior[s], LEAST_PRIOR), 1 - LEAST_PRIOR)
            like = [1 - p, p]
            for g, of, k in zip(votes.grader, votes.subject, votes.grade, strict=True):
                if of == s:
                    like = [like[z] * confusion[g][z][k] for z in (0, 1)]
            found.append(like[1] / sum(like))
        return found

    p_lens = chances()
    for _ in range(n_iterations):
        counts = [[[N_TYPICAL * p for p in row] for row in TYPICAL] for _ in range(n_graders)]
        for g, s, k in zip(votes.grader, votes.subject, votes.grade, strict=True):
            p = p_lens[s] if votes.answer[s] < 0 else votes.answer[s]
            counts[g][0][k] += 1 - p
            counts[g][1][k] += p
        confusion = [[[n / sum(row) for n in row] for row in of_grader] for of_grader in counts]
        p_lens = chances()
    return np.array(p_lens), np.array(confusion)


@pytest.mark.parametrize("n_gold", [0, 20])
def test_it_is_the_model_computed_vote_by_vote(rng, n_gold):
    prior = rng.choice([0.0, 0.02, 0.3, 0.9], 60)
    votes, _ = simulated(rng, random_confusions(rng, 3), prior, 0.8, n_gold)
    found = consensus(votes, prior)
    p_lens, confusion = vote_by_vote(votes, prior, found.n_iterations)
    np.testing.assert_allclose(found.p_graded, p_lens, atol=1e-9)
    np.testing.assert_allclose(found.confusion, confusion, atol=1e-9)
    # One more iteration changes nothing.
    np.testing.assert_allclose(vote_by_vote(votes, prior, found.n_iterations + 1)[0], p_lens, atol=1e-9)


@pytest.mark.parametrize("n_graders", [5, 10])
def test_the_consensus_beats_every_grader_and_their_mean(rng, n_graders):
    """All priors are equal: only the votes tell the objects apart."""
    prior = np.full(1000, 0.3)
    votes, is_lens = simulated(rng, random_confusions(rng, n_graders), prior)
    found = auroc(consensus(votes, prior).p_graded, is_lens)
    grades = votes.as_matrix()
    assert found > auroc(-grades.mean(1), is_lens) + 0.002
    assert found > max(auroc(-grades[:, g], is_lens) for g in range(n_graders)) + 0.01


def test_intervals_of_unknown_answers_weigh_all_answers(rng):
    """Each set of answers has a Dirichlet posterior and a weight: the margins are mixtures of beta distributions."""
    from scipy.special import gammaln, softmax
    from scipy.stats import beta

    n = 9
    prior = np.full(n, 0.4)
    votes, _ = simulated(rng, random_confusions(rng, 3), prior)
    answers = np.array(list(itertools.product((0, 1), repeat=n)))
    counts = np.array([[[[((votes.grade == k) & (votes.grader == g) & (of[votes.subject] == z)).sum() for k in range(4)]
                         for z in (0, 1)] for g in range(3)] for of in answers])  # fmt: skip
    alpha = counts + N_TYPICAL * TYPICAL
    log_weight = gammaln(alpha).sum((1, 2, 3)) - gammaln(alpha.sum(3)).sum((1, 2)) + np.log([0.6, 0.4])[answers].sum(1)
    weight = softmax(log_weight)
    limits = confusion_limits(votes, prior, consensus(votes, prior), rng, n_draws=4000)
    rest = alpha.sum(3, keepdims=True) - alpha
    for limit, share in ((limits.low, 0.025), (limits.high, 0.975)):
        below = np.tensordot(weight, beta.cdf(limit, alpha, rest), 1)
        np.testing.assert_allclose(below, share, atol=0.012)


def test_intervals_of_one_class_are_those_of_beta_distributions(rng):
    """All answers are known, so that the posterior is a Dirichlet distribution, whose margins are beta distributions."""
    from scipy.stats import beta

    votes, _ = simulated(rng, random_confusions(rng, 2), np.full(200, 0.5), n_gold=200)
    prior = np.full(200, 0.5)
    limits = confusion_limits(votes, prior, consensus(votes, prior), rng, level=0.8, n_draws=8000)
    counts = np.array(
        [[[((votes.grade == k) & (votes.grader == g) & (votes.answer[votes.subject] == z)).sum() for k in range(4)]
          for z in (0, 1)] for g in (0, 1)]
    ) + N_TYPICAL * TYPICAL  # fmt: skip
    rest = counts.sum(2, keepdims=True) - counts
    np.testing.assert_allclose(limits.low, beta.ppf(0.1, counts, rest), atol=0.006)
    np.testing.assert_allclose(limits.high, beta.ppf(0.9, counts, rest), atol=0.006)


def test_the_order_of_votes_does_not_matter(rng):
    votes = [vote_of(i, f"g{i % 5}", "ABCX"[rng.integers(4)], subject=f"object:{i // 5}", object_id=None) for i in range(200)]
    arrays = [grade_arrays(votes), grade_arrays([votes[i] for i in rng.permutation(200)])]
    first, second = (consensus(each, np.full(40, 0.1)) for each in arrays)
    assert first.p_graded.tobytes() == second.p_graded.tobytes()
    assert first.confusion.tobytes() == second.confusion.tobytes()


def arrays_of(grade, n_graders=1, answer=-1):
    """Return votes of the same grade for one subject."""
    graders = np.arange(n_graders)
    return GradeArrays(tuple(map(str, graders)), ("object:1",), graders, 0 * graders, 0 * graders + grade, np.array([answer]))


def test_a_subject_without_votes_keeps_its_prior():
    nothing = np.array([], np.int64)
    votes = GradeArrays((), ("object:1", "object:2", "object:3"), nothing, nothing, nothing, np.full(3, -1))
    found = consensus(votes, np.array([0.25, 0.0, 1.0]))
    np.testing.assert_allclose(found.p_graded, [0.25, LEAST_PRIOR, 1 - LEAST_PRIOR], rtol=1e-12)
    assert found.confusion.shape == (0, 2, 4)


def test_a_thousand_graders_overflow_nothing():
    for grade, p_lens in ((0, 1), (3, 0)):
        found = consensus(arrays_of(grade, 1000), np.array([0.5]))
        assert found.p_graded[0] == pytest.approx(p_lens, abs=1e-12)
        assert np.isfinite(found.confusion).all()


@pytest.mark.parametrize("prior", [0.0005, 0.02, 0.2, 0.9])
def test_better_grades_of_a_new_grader_raise_the_probability(prior):
    p_lens = [consensus(arrays_of(grade), np.array([prior])).p_graded[0] for grade in range(4)]
    assert p_lens == sorted(p_lens, reverse=True)
    assert p_lens[1] > prior > p_lens[3]


def test_a_known_answer_teaches_and_is_not_repeated():
    """A grader who calls a known lens X is believed less when saying X, and the votes still say what they say."""
    unknown, lens = (consensus(arrays_of(3, answer=answer), np.array([0.5])) for answer in (-1, 1))
    assert lens.confusion[0, 1, 3] == pytest.approx((0.15 * 8 + 1) / 9)
    assert lens.confusion[0, 0, 3] == pytest.approx(0.68)
    assert math.isclose(lens.p_graded[0], lens.confusion[0, 1, 3] / (lens.confusion[0, 1, 3] + 0.68))
    assert unknown.p_graded[0] < lens.p_graded[0] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("n_graders", [5, 8, 10])
def test_many_seeds_cover_and_beat(n_graders):
    covered, gain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        confusions, prior = random_confusions(rng, n_graders), rng.beta(0.5, 1.5, 1000)
        votes, is_lens = simulated(rng, confusions, prior, n_gold=50)
        flat = np.full(1000, 0.25)
        found, limits = (
            consensus(votes, flat),
            confusion_limits(votes, prior, consensus(votes, prior), rng),
        )
        covered.append((limits.low <= confusions) & (confusions <= limits.high))
        grades = votes.as_matrix()
        best = max(auroc(-grades[:, g], is_lens) for g in range(n_graders))
        gain.append((auroc(found.p_graded, is_lens), auroc(-grades.mean(1), is_lens), best))
    gains = np.array(gain)
    sys.stdout.write(
        f"{n_graders} graders: coverage {np.mean(covered):.3f}, of single cells {np.mean(covered, 0).min():.2f} and more, "
        f"mean AUROC {gains.mean(0).round(4)} (consensus, mean grade, best grader), "
        f"consensus first in {(gains[:, 0] > gains[:, 1:].max(1)).mean():.0%}\n"
    )
    assert 0.93 <= np.mean(covered) <= 0.97
    assert (gains[:, 0] > gains[:, 1:].max(1)).mean() >= 0.95
