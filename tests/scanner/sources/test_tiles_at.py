"""The tile of a position, beside what astropy says."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from scanner.sources.tiles_at import tiles_at
from tests.cutouts import sky_header

NX, NY = 300, 200


def write_mosaic(path, ra):
    header = sky_header(ra, 40.0)
    header["CRPIX1"], header["CRPIX2"] = (NX + 1) / 2, (NY + 1) / 2
    fits.writeto(path, np.zeros((NY, NX), np.float32), header)
    return {"VIS": str(path)}, WCS(header)


def test_a_position_belongs_to_the_tile_it_lies_deepest_in(tmp_path):
    step = 200 * 0.1 / 3600 / np.cos(np.radians(40))
    # Right ascension grows to the left, so the second tile overlaps the left third of the first.
    (one, wcs), (two, wcs_two) = (write_mosaic(tmp_path / f"{i}.fits", 10 + i * step) for i in range(2))
    x = np.array([150, 299.3, 299.7, 60, 40, -0.4, -100, 150, 150, 150])
    y = np.array([100, 100, 100, 100, 100, 100, 100, -0.3, -0.7, 198])
    ra, dec = wcs.all_pix2world(x, y, 0)
    number, unread = tiles_at({"1": one, "2": two}, np.append(ra, [np.nan, 500, 20]), np.append(dec, [40, 40, -95]))
    depth = [
        np.min([px, py, NX - 1 - px, NY - 1 - py], axis=0) for px, py in (w.all_world2pix(ra, dec, 0) for w in (wcs, wcs_two))
    ]
    expected = np.where(np.max(depth, axis=0) > -0.5, np.argmax(depth, axis=0), -1)
    assert number.tolist() == [*expected, -1, -1, -1]
    assert set(expected) == {-1, 0, 1}
    assert unread == {}


def test_a_tile_that_cannot_be_read_is_named(tmp_path):
    one, wcs = write_mosaic(tmp_path / "1.fits", 10.0)
    Path(tmp_path / "2.fits").write_bytes(b"<html>")
    ra, dec = wcs.all_pix2world([5.0], [5.0], 0)
    number, unread = tiles_at({"2": {"VIS": str(tmp_path / "2.fits")}, "1": one}, ra, dec)
    assert number.tolist() == [1]
    assert unread["2"].code == "fits_unreadable"


@pytest.mark.parametrize(
    ("complete", "expected"), [((), [0, 1, 0, 1]), ((0, 1), [0, 1, 0, 1]), ((0,), [0, 0, 0, 1]), ((1,), [1, 1, 0, 1])]
)
def test_tiles_with_all_bands_come_first_well_inside(tmp_path, complete, expected):
    """Distances from the edges are 149 and 109 pixels in the two tiles, 120 and 139, 99 and 59, 60 and 100."""
    step = 40 * 0.1 / 3600 / np.cos(np.radians(40))
    written = [write_mosaic(tmp_path / f"{i}.fits", 10 + i * step) for i in range(2)]
    for mosaics, _ in written:
        with fits.open(mosaics["VIS"]) as file:
            header = file[0].header
        fits.writeto(mosaics["VIS"], np.zeros((2 * NY, NX), np.float32), header, overwrite=True)
    ra, dec = written[0][1].all_pix2world(np.array([150, 120, 200, 60]), np.full(4, NY), 0)
    tiles = {str(i): mosaics | ({"H": "not read"} if i in complete else {}) for i, (mosaics, _) in enumerate(written)}
    assert tiles_at(tiles, ra, dec)[0].tolist() == expected
    far, _ = write_mosaic(tmp_path / "far.fits", 50.0)
    tiles["far"] = {"VIS": far["VIS"], "H": "not read", "Y": "not read"}
    assert tiles_at(tiles, ra, dec)[0].tolist() == expected
