"""Textures of the galaxies in images of the sky."""

import posixpath
from collections.abc import Sequence

import numpy as np

from infra.progress import Progress
from scanner.files.fits_image import FitsReader, split_reference
from scanner.vocabulary.rejections import RejectCode, Rejection
from simulation.textures.cutting import cut_galaxies
from simulation.textures.library import Specimen, TextureError


def specimens_of_images(
    references: Sequence[str],
    progress: Progress,
    *,
    pixel_scale_arcsec: float | None = None,
    seeing_arcsec: float | None = None,
    source: str = "",
    licence: str = "",
) -> list[Specimen]:
    """Cut the galaxies of suitable shape and brightness out of images, in the order of the images.

    Args:
        references: FITS files, or extensions of them: `FILE` (its first image), `FILE#EXTENSION` or `FILE#NUMBER`.
        progress: Called with images.
        pixel_scale_arcsec: Side of a pixel; by default, that of each header.
        seeing_arcsec: FWHM of point sources; by default, measured on each image.
        source: Words on where the images are from.
        licence: Their licence.

    Raises:
        TextureError: an image cannot be read; the message names it.
    """
    reader = FitsReader()
    specimens: list[Specimen] = []
    progress(0, len(references))
    for number, reference in enumerate(references, 1):
        try:
            image = reader.read_band(reference, pixel_scale_arcsec)
            zero_point = _zero_point_ab_mag(reader, reference)
            galaxies = cut_galaxies(image.pixels, seeing_arcsec and seeing_arcsec / image.pixel_scale_arcsec)
        except (Rejection, ValueError) as error:
            detail = error.detail if isinstance(error, Rejection) else f"{reference}: {error}"
            raise TextureError(detail) from error
        specimens += [
            Specimen(
                texture=galaxy.texture,
                pixel_scale_arcsec=galaxy.bin_pixels * image.pixel_scale_arcsec,
                mag_ab=None if zero_point is None else zero_point - 2.5 * float(np.log10(galaxy.flux)),
                image=_name(reference),
                x_pixel=galaxy.x_pixel,
                y_pixel=galaxy.y_pixel,
                source=source,
                licence=licence,
            )
            for galaxy in galaxies
        ]
        progress(number, len(references))
    return specimens


def _zero_point_ab_mag(reader: FitsReader, reference: str) -> float | None:
    """Return the zero point of an image; None if its header has none."""
    try:
        return reader.zero_point_ab_mag(reference)
    except Rejection as rejection:
        if rejection.code != RejectCode.NO_ZERO_POINT:
            raise
        return None


def _name(reference: str) -> str:
    """Return the name of an image's file, without its folder, and of the extension."""
    uri, extension = split_reference(reference)
    return posixpath.basename(uri) + (f"#{extension}" if extension else "")
