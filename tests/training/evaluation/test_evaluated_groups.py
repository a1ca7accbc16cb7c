"""Groups of an evaluation, and the probe of colour, by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from tests.training.evaluation.known_scores import PREVALENCE, natural, replaced
from training.evaluation.evaluate import CELLS, RATES, evaluate_scores


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """Draw ten times fewer resamples: no test here depends on the details of bootstrap intervals."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 100)
        yield


def test_cells_of_several_properties_need_a_hundred_lenses(tables):
    p = np.where(np.arange(250) < 240, 0.5, 0.9)
    p[140:165] = 0.95
    given = replaced(
        tables,
        p,
        kind=["single"] * 240 + ["nonlens"] * 10,
        arc_to_lens_flux=[0.2] * 140 + [0.8] * 100 + [None] * 10,
        n_galaxies_inside=[1] * 41 + [0] * 199 + [None] * 10,
        einstein_radius1_arcsec=[1.0] * 240 + [None] * 10,
    )
    found = [g for g in evaluate_scores(*given, PREVALENCE, 0, np.full(100, 0.6)).groups if g.property == ", ".join(CELLS)]
    # The cell with one galaxy inside holds 41 lenses, that without and with a flux ratio of 0.2 holds 99.
    assert [(g.group, g.n, g.above[0].value) for g in found] == [("0.8 to inf; 0 to 1; 0.8 to 1.3", 100, 0.25)]


def test_groups_of_twenty_objects_at_edges(tables):
    """Non-lenses have lens magnitudes and morphologies too, and some have no morphology."""
    given = replaced(
        tables,
        [0.6] * 5 + [0.5] * 5 + [0.2] * 29 + [0.6] * 4 + [0.1] * 36,
        kind=["single"] * 20 + ["double_ring"] * 19 + ["nonlens"] * 40,
        morphology=["ring"] * 59 + [None] * 20,
        lens_mag_vis=[18.0] * 79,
        n_galaxies_inside=[1] * 20 + [2] * 19 + [None] * 40,
    )
    found = evaluate_scores(*given, PREVALENCE, 0, natural(0.6, 0.5), (0.5,))
    assert [(g.property, g.group, g.n, *(of.value for of in g.above), g.kept.value) for g in found.groups] == [
        ("kind", "single", 20, 0, 5 / 20, 10 / 20),
        ("look-alike", "ring", 20, 0, 4 / 20, 4 / 20),
        ("morphology", "ring", 39, 0, 5 / 39, 10 / 39),
        ("lens_mag_vis", "18 to 19", 39, 0, 5 / 39, 10 / 39),
        ("n_galaxies_inside", "1 to 2", 20, 0, 5 / 20, 10 / 20),
    ]
    assert [found.overall[f"recall_single_at_{rate:g}"].value for rate in RATES] == [0, 0.25]


def test_the_colour_probe_finds_scores_that_depend_on_colour(tables):
    scores, truth = tables
    colour = np.array([np.nan if c is None else c for c in truth["source1_vis_minus_h"].to_pylist()], float)
    p = np.where(np.nan_to_num(colour, nan=9.0) < 1.0, 0.9, 0.5 * scores["p_lens"].to_numpy())
    biased = scores.set_column(2, "p_lens", pa.array(p, mask=np.array(scores["status"].to_pylist()) != "scored"))
    fair, unfair = (
        evaluate_scores(s, truth, PREVALENCE, np.random.default_rng(0)).overall["recall_blue_minus_red"]
        for s in (scores, biased)
    )
    assert fair.low < 0 < fair.high
    assert unfair.low > 0.2


def test_the_colour_probe_by_hand(tables):
    """Arcs of equal magnitude: blue sources are 2.5 mag fainter, and magnified ten times."""
    # Of each: arc magnitude, VIS - H, sources, and those above the threshold.
    rows = [(21.2, 0.9, 4, 3), (21.2, 1.6, 2, 1), (21.2, 1.0, 9, 9), (21.2, 1.5, 9, 0)]
    rows += [(22.2, 0.9, 3, 2), (22.2, 1.6, 6, 3), (23.2, 0.9, 1, 1), (23.2, 1.6, 9, 0)]
    blue = [colour < 1 for _, colour, n, _ in rows for _ in range(n)]
    mag = np.array([mag for mag, _, n, _ in rows for _ in range(n)]) + np.where(blue, 2.5, 0)
    given = replaced(
        tables,
        [0.7 if i < n_above else 0.3 for _, _, n, n_above in rows for i in range(n)] + [0.1],
        kind=["single"] * len(blue) + ["nonlens"],
        source1_mag_vis=[*mag, None],
        magnification1=[*np.where(blue, 10.0, 1.0), None],
        source1_vis_minus_h=[colour for _, colour, n, _ in rows for _ in range(n)] + [None],
    )
    found = evaluate_scores(*given, PREVALENCE, 0, natural(0.9, 0.5)).overall["recall_blue_minus_red"]
    # Weights of a difference of means of n and m objects are n m / (n + m).
    first, second = (4 / 3) / (4 / 3 + 2), 2 / (4 / 3 + 2)
    value = first * (3 / 4 - 1 / 2) + second * (2 / 3 - 3 / 6)
    variances = (1 / 4) / 4 + (1 / 2) / 2, (1 / 3) / 3 + (3 / 10) / 6
    half = 1.96 * math.sqrt(first**2 * variances[0] + second**2 * variances[1])
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half))
