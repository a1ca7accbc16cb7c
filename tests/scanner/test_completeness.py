"""Completeness against other formulas and against known truths, and its refusals."""

import numpy as np
import pytest
from astropy.stats import binom_conf_interval

from scanner.completeness import EDGES, MIN_EFFECTIVE, CompletenessError, Sample, jeffreys, weighted


def sample_of(n, rng, chance=lambda *_: 0.5, kind="single"):
    """Return objects whose chance to be recovered is a function of Einstein radius and S/N."""
    radius, snr = np.exp(rng.normal(-0.2, 0.4, n)), np.exp(rng.normal(3.7, 0.6, n))
    others = {"source_vis_minus_h": rng.normal(1, 0.5, n), "lens_mag_vis": rng.normal(20, 1, n)}
    properties = {"einstein_radius_arcsec": radius, "arc_snr": snr, **others, "sky_sigma_vis_ujy": np.full(n, 0.01)}
    return Sample(np.full(n, kind), properties, rng.random(n) < chance(radius, snr))


@pytest.mark.parametrize("n", [1, 7, 40])
def test_limits_are_those_of_astropy(n):
    k = np.arange(n + 1)
    low, high = jeffreys(k, n)
    expected = binom_conf_interval(k, n, confidence_level=0.95, interval="jeffreys")
    inner = slice(1, n)
    np.testing.assert_allclose((low[inner], high[inner]), expected[:, inner], rtol=1e-6)
    assert (low[0], high[-1]) == (0, 1)
    np.testing.assert_allclose((high[0], low[-1]), (expected[1, 0], expected[0, -1]), rtol=1e-6)


def test_cells_hold_each_object_once():
    sample = sample_of(500, np.random.default_rng(1))
    cells = sample.cells()
    assert sum(cell.n for cell in cells) == 500
    assert sum(cell.n_recovered for cell in cells) == sample.is_recovered.sum()
    radius, snr = (sample.properties[name] for name in EDGES)
    for cell in cells:
        (r_low, r_high), (s_low, s_high) = cell.bounds.values()
        inside = [i for i in range(500) if r_low <= radius[i] < r_high and s_low <= snr[i] < s_high]
        assert (cell.n, cell.n_recovered) == (len(inside), sum(sample.is_recovered[i] for i in inside))
        if inside:
            assert cell.middle["arc_snr"] == np.median(snr[inside])
            assert cell.completeness.value == cell.n_recovered / cell.n
            assert (cell.completeness.low, cell.completeness.high) == tuple(map(float, jeffreys(cell.n_recovered, cell.n)))
        else:
            assert cell.completeness is None


def test_an_object_on_an_edge_is_in_the_upper_cell():
    snr = np.array([19.9, 20.0, 29.9, 30.0, 49.9, 50.0, 79.9, 80.0])
    radius = np.array([0.49, 0.5, 0.74, 0.75, 0.99, 1.0, 1.49, 1.5])
    sample = Sample(np.full(8, "single"), {"arc_snr": snr, "einstein_radius_arcsec": radius}, np.ones(8, bool))
    for name in EDGES:
        assert [cell.n for cell in sample.cells({name: EDGES[name]})] == [1, 2, 2, 2, 1]


def test_cells_keep_kinds_apart():
    rng = np.random.default_rng(2)
    one, other = sample_of(30, rng), sample_of(20, rng, kind="double_ring")
    joined = {name: np.concatenate([one.properties[name], other.properties[name]]) for name in one.properties}
    both = Sample(np.concatenate([one.kind, other.kind]), joined, np.repeat([True, False], [30, 20]))
    cells = both.cells({"arc_snr": EDGES["arc_snr"]})
    assert {(cell.kind, cell.n == cell.n_recovered) for cell in cells if cell.n} == {("single", True), ("double_ring", False)}
    found = both.at("single"), both.at("double_ring")
    assert [(one.value, one.low if one.value == 0 else one.high) for one in found] == [(1, 1), (0, 0)]


def test_few_objects_of_a_kind_have_a_wide_interval():
    found = Sample(np.full(2, "single"), {}, np.array([True, False])).at("single")
    assert (found.n, found.value) == (2, 0.5)
    assert found.low < 0.1
    assert found.high > 0.9


def test_without_properties_all_objects_count_alike():
    sample = sample_of(200, np.random.default_rng(3))
    found = sample.at("single")
    k = int(sample.is_recovered.sum())
    assert (found.n, found.value) == pytest.approx((200, k / 200))
    assert (found.low, found.high) == pytest.approx(tuple(map(float, jeffreys(k, 200))))


