"""Tests of the calibration of p_compound, on lenses whose probabilities are known."""

import numpy as np
import pytest

from scanner.networks.log_odds import restated
from scanner.vocabulary.kinds import KINDS
from training.evaluation.compound_calibration import compound_calibration, confusion_matrix

ASSUMED = 0.02


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 20)


def judged(factor=1.0, shift=0.0, n=8000):
    """Judge scores whose log-odds, right for half compound lenses, are distorted; p_lens must not matter."""
    rng = np.random.default_rng(3)
    is_compound = rng.random(n) < 0.5
    evidence = rng.normal(np.where(is_compound, 1.0, -1.0), np.sqrt(2.0))
    given_lens = restated(1 / (1 + np.exp(-(factor * evidence + shift))), 0.5, ASSUMED)
    p_lens = rng.uniform(0.1, 1, n)
    kinds = np.where(is_compound, "double_ring", "single")
    others = np.full(500, "nonlens")
    p_lens, p_compound = np.append(p_lens, np.full(500, 0.5)), np.append(p_lens * given_lens, np.full(500, 0.4))
    kinds = np.append(kinds, others)
    return compound_calibration(kinds, p_lens, p_compound, kinds, ASSUMED, np.random.default_rng(0))


def test_right_probabilities_have_a_small_error():
    found = judged()
    assert found.as_given.error.value < 0.02
    assert (found.slope, found.offset) == pytest.approx((1, 0), abs=0.1)
    assert found.n_lenses == sum(b.n for b in found.as_given.bins) == 8000
    assert sum(b.n for b in found.recalibrated.bins) == 4000
    for b in found.as_given.bins:
        assert b.compound.low - 0.02 <= b.p <= b.compound.high + 0.02


def test_distorted_probabilities_are_recalibrated():
    found = judged(factor=3.0, shift=1.5)
    assert found.as_given.error.value > 0.08
    assert found.recalibrated.error.value < 0.03
    assert found.slope == pytest.approx(1 / 3, abs=0.05)
    assert found.offset == pytest.approx(-0.5, abs=0.1)


def test_auroc_is_that_of_the_evidence():
    """Two unit-evidence Gaussians two means apart, of variance 2: AUROC = Phi(2 / 2)."""
    assert judged().auroc.value == pytest.approx(0.8413, abs=0.012)
    assert judged(factor=3.0).auroc.value == pytest.approx(judged().auroc.value, abs=1e-6)


def test_too_few_lenses_are_not_judged():
    kinds = np.array(["single", "double_ring"] * 15)
    p = np.full(30, 0.5)
    assert compound_calibration(kinds, p, p * 0.1, kinds, ASSUMED, np.random.default_rng(0)) is None


def test_the_confusion_matrix_counts_pairs():
    kinds = np.array(["nonlens", "single", "single", "double_ring"])
    subclass = np.array(["single", "single", "double_ring", "compound_arc"])
    found = confusion_matrix(kinds, subclass)
    assert found == {
        "nonlens": dict(zip(KINDS, (0, 1, 0, 0), strict=True)),
        "single": dict(zip(KINDS, (0, 1, 0, 1), strict=True)),
        "double_ring": dict(zip(KINDS, (0, 0, 1, 0), strict=True)),
    }
