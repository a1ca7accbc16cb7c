"""Small tiles as each survey writes them give its objects at their positions, with their magnitudes, in the named bands.

Files are written as the surveys' documents describe them; the numbers here are typed from them, not from the program.
"""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from scanner.catalogue.find_units import find_input
from scanner.scan.unit_objects import read_unit_objects
from scanner.sources.survey import parse_survey, shipped_survey, shipped_surveys, shipped_text
from scanner.sources.tiles import read_tile_catalogue
from scanner.vocabulary.geometry import CHALLENGE
from tests.cutouts import sky_header

N_PIXELS, RA_DEG, DEC_DEG = 320, 150.0, 2.0
X, Y = np.array([110, 200]), np.array([130, 190])
"""Pixels of two objects."""
IDS = [4213000000000000001, 4213000000000000002]
MAGS = {"r": 19.0, "i": 18.5, "z": 18.2, "y": 18.0}
"""AB magnitude of both objects in each filter; y is also called Y."""


def image_hdus(filter_name, ab_flux, scale_arcsec, noise):
    """Return sky and objects, in units of which `ab_flux` are magnitude 0, and the header with their WCS."""
    flux = ab_flux * 10 ** (-0.4 * MAGS[filter_name.lower()[-1]])
    rng = np.random.default_rng(ord(filter_name[-1]))
    yy, xx = np.mgrid[:N_PIXELS, :N_PIXELS]
    blob = sum(np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * 4.0**2)) for x, y in zip(X, Y, strict=True))
    pixels = flux * (blob / (2 * np.pi * 4.0**2) + noise * rng.normal(size=blob.shape))
    return pixels.astype(np.float32), sky_header(RA_DEG, DEC_DEG, N_PIXELS, scale_arcsec)


def write_hsc(folder):
    """Images in HDU 1 of calexp files, in counts of zero point 27; coordinates of the sources in radians."""
    for name in ("HSC-R", "HSC-I", "HSC-Z", "HSC-Y"):
        pixels, header = image_hdus(name, 10 ** (0.4 * 27), 0.168, 1e-5)
        mask = fits.ImageHDU(np.zeros((N_PIXELS, N_PIXELS), np.int32), header)
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(pixels, header), mask]
        fits.HDUList(hdus).writeto(folder / f"calexp-{name}-9813-4,4.fits")
    return "meas-HSC-I-9813-4,4.fits", 0.168, ("id", "coord_ra", "coord_dec"), np.radians


def write_des(folder):
    """Compressed images in HDU 1, zero point 30; coordinates in degrees."""
    for name in "rizY":
        pixels, header = image_hdus(name, 10 ** (0.4 * 30), 0.263, 1e-5)
        compressed = fits.CompImageHDU(pixels, header, compression_type="RICE_1", quantize_level=64)
        fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(folder / f"DES1000+0209_r4907p01_{name}.fits.fz")
    return "DES1000+0209_dr2_main.fits", 0.263, ("COADD_OBJECT_ID", "RA", "DEC"), np.asarray


def write_kids(folder):
    """Images in the primary HDU, in units of the flux of magnitude 0; the tables have no ids of integers."""
    for name in "ri":
        pixels, header = image_hdus(name, 1.0, 0.2, 1e-5)
        fits.PrimaryHDU(pixels, header).writeto(folder / f"KiDS_DR4.0_150.1_2.2_{name}_sci.fits")
    return "KiDS_DR4.0_150.1_2.2_ugriZYJHKs_cat.fits", 0.2, (None, "RAJ2000", "DECJ2000"), np.asarray


def write_rubin(folder):
    """Images in extension IMAGE, in nJy, beside planes of other names."""
    for name in "rizy":
        pixels, header = image_hdus(name, 3631e9, 0.2, 1e-5)
        mask = fits.ImageHDU(np.zeros((N_PIXELS, N_PIXELS), np.int32), header, name="MASK")
        hdus = [fits.PrimaryHDU(), mask, fits.ImageHDU(pixels, header, name="IMAGE")]
        fits.HDUList(hdus).writeto(folder / f"deep_coadd_5063_14_{name}_lsst_cells_v1_LSSTComCam_runs_DRP.fits")
    return "object_5063_14.fits", 0.2, ("objectId", "coord_ra", "coord_dec"), np.asarray


RUBIN_TABLES = """
[catalogue]
file = "object_{tile}.fits"
id = "objectId"
ra = "coord_ra"
dec = "coord_dec"
"""
"""What the description of Rubin's preview tells people to add, for tables of one patch each."""
SURVEYS = {
    "des-dr2": (write_des, "rizY"),
    "hsc-pdr3": (write_hsc, "rizy"),
    "kids-dr4": (write_kids, "riii"),
    "rubin-dp1": (write_rubin, "rizy"),
}


def test_every_shipped_survey_has_a_tile():
    assert shipped_surveys() == sorted([*SURVEYS, "euclid-mer"])


@pytest.mark.parametrize("name", SURVEYS)
def test_positions_scales_and_magnitudes_of_a_survey_are_read(tmp_path, name):
    write, filters = SURVEYS[name]
    table_name, scale_arcsec, (id_name, *coordinates), in_unit = write(tmp_path)
    true_ra, true_dec = WCS(sky_header(RA_DEG, DEC_DEG, N_PIXELS, scale_arcsec)).pixel_to_world_values(X, Y)
    columns = [fits.Column(id_name, "K", array=IDS)] if id_name else []
    columns += [fits.Column(of, "D", array=in_unit(deg)) for of, deg in zip(coordinates, (true_ra, true_dec), strict=True)]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / table_name)
    survey = shipped_survey(name) if name != "rubin-dp1" else parse_survey((shipped_text(name) + RUBIN_TABLES).encode(), "x")
    (unit,) = find_input(str(tmp_path), survey=survey).units
    table = read_tile_catalogue(str(tmp_path / table_name), survey)
    assert table.ra == pytest.approx(true_ra, abs=1e-9)
    assert table.dec == pytest.approx(true_dec, abs=1e-9)
    if id_name:
        assert table.object_ids.tolist() == IDS
    found = sorted(read_unit_objects(unit, table.object_ids, CHALLENGE, survey), key=lambda one: one.object_id)
    assert [one.object_id for one in found] == sorted(table.object_ids.tolist())
    for one in found:
        for band, filter_name in zip(("VIS", "Y", "J", "H"), filters, strict=True):
            # The stamp holds one object, whose light ends well inside.
            stamp = one.row.stamps[band].astype(float)
            grid = CHALLENGE.grids[band]
            ab_mag = one.zero_points_ab_mag[band] - 2.5 * np.log10(stamp.sum())
            assert ab_mag == pytest.approx(MAGS[filter_name.lower()], abs=0.02)
            offsets_arcsec = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
            radii = np.hypot(offsets_arcsec[:, None], offsets_arcsec)
            light = np.where(radii < 5, stamp, 0)
            centre = (light * offsets_arcsec).sum() / light.sum(), (light * offsets_arcsec[:, None]).sum() / light.sum()
            assert centre == pytest.approx((0, 0), abs=0.6 * scale_arcsec)
            width_arcsec = np.sqrt((light * radii**2).sum() / light.sum() / 2)
            assert width_arcsec == pytest.approx(4.0 * scale_arcsec, rel=0.1)
