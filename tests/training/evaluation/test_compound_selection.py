"""Tests of the matched recall: on made lenses with a known selection, by brute force, and against published intervals."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from training.evaluation.compound_selection import WIDTHS, difference_of, match, matched_recall, wilson

N_REPEATS = 40


def made_lenses(rng, n=3000):
    """Return kinds and properties; compound lenses are brighter, wider and lie in brighter galaxies."""
    kinds = rng.choice(["nonlens", "single", "compound_arc", "double_ring"], n, p=[0.1, 0.5, 0.3, 0.1])
    is_compound = kinds == "compound_arc"
    properties = {
        "einstein_radius1_arcsec": np.exp(rng.normal(np.where(is_compound, 0.2, 0.0), 0.3)),
        "arc_snr": np.exp(rng.normal(np.where(is_compound, 4.2, 3.6), 0.6)),
        "lens_mag_vis": rng.normal(np.where(is_compound, 19.0, 20.0), 1.2),
    }
    return kinds, {name: np.where(kinds == "nonlens", np.nan, values) for name, values in properties.items()}


def found_with(kinds, properties, rng, deficit):
    """Draw which lenses are found: alike for both kinds but for a deficit of compound lenses."""
    snr, radius = np.nan_to_num(np.log(properties["arc_snr"])), np.nan_to_num(np.log(properties["einstein_radius1_arcsec"]))
    p = 1 / (1 + np.exp(-2 * (snr - 4) - radius - 0.3 * np.nan_to_num(20 - properties["lens_mag_vis"])))
    return rng.random(len(kinds)) < p * np.where(kinds == "compound_arc", 1 - deficit, 1)


@pytest.mark.parametrize("deficit", [0.0, 0.3])
def test_intervals_hold_the_known_selection(deficit):
    n_held = n_against = 0
    for seed in range(N_REPEATS):
        rng = np.random.default_rng(seed)
        kinds, properties = made_lenses(rng)
        is_found = found_with(kinds, properties, rng, deficit)
        matched = matched_recall(is_found, match(kinds, properties, "compound_arc"))
        expected = -deficit / (1 - deficit) * matched.recall.value
        n_held += matched.difference.low <= expected <= matched.difference.high
        n_against += matched.difference.high < 0
        raw = is_found[kinds == "compound_arc"].mean() - is_found[kinds == "single"].mean()
        assert raw > 0.05, "the raw recall hides the selection"
    assert n_held >= 0.9 * N_REPEATS
    assert n_against >= 0.95 * N_REPEATS if deficit else n_against <= 0.1 * N_REPEATS


def test_weights_equal_those_of_brute_force():
    rng = np.random.default_rng(1)
    kinds, properties = made_lenses(rng, 400)
    matching, is_found = match(kinds, properties, "compound_arc"), rng.random(400) < 0.5

    def cell(i):
        return tuple(int(np.floor(WIDTHS[name].of(values[i]) / WIDTHS[name].width)) for name, values in properties.items())

    cells = {kind: Counter(cell(i) for i in np.flatnonzero(kinds == kind)) for kind in ("single", "compound_arc")}
    recalls = {
        (kind, c): np.mean([is_found[i] for i in np.flatnonzero(kinds == kind) if cell(i) == c])
        for kind in cells
        for c in cells[kind]
    }
    shared = {c: n for c, n in cells["compound_arc"].items() if cells["single"][c]}
    of_single = sum(n * recalls["single", c] for c, n in shared.items()) / sum(shared.values())
    of_compound = sum(n * recalls["compound_arc", c] for c, n in shared.items()) / sum(shared.values())
    matched = matched_recall(is_found, matching)
    assert (matched.recall.value, matched.recall_single.value) == pytest.approx((of_compound, of_single))
    assert matching.balance.n_matched == sum(shared.values())
    assert matching.balance.n_single == sum(cells["single"][c] for c in shared)
    weights = [n / cells["single"][c] for c, n in shared.items() for _ in range(cells["single"][c])]
    assert matching.balance.n_single_effective == pytest.approx(sum(weights) ** 2 / sum(w**2 for w in weights))


def test_matching_leaves_small_differences():
    kinds, properties = made_lenses(np.random.default_rng(2), 6000)
    assert max(map(abs, match(kinds, properties, "compound_arc").balance.differences.values())) < 0.1


def test_what_is_left_is_stated_in_deviations_of_all_lenses():
    kinds = np.array(["single", "compound_arc", "nonlens"])
    properties = {name: np.array([1.35, 1.45, np.nan]) for name in WIDTHS}
    differences = match(kinds, properties, "compound_arc").balance.differences
    assert differences["einstein_radius1_arcsec"] == pytest.approx(2.0), "of two values each lies one deviation from the mean"
    assert differences["lens_mag_vis"] == pytest.approx(2.0)


def test_lenses_without_counterpart_are_left_out():
    kinds = np.array(["single", "compound_arc", "nonlens"])
    properties = {name: np.array([1.0, 100.0, np.nan]) for name in WIDTHS}
    matching = match(kinds, properties, "compound_arc")
    assert (matching.balance.n, matching.balance.n_matched, matching.balance.n_single) == (1, 0, 0)
    assert matched_recall(np.ones(3, bool), matching) is None


@pytest.mark.parametrize(("k", "n"), [(0, 9), (3, 9), (9, 9), (56, 70)])
def test_wilson_equals_that_of_scipy(k, n):
    limits = binomtest(k, n).proportion_ci(method="wilson")
    found = wilson(k / n, n)
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), abs=1e-12)
    assert (found.low == 0, found.high == 1) == (k == 0, k == n)


def test_the_difference_has_the_interval_of_newcombe():
    """56 of 70 minus 48 of 80: example (a) of table II in Newcombe (1998), method 10."""
    found = difference_of(wilson(56 / 70, 70), wilson(48 / 80, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    reverse = difference_of(wilson(48 / 80, 80), wilson(56 / 70, 70))
    assert (reverse.value, reverse.low, reverse.high) == pytest.approx((-0.2, -found.high, -found.low))
