"""Read one image, as a manifest's reader does."""

from scanner.files.fits_image import FitsReader


def read_band(reference, pixel_scale_arcsec=None):
    return FitsReader().read_band(reference, pixel_scale_arcsec)
