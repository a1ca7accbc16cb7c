"""Tests of the figures with maps: each map lies below its object, in the right place and colours."""

import numpy as np
import pytest

from scanner.explain.explanation import NetworkMaps
from scanner.vocabulary.geometry import CHALLENGE
from training.reproduction.map_figures import Pictured, guided_figure, occlusion_figure

NAMES = ("first", "second")


@pytest.fixture
def objects():
    rng = np.random.default_rng(0)
    stamps = {band: rng.normal(0, 1, (2, grid.n_pixels, grid.n_pixels)) for band, grid in CHALLENGE.grids.items()}
    return Pictured(NAMES, {band: images.astype(np.float32) for band, images in stamps.items()}, CHALLENGE)


@pytest.fixture
def maps():
    occlusion = np.random.default_rng(1).normal(0, 1, (2, 50, 50)).astype(np.float32)
    guided = np.zeros((2, 200, 200), np.float32)
    guided[0, 150, 20] = 1.0
    guided[0, 100:140, 100:140] = 0.5
    return NetworkMaps("OU-200", 20.0, np.array([0.25, 0.75], np.float32), occlusion, 20.0, guided[:, 0], guided)


def test_occlusion_lies_below_its_object(objects, maps):
    figure = occlusion_figure(objects, [maps])
    (first, second), (below_first, below_second) = figure.axes[:2], figure.axes[2:]
    assert [axis.get_title() for axis in (first, second)] == [*NAMES]
    for row, (above, below) in enumerate(((first, below_first), (second, below_second))):
        assert above.get_position().x0 == below.get_position().x0
        assert above.get_position().y0 > below.get_position().y1
        assert np.array_equal(below.images[0].get_array(), maps.occlusion[row])
        assert below.get_title().startswith(f"p {maps.p_lens[row]:.3f}")


def test_hidden_support_is_blue_and_no_change_white(objects, maps):
    below = occlusion_figure(objects, [maps]).axes[2].images[0]
    low, middle, high = (below.cmap(below.norm(value)) for value in (below.norm.vmin, 0.0, below.norm.vmax))
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert middle[:3] == pytest.approx((1, 1, 1), abs=0.01)
    assert below.norm.vmin == -below.norm.vmax


def test_maps_cover_the_stamp_about_its_middle(objects, maps):
    below = occlusion_figure(objects, [maps]).axes[2]
    assert below.images[0].get_extent() == [-10, 10, -10, 10]
    assert (below.get_xlim(), below.get_ylim()) == ((-10, 10), (-10, 10))


def test_guided_maps_are_brightest_where_they_are_largest(objects, maps):
    figure = guided_figure(objects, maps)
    drawn = figure.axes[2].images[0].get_array()
    assert drawn[150, 20] == drawn.max() == 1
    assert drawn[0, 0] == 0
    assert figure.axes[3].get_title().endswith("nothing")
    assert "nothing" not in figure.axes[2].get_title()
    assert figure.axes[2].get_ylabel() == "OU-200"
