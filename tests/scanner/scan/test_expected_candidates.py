"""The expected number of candidates, from a sample and from an evaluation."""

import json

import numpy as np
import pytest

from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.expected_candidates import MIN_SAMPLE, by_evaluation, by_sample

FLAGSHIP = SHIPPED_DIR / "mer3-sim"


def test_a_sample_gives_its_share_with_the_interval_of_wilson():
    """Wilson (1927), equation for the limits, with the 97.5th percentile of the normal distribution."""
    k, n, z = 12, 256, 1.959963984540054
    p = k / n
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = by_sample(k, n, 10**6)
    assert found.value == pytest.approx(1e6 * p)
    assert (found.low, found.high) == pytest.approx([1e6 * (centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1)])


def test_a_small_sample_foretells_nothing():
    assert by_sample(10, MIN_SAMPLE - 1, 1000) is None
    assert by_sample(0, MIN_SAMPLE, 1000).value == 0


def test_an_evaluated_cut_gives_its_own_numbers():
    cuts = json.loads((FLAGSHIP / "evaluation.json").read_text())["cuts"]
    for cut in [cut for cut in cuts if cut["n_false_positives"]]:
        found, expected = by_evaluation(FLAGSHIP, cut["p_lens"], 2 * 10**6), cut["to_inspect_per_million"]
        numbers = [2 * expected[name] for name in ("value", "low", "high")]
        assert (found.value, found.low, found.high) == pytest.approx(numbers)
    between = by_evaluation(FLAGSHIP, 0.02, 10**6)
    assert by_evaluation(FLAGSHIP, 0.01, 10**6).value > between.value > by_evaluation(FLAGSHIP, 0.03, 10**6).value


@pytest.mark.parametrize("threshold", [0.0, 1e-4, 0.99])
def test_a_cut_that_was_not_evaluated_is_unknown(threshold):
    assert by_evaluation(FLAGSHIP, threshold, 10**6) is None
