"""The AUROC between injected lenses and real candidates: against known populations, and when it cannot be measured."""

import numpy as np
import pytest
from scipy.stats import norm

from scanner.catalogue.injected import MIN_REAL
from simulation.injection.realism import realism


def rows_of(n, shift, rng, **others):
    """Return numbers of n objects; `shift` is how far the first lies, in standard deviations."""
    return [{"mag_vis_1arcsec": 21 + shift + rng.normal(), "lens_vis_minus_h": rng.normal(), **others} for _ in range(n)]


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_area_is_that_of_two_gaussians(shift):
    rng = np.random.default_rng(1)
    found = realism(rows_of(900, shift, rng), rows_of(700, 0, rng))
    assert found.auroc == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.03)
    assert found.low < found.auroc < found.high
    assert (found.n_injected, found.n_real) == (900, 700)


def test_small_samples_of_one_population_raise_no_alarm():
    rng = np.random.default_rng(2)
    found = [realism(rows_of(60, 0, rng), rows_of(25, 0, rng)) for _ in range(30)]
    assert np.mean([one.low > 0.5 for one in found]) <= 0.1
    assert not any(one.is_low for one in found)


@pytest.mark.parametrize(("n_injected", "n_real"), [(100, MIN_REAL - 1), (MIN_REAL - 1, 100)])
def test_few_objects_cannot_be_compared(n_injected, n_real):
    rng = np.random.default_rng(3)
    assert realism(rows_of(n_injected, 0, rng), rows_of(n_real, 0, rng)) is None
    assert realism(rows_of(MIN_REAL, 0, rng), rows_of(MIN_REAL, 0, rng)) is not None


def test_probabilities_count_as_log_odds():
    """Only the log odds tell these apart: near 1 all probabilities are alike."""
    rng = np.random.default_rng(4)
    rows = [[{"p_net": float(1 / (1 + np.exp(-x)))} for x in rng.normal(middle, 1, 300)] for middle in (8, 5)]
    assert realism(*rows).auroc > 0.95
    ends = realism([{"p_net": 1.0}] * 30, [{"p_net": 0.0}] * 30)
    assert ends.auroc == 1


def test_depth_and_missing_numbers_are_no_evidence():
    rng = np.random.default_rng(5)
    injected = rows_of(200, 0, rng, sky_sigma_vis_ujy=0.01, arc_snr_vis=50.0, ra=None, only=1.0)
    real = rows_of(200, 0, rng, sky_sigma_vis_ujy=0.02, arc_snr_vis=None, ra=0.0)
    assert realism(injected, real).auroc == pytest.approx(0.5, abs=0.1)
    for row in real[:10]:
        row["lens_vis_minus_h"] = None
    assert realism(injected, real).auroc == pytest.approx(0.5, abs=0.1)
    assert realism([{"sky_sigma_vis_ujy": 1.0}] * 30, [{"sky_sigma_vis_ujy": 2.0}] * 30) is None
