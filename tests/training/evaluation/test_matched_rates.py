import numpy as np
import pytest
from scipy.stats import norm

from scanner.networks.nonlens_sample import NonLensTail
from training.evaluation.matched_rates import (
    MATCHED_RATES,
    matched_metrics,
    matched_recalls,
    matched_recalls_by_sample,
    recalls_on_card,
)


def binormal(rng, n_lenses, n_others, shift=2.5):
    return norm.cdf(rng.normal(shift, 1, n_lenses)), norm.cdf(rng.normal(0, 1, n_others))


def test_recall_is_that_of_the_normal_curves(rng):
    """Non-lenses are N(0, 1), lenses N(2.5, 1): the recall at a rate r is the chance of more than z(1 - r) - 2.5."""
    lenses, others = binormal(rng, 4000, 100_000)
    found = matched_recalls(lenses, np.array(["single"] * 4000), others, len(others))
    assert [of.rate for of in found] == list(MATCHED_RATES)
    for of in found:
        expected = norm.sf(norm.isf(of.rate) - 2.5)
        assert of.recall.low <= expected <= of.recall.high
        assert of.recall.value == pytest.approx(expected, abs=0.05)
    widths = [of.recall.high - of.recall.low for of in found]
    assert widths == sorted(widths)


def test_intervals_hold_the_recall_of_most_samples(rng):
    missed = 0
    for _ in range(100):
        lenses, others = binormal(rng, 300, 6000)
        _, of, _ = matched_recalls(lenses, np.array(["single"] * 300), others, len(others))
        missed += not of.recall.low <= norm.sf(norm.isf(of.rate) - 2.5) <= of.recall.high
    assert missed <= 5


@pytest.mark.parametrize(("n_others", "given"), [(399, []), (400, [1e-2]), (4000, [1e-2, 1e-3]), (40_000, [*MATCHED_RATES])])
def test_a_rate_needs_four_passing_non_lenses(rng, n_others, given):
    lenses, others = binormal(rng, 50, n_others)
    found = matched_recalls(lenses, np.array(["double_ring"] * 50), others, n_others)
    assert [of.rate for of in found if of.recall is not None] == given
    assert [of.n_needed for of in found] == [400, 4000, 40_000]
    assert {of.n_nonlenses for of in found} == {n_others}


def test_the_highest_non_lenses_are_enough(rng):
    lenses, others = binormal(rng, 500, 50_000)
    kinds = np.array(["single", "compound_arc"] * 250)
    tail = NonLensTail.of(np.float32(others), 0.9)
    whole = matched_recalls(lenses, kinds, np.float32(others), len(others))
    assert matched_recalls(lenses, kinds, tail.p_lens, tail.n) == whole
    assert [of.kind for of in whole] == ["single"] * 3 + ["compound_arc"] * 3
    # Of a shorter tail, the threshold of the largest rate would be unknown.
    short = matched_recalls(lenses, kinds, np.sort(others)[-600:], len(others))
    assert [of.recall is None for of in short] == [True, False, False] * 2


def test_recalls_come_back_from_the_card(rng):
    lenses, others = binormal(rng, 500, 6000)
    found = matched_recalls(lenses, np.array(["single", "double_ring"] * 250), others, len(others))
    metrics = matched_metrics(found)
    assert recalls_on_card(metrics) == found
    assert metrics["recall_single_at_false_positives_0.01"] == found[0].recall.value
    assert "recall_single_at_false_positives_0.0001" not in metrics
    assert recalls_on_card({"auroc": 0.9}) == ()


@pytest.mark.parametrize(
    ("n_stored", "set_by"),
    [(3000, [100_000] * 3), (300, [10_000, 100_000, 100_000]), (64, [10_000, 10_000, 100_000]), (9, [10_000] * 3)],
)
def test_a_sample_that_stores_too_few_scores_leaves_recalls(rng, n_stored, set_by):
    """The sample stores 2010, 210 and 30 scores or more for the three rates, or else the evaluation's own non-lenses serve."""
    lenses, others = binormal(rng, 500, 10_000)
    kinds = np.array(["single", "double_ring"] * 250)
    sample = NonLensTail(np.sort(np.float32(binormal(rng, 0, 100_000)[1]))[-n_stored:], 0.5, 100_000)
    found = matched_recalls_by_sample(lenses, kinds, others, sample)
    assert [of.n_nonlenses for of in found] == set_by * 2
    own, by_sample = (matched_recalls(lenses, kinds, *of) for of in ((others, 10_000), (sample.p_lens, sample.n)))
    for of, one, other in zip(found, own, by_sample, strict=True):
        assert of == (other if of.n_nonlenses == sample.n else one)
        assert of.recall is not None or of.n_nonlenses < of.n_needed
    assert recalls_on_card(matched_metrics(found)) == found


def test_a_sample_no_larger_than_the_evaluation_is_not_used(rng):
    lenses, others = binormal(rng, 500, 5000)
    kinds = np.array(["single"] * 500)
    for sample in (None, NonLensTail(np.float32(others), 0.0, 5000)):
        assert matched_recalls_by_sample(lenses, kinds, others, sample) == matched_recalls(lenses, kinds, others, 5000)
