"""Galaxies whose light in one band lies off the others by a known amount."""

import numpy as np
from astropy.io import fits

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER, MER_PIXEL_ARCSEC
from tests.cutouts import MER_NAMES, sky_header

FWHM_PER_SIGMA = 2.3548


def gaussian(band, grid, x_arcsec, y_arcsec, size_arcsec, peak):
    """Return a Gaussian galaxy through the Gaussian PSF of a band, integrated over no pixel, at a place from the centre."""
    at = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
    sigma = np.hypot(size_arcsec, EUCLID[band].psf_fwhm_arcsec / FWHM_PER_SIGMA)
    squared = (at[None, :] - x_arcsec) ** 2 + (at[:, None] - y_arcsec) ** 2
    return peak * (size_arcsec / sigma) ** 2 * np.exp(-0.5 * squared / sigma**2)


def stamps_of(geometry, rng, shift_arcsec=(0.0, 0.0), peak=200.0, band="H", extra=()):
    """Return one object; `extra` holds (band, x, y, size, peak) of light that only one band has."""
    stamps = {}
    for name, grid in geometry.grids.items():
        dx, dy = shift_arcsec if name == band else (0.0, 0.0)
        image = gaussian(name, grid, 0.13 + dx, -0.21 + dy, 0.4, peak) + gaussian(name, grid, 2.1 + dx, 1.3 + dy, 0.3, peak / 4)
        image += sum(gaussian(name, grid, *place) for only, *place in extra if only == name)
        stamps[name] = (image + rng.normal(0, 1, image.shape)).astype(np.float32)[None]
    return stamps


def write_shifted(path, shift_pixels=(0, 0), *, is_stated=True, seed=0):
    """Write a Euclid cutout whose H is cut from another place of one field; its WCS says so, or is that of the other bands."""
    hdus = [fits.PrimaryHDU()]
    dx, dy = shift_pixels
    stamps = stamps_of(MER, np.random.default_rng(seed), (dx * MER_PIXEL_ARCSEC, dy * MER_PIXEL_ARCSEC))
    for name, band in zip(MER_NAMES, MER.grids, strict=True):
        header = sky_header(n_pixels=MER.grids[band].n_pixels)
        if band == "H" and is_stated:
            header["CRPIX1"] += dx
            header["CRPIX2"] += dy
        hdus.append(fits.ImageHDU(stamps[band][0], header, name=name))
    fits.HDUList(hdus).writeto(path)
    return str(path)
