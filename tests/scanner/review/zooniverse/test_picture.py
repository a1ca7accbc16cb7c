"""Pictures for volunteers: all candidates alike, the north up, and small enough for Zooniverse."""

import io

import numpy as np
from PIL import Image

from scanner.review.candidate import CandidatePixels
from scanner.review.stretch import BRIGHT, FAINT
from scanner.review.zooniverse.manifest import MOST_BYTES
from scanner.review.zooniverse.picture import GAP_PIXELS, SCALE, candidate_png
from tests.scanner.review.zooniverse.exports import pixels

SIDE = 80 * SCALE
STEP = SIDE + GAP_PIXELS


def drawn(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_every_pixel_is_a_square_of_the_survey(rng):
    made = pixels(rng)
    data = candidate_png(made)
    shown = drawn(data)
    assert shown.shape == (2 * STEP - GAP_PIXELS, 2 * STEP - GAP_PIXELS, 3)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) < MOST_BYTES / 2
    for i, stretch in enumerate((FAINT, BRIGHT)):
        grey = shown[i * STEP : i * STEP + SIDE, :SIDE]
        # The first row of pixels is the southernmost, the first row of a picture the northernmost.
        for y, x in ((0, 0), (0, 79), (79, 0), (40, 40), (13, 60)):
            square = grey[(79 - y) * SCALE : (80 - y) * SCALE, x * SCALE : (x + 1) * SCALE]
            assert (square == stretch.of(made.in_sky[0, y, x])).all()
            red, green, blue = shown[i * STEP + (79 - y) * SCALE, STEP + x * SCALE]
            vis, near, middle, far = made.in_sky[:, y, x]
            assert (red, green, blue) == tuple(stretch.of(np.array([0.55 * far, 0.35 * (near + middle), vis])))
    assert (shown[:SIDE, SIDE:STEP] == 128).all()


def test_a_candidate_of_an_older_scan_has_its_colour_picture(rng):
    made = pixels(rng, has_bands=False)
    shown = drawn(candidate_png(made))
    assert shown.shape == (SIDE, 2 * STEP - GAP_PIXELS, 3)
    np.testing.assert_array_equal(shown[::SCALE, STEP::SCALE], made.rgb[::-1])
    np.testing.assert_array_equal(shown[::SCALE, :SIDE:SCALE], np.repeat(made.rgb[::-1, :, 2:], 3, 2))


def test_the_stretch_is_not_that_of_the_object(rng):
    """A bright neighbour changes no other pixel."""
    made = pixels(rng)
    brighter = made.in_sky.copy()
    brighter[:, 10, 10] = 1e6
    before, after = (
        drawn(candidate_png(CandidatePixels(p, made.rgb, made.guided, made.occlusion))) for p in (made.in_sky, brighter)
    )
    changed = (before != after).any(2)
    assert changed.sum() <= 4 * SCALE**2
    assert candidate_png(made) == candidate_png(made)


def test_pixels_without_a_value_are_black():
    empty = np.zeros((80, 80, 3), np.uint8)
    made = CandidatePixels(np.full((4, 80, 80), -50, np.float32), empty, empty[..., 0], empty[..., 0])
    assert set(np.unique(drawn(candidate_png(made)))) == {0, 128}
