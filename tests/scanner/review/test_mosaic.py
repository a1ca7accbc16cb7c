"""A mosaic as PNG: each candidate's pixels are where its caption is."""

import numpy as np
import pytest
from PIL import Image

from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from scanner.review.candidate import CandidatePixels
from scanner.review.mosaic import MOST_DRAWN, MosaicError, mosaic, write_mosaic
from scanner.review.stored_pixels import stored_pixels
from scanner.review.stretch import BRIGHT, FAINT, colour_picture, vis_picture
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.night import hostile_night


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("mosaic") / "catalogue")
    hostile_night(root, 8, 6)
    return root


def places_of(sheet, picture):
    """Return where a picture, enlarged, lies in a sheet: the left upper corners."""
    wanted = np.asarray(Image.fromarray(picture).convert("RGB").resize((160, 160), Image.Resampling.NEAREST))
    starts = np.argwhere((sheet[: len(sheet) - 159, : sheet.shape[1] - 159] == wanted[0, 0]).all(axis=2))
    return [(int(left), int(top)) for top, left in starts if np.array_equal(sheet[top : top + 160, left : left + 160], wanted)]


def test_vis_and_colour_lie_beside_each_other(root, tmp_path):
    path = tmp_path / "m.png"
    assert write_mosaic(root, Wanted(limit=3), path) == 3
    sheet = np.asarray(Image.open(path).convert("RGB"))
    rows = query(root, Wanted(limit=3))
    corners = []
    for _, pixels in sorted(stored_pixels(root, rows)):
        (vis,) = places_of(sheet, vis_picture(pixels.in_sky, FAINT))
        (colour,) = places_of(sheet, colour_picture(pixels.in_sky, BRIGHT))
        assert colour == (vis[0] + 160, vis[1])
        corners.append(vis)
    # Best first, line by line.
    assert corners == sorted(corners, key=lambda corner: (corner[1], corner[0]))
    assert list(tmp_path.iterdir()) == [path]


def test_captions_are_drawn_above_the_pictures():
    blank = CandidatePixels(
        np.full((4, 80, 80), -9, np.float32), np.zeros((80, 80, 3), np.uint8), np.zeros((40, 40)), np.zeros((8, 8))
    )
    one = {"object_id": 1, "candidate_id": "EUCL J1", "p_lens": 0.5, "subclass": "single"}
    sheets = [np.asarray(mosaic([one | change], {0: blank})) for change in ({}, {"candidate_id": "EUCL J2"}, {"p_lens": 0.6})]
    differ = [np.flatnonzero((sheets[0] != other).any(axis=(1, 2))) for other in sheets[1:]]
    assert differ[0].max() < differ[1].min() <= differ[1].max() < 42
    assert sheets[0].shape[1] < 400
    nothing = np.asarray(mosaic([one | {"candidate_id": None, "p_lens": None, "subclass": None}], {}))
    assert nothing.shape == sheets[0].shape
    assert (nothing[42:] > 100).any(), "it says that there are no pixels"


def test_an_old_candidate_has_its_stored_picture(rng):
    stored = rng.integers(0, 255, (80, 80, 3), np.uint8)
    old = CandidatePixels(None, stored, np.zeros((40, 40)), np.zeros((8, 8)))
    sheet = np.asarray(mosaic([{"object_id": 1}], {0: old}))
    assert len(places_of(sheet, stored[::-1])) == len(places_of(sheet, stored[::-1, :, 2])) == 1


def test_what_cannot_be_drawn_is_said(root, tmp_path):
    for limit in (None, MOST_DRAWN + 1):
        with pytest.raises(MosaicError, match="at most 400 candidates"):
            write_mosaic(root, Wanted(limit=limit), tmp_path / "m.png")
    plain = str(tmp_path / "plain")
    finished(plain, {"a": {1: 0.9}})
    with pytest.raises(MosaicError, match="none of 1 candidates has pixels"):
        write_mosaic(plain, Wanted(limit=5), tmp_path / "m.png")
    with pytest.raises(MosaicError, match=r"plain: no candidate meets these conditions$"):
        write_mosaic(plain, Wanted(min_p_lens=0.95, limit=5), tmp_path / "m.png")
    assert not (tmp_path / "m.png").exists()
