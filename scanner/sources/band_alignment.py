"""The bands of one object in files: each is read about the place on the sky that the first one has in its middle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scanner.files.fits_centre import PlainWcs, has_unused_wcs, position_of_middle
from scanner.files.fits_image import FitsReader
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.rejections import RejectCode, Rejection

MAX_TURN_DEG = 2.0
"""Largest angle between the pixel axes of two bands without a note: at 5 arcsec from the middle it is 0.17 arcsec."""


@dataclass(frozen=True)
class AlignedBands:
    """Images of one object's bands, each about the same place on the sky as far as their headers tell."""

    images: Mapping[str, BandImage]
    notes: tuple[str, ...] = ()
    """Bands that the reader moved, whose axes differ, or whose WCS cannot be used, for the row's `detail`."""


def read_aligned(
    reader: FitsReader, references: Mapping[str, str | None], bands: Sequence[str], pixel_scale_arcsec: float | None = None
) -> AlignedBands:
    """Read the bands of one object, and shift those whose WCS puts the object elsewhere by whole pixels.

    The object is in the middle of the first band's image. A band without a plain WCS stays as it is, and so does one that lies
    off by half a pixel or less.

    Args:
        reader: Reader of the files.
        references: Band to `URI`, `URI#EXTNAME` or `URI#3`.
        bands: Bands to read, the one that the others are aligned with first.
        pixel_scale_arcsec: Pixel scale that replaces those in the headers.

    Raises:
        Rejection: a band has no reference or its image cannot be read; or BAD_WCS, by its WCS a band does not show the object.
    """
    images: dict[str, BandImage] = {}
    moved: list[str] = []
    turned: list[str] = []
    unused: list[str] = []
    first: PlainWcs | None = None
    for band in bands:
        reference = references.get(band)
        if reference is None:
            raise Rejection(RejectCode.MISSING_BAND, f"{band}: no image is named")
        try:
            image, wcs = reader.read_band(reference, pixel_scale_arcsec), reader.wcs(reference)
        except Rejection as rejection:
            raise Rejection(rejection.code, f"{band}: {rejection.detail}") from rejection
        if wcs is None and has_unused_wcs(reader.hdu(reference).header):
            unused.append(band)
        first = first or wcs
        x, y = _offset_pixels(band, first, wcs) if first and wcs else (0, 0)
        if x or y:
            moved.append(f"{band} {np.hypot(x, y) * image.pixel_scale_arcsec:.2f}")
            image = _shifted(image, x, y)
        if first and wcs and (turn := _turn(first, wcs)):
            turned.append(f"{band} {turn}")
        images[band] = image
    notes = [f"aligned by WCS: {', '.join(moved)} arcsec"] if moved else []
    notes += [f"axes differ by WCS: {', '.join(turned)}"] if turned else []
    notes += [f"not aligned by WCS, which cannot be used: {', '.join(unused)}"] if unused else []
    return AlignedBands(images, tuple(notes))


def _offset_pixels(band: str, first: PlainWcs, wcs: PlainWcs) -> tuple[int, int]:
    """Return by how many whole pixels, x and y, the first band's middle lies off the middle of another band.

    Raises:
        Rejection: BAD_WCS, it lies outside.
    """
    if (first.crval, first.crpix, first.matrix, first.shape) == (wcs.crval, wcs.crpix, wcs.matrix, wcs.shape):
        return 0, 0
    position = position_of_middle(first)
    if position is None:
        return 0, 0
    try:
        x, y = wcs.pixel(*position)
    except Exception:  # noqa: BLE001 - wcslib raises many types for positions behind the camera
        x = y = float("nan")
    ny, nx = wcs.shape
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        where = f"ra={position[0]:.6f}, dec={position[1]:.6f}, the middle of the first band, lies at x={x:.1f}, y={y:.1f}"
        raise Rejection(RejectCode.BAD_WCS, f"{band}: by its WCS, {where} of {nx}x{ny} px")
    offsets = [at - middle for at, middle in zip((x, y), wcs.middle, strict=True)]
    # An offset of half a pixel, as between images of odd and even size, stays; so does what is half by rounding.
    whole_x, whole_y = (int(np.sign(offset) * np.ceil(abs(offset) - 0.5 - 1e-3)) for offset in offsets)
    return whole_x, whole_y


def _shifted(image: BandImage, x: int, y: int) -> BandImage:
    """Return the image of the same size about the pixel that lies `x` and `y` off the middle."""
    pixels = np.zeros_like(image.pixels)
    outside = np.ones(pixels.shape, bool)
    (into_y, from_y), (into_x, from_x) = (_overlap(n, by) for n, by in zip(pixels.shape, (y, x), strict=True))
    pixels[into_y, into_x] = image.pixels[from_y, from_x]
    outside[into_y, into_x] = False
    return BandImage(pixels, image.pixel_scale_arcsec, outside)


def _overlap(n: int, by: int) -> tuple[slice, slice]:
    """Return where pixels go and where they come from along an axis of `n` pixels."""
    return slice(max(-by, 0), n - max(by, 0)), slice(max(by, 0), n - max(-by, 0))


def _turn(first: PlainWcs, wcs: PlainWcs) -> str:
    """Say how the axes of two images differ; an empty text if they do not."""
    turn = first.turn_deg(wcs)
    if turn is None:
        return "mirrored"
    return f"{turn:.0f} deg" if turn > MAX_TURN_DEG else ""
