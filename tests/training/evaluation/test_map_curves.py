"""Tests of insertion and deletion."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from scanner.explain.occlusion import Masks
from tests.training.evaluation.scenes import scene
from training.evaluation.map_curves import Curves, areas, untied
from training.evaluation.relevance import Cells


def test_a_true_map_uncovers_the_lens_before_chance(rng):
    truth = scene(4)[1]
    inputs = truth[:, None].astype(np.float32)

    def scores(shown):
        return shown.sum(axis=(1, 2, 3)) / truth.sum(axis=(1, 2))

    figures = Curves(scores, inputs, 20, rng).figures(truth.astype(float), Cells(Masks(1, 1), 0))
    # Fewer than a twentieth of the pixels are arc: the first step shows the whole arc.
    assert figures["insertion_auc"] == pytest.approx(1 - 0.5 / 20)
    assert figures["deletion_auc"] == pytest.approx(0.5 / 20)
    assert figures["insertion_auc_random"] == pytest.approx(0.5, abs=0.05)
    assert figures["deletion_auc_random"] == pytest.approx(0.5, abs=0.05)


def test_areas_equal_those_of_scipy(rng):
    curves = rng.random((5, 21))
    np.testing.assert_allclose(areas(curves), trapezoid(curves, dx=1 / 20, axis=1))


def test_equal_pixels_get_a_random_order(rng):
    maps = np.zeros((2, 10, 10))
    maps[:, 4:6] = rng.random((2, 2, 10)) + 1
    places = untied(maps, rng)
    assert all(sorted(some.ravel()) == list(range(100)) for some in places)
    np.testing.assert_array_equal(np.argsort(places[:, 4:6].reshape(2, -1)), np.argsort(maps[:, 4:6].reshape(2, -1)))
    assert places[:, 4:6].min() == 80
    assert 20 < places[0, :4].mean() < 60
