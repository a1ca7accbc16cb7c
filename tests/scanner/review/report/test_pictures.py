"""Pictures as PNG: pixels that go in come out, and maps have the colours of their meaning."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from scanner.review.candidate import CandidatePixels
from scanner.review.report.pictures import pictures_of
from scanner.review.stretch import BRIGHT, FAINT, colour_picture, vis_picture


def decoded(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture
def pixels(rng):
    guided, occlusion = np.zeros((40, 40), np.float32), np.zeros((8, 8), np.float32)
    guided[0, 5], guided[39, 39] = 1, 0.5
    occlusion[0, 0], occlusion[7, 0] = -2, 1
    return CandidatePixels(
        rng.normal(0, 20, (4, 80, 80)).astype(np.float32), rng.integers(0, 255, (80, 80, 3), np.uint8), guided, occlusion
    )


def test_each_picture_is_the_stretch_of_its_bands(pixels):
    found = pictures_of(pixels)
    assert [picture.label for picture in found.shown] == ["VIS, faint", "VIS, bright", "colour, faint", "colour, bright"]
    makers = [(vis_picture, FAINT), (vis_picture, BRIGHT), (colour_picture, FAINT), (colour_picture, BRIGHT)]
    for picture, (maker, stretch) in zip(found.shown, makers, strict=True):
        assert np.array_equal(decoded(picture.uri), maker(pixels.in_sky, stretch))
        assert stretch.in_words in picture.alt
    assert [picture.has_maps for picture in found.shown] == [False, True, False, False]


def test_maps_have_the_colours_of_their_meaning(pixels):
    found = pictures_of(pixels)
    guided, occlusion = decoded(found.guided), decoded(found.occlusion)
    # The first row of a map is the southernmost: the last of a picture.
    assert [guided[39, 5, 3], guided[0, 39, 3]] == [217, 108]
    for red, green, blue in (guided[39, 5, :3].astype(int), guided[0, 39, :3].astype(int)):
        assert red > 1.5 * green > 3 * blue, "orange"
    assert (guided[..., 3] > 0).sum() == 2
    (red, _, blue, opacity) = occlusion[7, 0].astype(int)
    assert (blue > 3 * red, opacity) == (True, 217), "what supports a lens is blue"
    (red, _, blue, opacity) = occlusion[0, 0].astype(int)
    assert (red > 3 * blue, opacity) == (True, 108), "what speaks against one is red"
    assert (occlusion[..., 3] > 0).sum() == 2
    assert found.most_change == 2


def test_a_map_of_rounding_errors_has_no_colour(pixels):
    flat = CandidatePixels(pixels.in_sky, pixels.rgb, pixels.guided, np.full((8, 8), 1e-6, np.float32))
    found = pictures_of(flat)
    assert decoded(found.occlusion)[..., 3].max() == 0
    assert found.most_change == 1e-3


def test_an_old_candidate_has_its_stored_picture(pixels):
    found = pictures_of(CandidatePixels(None, pixels.rgb, pixels.guided, pixels.occlusion))
    vis, colour = found.shown
    assert np.array_equal(decoded(colour.uri), pixels.rgb[::-1])
    assert np.array_equal(decoded(vis.uri), pixels.rgb[::-1, :, 2])
    assert (vis.has_maps, colour.has_maps) == (True, False)
