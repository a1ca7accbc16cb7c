import numpy as np
import pytest
from astropy.io import fits

from infra.progress import no_progress
from simulation.textures import cutting
from simulation.textures.images import specimens_of_images
from simulation.textures.library import TextureError
from tests.cutouts import sky_header
from tests.simulation import textures_made as made


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Write a field with a pixel scale and a zero point in its second extension, and without either in its primary HDU."""
    path = tmp_path_factory.mktemp("field") / "field.fits"
    header = sky_header(n_pixels=made.FIELD_PIXELS, scale_arcsec=0.2)
    header["MAGZERO"] = 27.0
    image = fits.ImageHDU(made.sky_field(), header, name="SKY")
    fits.HDUList([fits.PrimaryHDU(made.sky_field()), image]).writeto(path)
    return str(path)


def test_galaxies_of_an_image_have_scale_and_magnitude(field):
    calls = []
    found = specimens_of_images(
        [f"{field}#SKY"], lambda done, of: calls.append((done, of)), source="a made field", licence="none"
    )
    assert len(found) == 2
    assert calls == [(0, 1), (1, 1)]
    disc = min(found, key=lambda s: abs(s.x_pixel - made.DISC_AT[0]))
    assert disc.pixel_scale_arcsec == pytest.approx(0.2)
    assert disc.mag_ab == pytest.approx(27 - 2.5 * np.log10(40000), abs=0.05)
    assert (disc.image, disc.source, disc.licence) == ("field.fits#SKY", "a made field", "none")
    assert abs(disc.y_pixel - made.DISC_AT[1]) <= 1


def test_pixels_that_are_summed_are_larger(field, monkeypatch):
    monkeypatch.setattr(cutting, "_MAX_SIDE_PIXELS", 32)
    found = specimens_of_images([f"{field}#SKY"], no_progress)
    assert [s.pixel_scale_arcsec for s in found] == pytest.approx([0.6] * 2)
    assert {len(s.texture.pixels) > 16 for s in found} == {True}


def test_images_come_in_order_each_with_the_given_scale(field):
    found = specimens_of_images([field, f"{field}#SKY"], no_progress, pixel_scale_arcsec=0.168)
    assert [s.image for s in found] == ["field.fits"] * 2 + ["field.fits#SKY"] * 2
    assert {s.pixel_scale_arcsec for s in found} == {0.168}
    assert [s.mag_ab is None for s in found] == [True, True, False, False]


def test_seeing_is_an_angle(field):
    """Stars of this field have a FWHM of 3 pixels of 0.2 arcsec."""
    first, *_ = specimens_of_images([f"{field}#SKY"], no_progress, seeing_arcsec=0.3)
    again, *_ = specimens_of_images([f"{field}#SKY"], no_progress, seeing_arcsec=0.6)
    assert again.texture.blur == pytest.approx(2 * first.texture.blur)
    assert specimens_of_images([f"{field}#SKY"], no_progress, seeing_arcsec=3.0) == []


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{field}", "neither a celestial WCS nor PIXSCALE in the header"),
        ("{field}#NOSUCH", "no extension 'NOSUCH'"),
        ("{folder}/missing.fits", "missing.fits"),
        ("{folder}/text.fits", "text.fits"),
        ("{folder}/small.fits", "small.fits: an image must have at least 32 pixels a side"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(field, tmp_path, reference, message):
    (tmp_path / "text.fits").write_text("no image")
    fits.PrimaryHDU(np.ones((20, 20), np.float32), sky_header(n_pixels=20)).writeto(tmp_path / "small.fits")
    with pytest.raises(TextureError, match=message):
        specimens_of_images([reference.format(field=field, folder=tmp_path)], no_progress)
