"""Cutouts of one field, cut at known places: the reader puts them on top of each other by their headers."""

import numpy as np
import pytest
from astropy.io import fits

from scanner.files.fits_image import FitsReader
from scanner.sources.band_alignment import read_aligned
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.cutouts import sky_header

BANDS = ("VIS", "Y", "J", "H")
N, SIDE = 300, 120
FIELD = np.random.default_rng(8).normal(size=(N, N)).astype(np.float32)
"""One sky in every band: a pixel of one band is known in the others."""


def cut(at_x=90, at_y=90, side=SIDE):
    """Return an HDU of the field from a column and a row on, with the WCS that says so."""
    header = sky_header(n_pixels=N)
    header["CRPIX1"] -= at_x
    header["CRPIX2"] -= at_y
    return fits.ImageHDU(FIELD[at_y : at_y + side, at_x : at_x + side], header)


def write(tmp_path, **hdus):
    """Write one file with a band in each extension, `cut()` unless another is given; return the references."""
    for band in BANDS:
        hdus.setdefault(band, cut()).name = band
    path = tmp_path / "object.fits"
    fits.HDUList([fits.PrimaryHDU(), *(hdus[band] for band in BANDS)]).writeto(path)
    return {band: f"{path}#{band}" for band in BANDS}


def read(references, bands=BANDS, scale=None):
    return read_aligned(FitsReader(), references, bands, scale)


def test_bands_of_one_place_stay_as_they_are(tmp_path):
    aligned = read(write(tmp_path))
    assert aligned.notes == ()
    for image in aligned.images.values():
        np.testing.assert_array_equal(image.pixels, FIELD[90:210, 90:210])
        assert image.outside is None


@pytest.mark.parametrize(("dx", "dy"), [(26, -6), (-3, 0), (0, 1), (-1, -40)])
def test_a_band_cut_elsewhere_is_moved_back(tmp_path, dx, dy):
    aligned = read(write(tmp_path, H=cut(90 + dx, 90 + dy)))
    assert aligned.notes == (f"aligned by WCS: H {np.hypot(dx, dy) * 0.1:.2f} arcsec",)
    image = aligned.images["H"]
    inside = ~image.outside
    # The pixels that both cutouts hold, and no others.
    assert inside.sum() == (SIDE - abs(dx)) * (SIDE - abs(dy))
    np.testing.assert_array_equal(image.pixels[inside], FIELD[90:210, 90:210][inside])


def test_images_of_other_sizes_share_their_middle(tmp_path):
    aligned = read(write(tmp_path, Y=cut(80, 80, 140), J=cut(89, 89, 121)))
    assert aligned.notes == ()
    assert aligned.images["Y"].pixels.shape == (140, 140)


def test_only_more_than_half_a_pixel_is_moved(tmp_path):
    hdus = {}
    for band, off in (("Y", 0.5), ("J", 0.52)):
        hdus[band] = cut()
        hdus[band].header["CRPIX1"] += off
    aligned = read(write(tmp_path, **hdus))
    assert aligned.notes == ("aligned by WCS: J 0.10 arcsec",)
    np.testing.assert_array_equal(aligned.images["J"].pixels[:, :-1], FIELD[90:210, 91:210])


def test_the_first_band_that_is_read_stays(tmp_path):
    references = write(tmp_path, VIS=cut(100, 90))
    assert read(references).notes == ("aligned by WCS: Y 1.00, J 1.00, H 1.00 arcsec",)
    assert read(references, ("H", "VIS")).notes == ("aligned by WCS: VIS 1.00 arcsec",)


def test_a_band_without_the_place_is_refused(tmp_path):
    references = write(tmp_path, J=cut(0, 180))
    with pytest.raises(Rejection) as caught:
        read(references)
    assert caught.value.code == RejectCode.BAD_WCS
    assert caught.value.detail.startswith(
        "J: by its WCS, ra=150.000000, dec=2.000000, the middle of the first band, lies at x=149.5"
    )


@pytest.mark.parametrize(
    ("card", "value", "says"),
    [
        ("CTYPE1", None, ()),
        ("CRPIX2", None, ("not aligned by WCS, which cannot be used: Y",)),
        ("CRVAL2", 200.0, ("not aligned by WCS, which cannot be used: Y",)),
        ("LONPOLE", "x", ("not aligned by WCS, which cannot be used: Y",)),
        ("CTYPE1", "RA---TAB", ("not aligned by WCS, which cannot be used: Y",)),
    ],
)
def test_a_band_without_a_plain_wcs_stays(tmp_path, card, value, says):
    bare = cut(110, 90)
    bare.header["PIXSCALE"] = 0.1
    if value is None:
        del bare.header[card]
    else:
        bare.header[card] = value
    aligned = read(write(tmp_path, Y=bare))
    assert aligned.notes == says
    np.testing.assert_array_equal(aligned.images["Y"].pixels, FIELD[90:210, 110:230])


def test_turned_and_mirrored_axes_are_noted(tmp_path):
    turned, mirrored, hardly = cut(), cut(), cut()
    cos, sin = np.cos(np.radians(30)) * 0.1 / 3600, np.sin(np.radians(30)) * 0.1 / 3600
    for header, matrix in ((turned.header, (-cos, sin, sin, cos)), (mirrored.header, (0.1 / 3600, 0, 0, 0.1 / 3600))):
        for name, value in zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), matrix, strict=True):
            header[name] = value
    hardly.header["CD1_2"] = hardly.header["CD2_1"] = 0.1 / 3600 * np.sin(np.radians(1))
    aligned = read(write(tmp_path, Y=turned, J=mirrored, H=hardly))
    assert aligned.notes == ("axes differ by WCS: Y 30 deg, J mirrored",)


def test_a_missing_image_names_its_band(tmp_path):
    references = write(tmp_path)
    with pytest.raises(Rejection, match="H: no image is named"):
        read({**references, "H": None})
    with pytest.raises(Rejection, match=r"H: .*no extension"):
        read({**references, "H": references["H"] + "X"})
