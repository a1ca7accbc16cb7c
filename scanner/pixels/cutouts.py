"""One object's pixels: checked, and brought to the geometry that networks read."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scanner.pixels.geometry import Geometry, Grid, Image
from scanner.pixels.rejections import RejectCode, Rejection
from scanner.pixels.resample import area_operator, coverage, regrid

MIN_SIDE_PIXELS = 16
"""A cutout smaller than this holds no galaxy with its surroundings."""
MAX_FILLED_FRACTION = 0.1
"""More non-finite pixels than this and a band is refused."""
MIN_COVERED_FRACTION = 0.1
"""A cutout that covers less of a network's field (by area) than this is refused, not padded."""


@dataclass(frozen=True)
class BandImage:
    """Pixels of one band as read: `[y, x]`, north up or not, on a square pixel grid."""

    pixels: Image
    pixel_scale_arcsec: float


@dataclass(frozen=True)
class Cutout:
    """One object in one geometry: band name to `[y, x]` float32, all finite."""

    stamps: Mapping[str, Image]
    notes: tuple[str, ...] = field(default=())
    """What had to be done to the pixels, for the row's `detail`: `padded`, `filled`."""


def to_cutout(bands: Mapping[str, BandImage], geometry: Geometry) -> Cutout:
    """Bring every band of an object to `geometry`.

    Larger images are cropped about their centre, smaller ones padded with sky drawn from their own border, other pixel
    scales regridded with flux conserved. Non-finite pixels are filled with sky where few.

    Raises:
        Rejection: MISSING_BAND, WRONG_SHAPE, NOT_FINITE, BLANK, CONSTANT or NO_PIXEL_SCALE, naming the band.
    """
    stamps: dict[str, Image] = {}
    filled: list[str] = []
    padded: list[str] = []
    for band, grid in geometry.grids.items():
        if band not in bands:
            raise Rejection(RejectCode.MISSING_BAND, f"{band}: no image")
        image = bands[band]
        _check_shape(band, image)
        pixels, n_filled = _fill_non_finite(band, image.pixels)
        stamps[band], is_padded = _to_grid(band, BandImage(pixels, image.pixel_scale_arcsec), grid)
        _check_content(band, stamps[band])
        filled += [band] if n_filled else []
        padded += [band] if is_padded else []
    notes = [f"padded: {', '.join(padded)}"] if padded else []
    notes += [f"filled: {', '.join(filled)}"] if filled else []
    return Cutout(stamps, tuple(notes))


def _check_shape(band: str, image: BandImage) -> None:
    shape = image.pixels.shape
    if len(shape) != 2 or min(shape) < MIN_SIDE_PIXELS:
        raise Rejection(
            RejectCode.WRONG_SHAPE, f"{band}: a cutout is a 2-D image of at least {MIN_SIDE_PIXELS} px a side, got {shape}"
        )
    if not 0.005 <= image.pixel_scale_arcsec <= 5:
        raise Rejection(
            RejectCode.NO_PIXEL_SCALE, f"{band}: pixel scale must be 0.005-5 arcsec, got {image.pixel_scale_arcsec:g}"
        )


def _fill_non_finite(band: str, pixels: Image) -> tuple[Image, int]:
    """Native float32 copy with non-finite pixels replaced by the median of the rest, and how many there were."""
    pixels = np.array(pixels, dtype=np.float32)
    bad = ~np.isfinite(pixels)
    n_bad = int(bad.sum())
    if n_bad > MAX_FILLED_FRACTION * bad.size:
        raise Rejection(RejectCode.NOT_FINITE, f"{band}: {n_bad} of {bad.size} pixels are not finite")
    if n_bad:
        pixels[bad] = np.median(pixels[~bad])
    return pixels, n_bad


def _check_content(band: str, pixels: Image) -> None:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(high - low):
        raise Rejection(RejectCode.NOT_FINITE, f"{band}: pixel values overflow ({low:g} to {high:g})")
    if low == high:
        code = RejectCode.BLANK if low == 0 else RejectCode.CONSTANT
        raise Rejection(code, f"{band}: every pixel is {low:g}")


def _to_grid(band: str, image: BandImage, grid: Grid) -> tuple[Image, bool]:
    """Pixels on `grid`, and whether sky had to be added."""
    _check_content(band, image.pixels)
    scale = image.pixel_scale_arcsec
    ny, nx = image.pixels.shape
    target = (grid.n_pixels, grid.pixel_scale_arcsec)
    stamp = regrid(image.pixels, area_operator(ny, scale, *target), area_operator(nx, scale, *target))
    covered = np.outer(coverage(ny, scale, *target), coverage(nx, scale, *target))
    if covered.mean() < MIN_COVERED_FRACTION:
        raise Rejection(
            RejectCode.WRONG_SHAPE,
            f"{band}: {ny}x{nx} px of {scale:g} arcsec cover {covered.mean():.0%} of the {grid.side_arcsec:g} arcsec field",
        )
    missing = covered < 1 - 1e-6
    if not missing.any():
        return stamp, False
    sky = _border_sky(image.pixels, stamp.shape, (grid.pixel_scale_arcsec / scale) ** 2)
    return np.where(missing, sky, stamp).astype(np.float32), True


def _border_sky(pixels: Image, shape: tuple[int, int], area_ratio: float) -> Image:
    """Noise of the level and scatter of the image's outer border, for pixels `area_ratio` times as large.

    The seed is the content, so the same image is always padded with the same sky.
    """
    width = max(1, min(pixels.shape) // 10)
    inner = np.zeros(pixels.shape, dtype=bool)
    inner[width:-width, width:-width] = True
    border = pixels[~inner].astype(np.float64)
    level = np.median(border)
    scatter = 1.4826 * np.median(np.abs(border - level))
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(pixels).tobytes()))
    return rng.normal(level * area_ratio, scatter * np.sqrt(area_ratio), shape).astype(np.float32)
