"""Cutouts in FITS files: noise of known seeds, on the sky, in bands that extensions name."""

import numpy as np
from astropy.io import fits

MER_NAMES = ("VIS_FLUX", "NIR_Y_FLUX", "NIR_J_FLUX", "NIR_H_FLUX")
"""Names of the extensions of real Euclid cutouts."""


def sky_header(ra=150.0, dec=2.0, n_pixels=120, scale_arcsec=0.1):
    """Return the header of an image whose middle is at a position."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"] = header["CRPIX2"] = (n_pixels + 1) / 2
    header["CD1_1"], header["CD2_2"] = -scale_arcsec / 3600, scale_arcsec / 3600
    return header


def image(seed, n_pixels=120):
    return np.random.default_rng(seed).normal(size=(n_pixels, n_pixels)).astype(np.float32)


def write_cutout(path, names=MER_NAMES, seed=0, header=None):
    """Write a file with an image for each name, and behind it a noise map of its name, as in real cutouts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = sky_header() if header is None else header
    hdus = [fits.PrimaryHDU()]
    for i, name in enumerate(names):
        hdus.append(fits.ImageHDU(image(10 * seed + i), header, name=name))
        hdus.append(fits.ImageHDU(np.ones((120, 120), np.float32), name=name.replace("_FLUX", "") + "_RMS"))
    fits.HDUList(hdus).writeto(path)
    return str(path)


def write_band(path, seed=0, **cards):
    """Write a file with one image in its primary HDU."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(image(seed), fits.Header({**sky_header(), **cards})).writeto(path)
    return str(path)