def test_intervals_hold_a_known_completeness():
    """At least 90 % of the 95 % intervals of 200 nights at three places hold the truth."""

    def chance(radius, snr):
        return 0.9 / (1 + np.exp(-(np.log(snr) - 3.4) / 0.4)) * np.clip(0.6 + 0.4 * np.log(radius / 0.4), 0.2, 1)

    rng, held = np.random.default_rng(4), []
    for _ in range(200):
        sample = sample_of(400, rng, chance)
        for radius, snr in ((0.7, 35.0), (0.9, 60.0), (0.6, 25.0)):
            found = sample.at("single", einstein_radius_arcsec=radius, arc_snr=snr)
            held.append(found.low <= float(chance(np.array([radius]), np.array([snr]))[0]) <= found.high)
    assert np.mean(held) >= 0.9


def test_weights_are_those_of_the_formula():
    rng = np.random.default_rng(5)
    points, is_recovered, at = rng.normal(size=(40, 2)), rng.random(40) < 0.5, np.array([[0.3, -0.2]])
    scatter = [min(x.std(), (np.quantile(x, 0.75) - np.quantile(x, 0.25)) / 1.349) for x in points.T]
    w = [
        np.exp(-sum(((p - a) / (s * 40 ** (-1 / 6))) ** 2 for p, a, s in zip(point, at[0], scatter, strict=True)) / 2)
        for point in points
    ]
    found = weighted(points, is_recovered, at)
    assert found.n == pytest.approx(sum(w) ** 2 / sum(x * x for x in w))
    assert found.value == pytest.approx(sum(x for x, y in zip(w, is_recovered, strict=True) if y) / sum(w))


def test_outliers_do_not_widen_the_gaussian():
    """The quartiles of these 41 objects are -1 and 1, however far away the outer two are."""
    x = np.array([-1000, *np.linspace(-1.9, 1.9, 39), 1000])
    w = np.exp(-((x / (2 / 1.349 * 41 ** (-1 / 5))) ** 2) / 2)
    found = weighted(x[:, None], np.ones(41, bool), np.array([[0.0]]))
    assert found.n == pytest.approx(w.sum() ** 2 / (w**2).sum())


def test_a_population_has_the_mean_of_its_objects():
    sample = sample_of(300, np.random.default_rng(6), lambda _, snr: np.clip(snr / 80, 0, 1))
    radius, snr = [0.6, 0.9, 1.2], [25.0, 40.0, 60.0]
    each = [sample.at("single", einstein_radius_arcsec=r, arc_snr=s) for r, s in zip(radius, snr, strict=True)]
    together = sample.of_population("single", {"einstein_radius_arcsec": radius, "arc_snr": snr})
    assert together.value == pytest.approx(np.mean([one.value for one in each]))
    assert max(one.n for one in each) < together.n < 300
    assert together.low < together.value < together.high


def test_distances_of_ratios_are_logarithmic():
    """Objects a factor of two below and above count alike, and the completeness of both halves is in the middle."""
    n = 50
    snr = np.concatenate([np.full(n, 20.0), np.full(n, 80.0)])
    others = dict.fromkeys(
        ("einstein_radius_arcsec", "source_vis_minus_h", "lens_mag_vis", "sky_sigma_vis_ujy"), np.ones(2 * n)
    )
    sample = Sample(np.full(2 * n, "single"), {"arc_snr": snr, **others}, np.repeat([False, True], n))
    assert sample.at("single", arc_snr=40.0).value == pytest.approx(0.5)


def test_outside_the_injected_range_is_refused():
    sample = sample_of(100, np.random.default_rng(7))
    for name, values in sample.properties.items():
        for wrong in (values.min() * 0.99 - 0.01, values.max() * 1.01 + 0.01, np.nan):
            with pytest.raises(CompletenessError, match=f"{name} of a single must be in the range that was injected"):
                sample.at("single", **{name: wrong})
    with pytest.raises(CompletenessError, match="subclass must be one that was injected, single, got 'double_ring'"):
        sample.at("double_ring")
    with pytest.raises(CompletenessError, match=r"a property must be one of .*, got colour"):
        sample.at("single", colour=1.0)


def test_few_objects_near_the_point_are_refused():
    points = np.concatenate([np.zeros(200), np.full(3, 50.0)])[:, None] + np.random.default_rng(8).normal(size=(203, 1))
    with pytest.raises(CompletenessError, match=rf"must be worth {MIN_EFFECTIVE:g}, got [0-3]\."):
        weighted(points, np.ones(203, bool), np.array([[50.0]]))
    with pytest.raises(CompletenessError, match=r"got 0\.0"):
        weighted(points, np.ones(203, bool), np.array([[0.0], [1e6]]))


def test_five_objects_are_enough_and_four_are_not():
    found = weighted(np.zeros((5, 1)), np.arange(5) < 3, np.zeros((1, 1)))
    assert (found.n, found.value) == pytest.approx((5, 0.6))
    with pytest.raises(CompletenessError, match=r"must be worth 5, got 4\.0"):
        weighted(np.zeros((4, 1)), np.ones(4, bool), np.zeros((1, 1)))


def test_a_completeness_reads_as_percent():
    found = Sample(np.full(8, "single"), {}, np.arange(8) < 6).at("single")
    assert str(found) == "75 % (41\u201394 %)"
