"""Pictures at fixed stretches: the same value has the same grey in every picture, and the north is up."""

import numpy as np
import pytest

from scanner.review.stretch import BRIGHT, FAINT, colour_picture, vis_picture


@pytest.mark.parametrize("stretch", [FAINT, BRIGHT])
def test_a_value_has_one_grey(stretch):
    values = np.linspace(stretch.black_sigma - 5, stretch.white_sigma * 1.5, 4001)
    greys = stretch.of(values)
    assert (greys[0], greys[-1]) == (0, 255)
    assert np.all(np.diff(greys.astype(int)) >= 0)
    assert (stretch.of(np.array([stretch.black_sigma])), stretch.of(np.array([stretch.white_sigma]))) == (0, 255)
    # Independent of the other pixels.
    assert stretch.of(values[1000:1001]) == greys[1000]
    ends = np.arcsinh(np.array([stretch.black_sigma, stretch.white_sigma]) / stretch.softening_sigma)
    expected = (np.arcsinh(7 / stretch.softening_sigma) - ends[0]) / (ends[1] - ends[0]) * 255
    assert abs(int(stretch.of(np.array(7.0))) - expected) <= 0.5


def test_faint_shows_the_noise_and_bright_the_core():
    noise, core = np.array([-1.0, 1.0]), np.array([50.0, 150.0])
    assert np.ptp(FAINT.of(noise).astype(int)) > 4 * np.ptp(BRIGHT.of(noise).astype(int))
    assert np.ptp(FAINT.of(core)) == 0
    assert np.ptp(BRIGHT.of(core).astype(int)) > 30
    assert (FAINT.in_words, BRIGHT.in_words) == ("\u22122\u03c3 to 30\u03c3", "\u22124\u03c3 to 250\u03c3")


def test_bands_become_colours_and_the_last_row_is_up():
    in_sky = np.zeros((4, 3, 3), np.float32)
    in_sky[0, 2, 0], in_sky[1, 0, 0], in_sky[2, 0, 1], in_sky[3, 0, 2] = 20, 20, 20, 20
    vis, colour, sky = vis_picture(in_sky, FAINT), colour_picture(in_sky, FAINT), int(FAINT.of(np.array(0.0)))
    assert (vis[0, 0], vis[2, 0]) == (FAINT.of(np.array(20.0)), sky)
    channels = {name: colour[y, x] > sky for name, (y, x) in {"VIS": (0, 0), "Y": (2, 0), "J": (2, 1), "H": (2, 2)}.items()}
    assert {name: np.flatnonzero(found).tolist() for name, found in channels.items()} == {
        "VIS": [2],
        "Y": [1],
        "J": [1],
        "H": [0],
    }
    assert colour[2, 2, 0] == FAINT.of(np.array(0.55 * 20))
    assert colour[2, 0, 1] == FAINT.of(np.array(0.35 * 20))
