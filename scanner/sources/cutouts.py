"""Checks the pixels of one object and resamples them to the geometry that networks read."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.regridding import AxisRegrid, axis_regrid, regrid_image
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid, Image
from scanner.vocabulary.rejections import RejectCode, Rejection

MIN_SIDE_PIXELS = 16
"""Smallest side of a cutout: a smaller one does not hold a galaxy with its surroundings."""
MAX_FILLED_FRACTION = 0.1
"""Largest fraction of non-finite pixels in a network's field that are filled; with more, the band is refused."""
NEAR_ARCSEC = 1.0
"""Distance from the middle within which filled pixels are noted: they hide the object or its images and change its score."""
MIN_COVERED_FRACTION = 0.1
"""Smallest fraction (by area) of a network's field that a cutout must cover; with less, it is refused, not padded."""
MIN_RELATIVE_SPAN = 1e-5
"""Smallest variation of an image relative to its values; smaller ones are lost in float32 rounding when it is resized."""
MIN_SPAN, MAX_VALUE = 1e-30, 1e30
"""Smallest span and largest value of pixels; outside these limits, float32 arithmetic under- or overflows."""
_MIN_SCALE_ARCSEC, _MAX_SCALE_ARCSEC = 0.005, 5.0
_WHOLE = 1 - 1e-6
"""Coverage above which an output pixel counts as fully covered."""


@dataclass(frozen=True)
class Cutout:
    """One object in one geometry: band name to `[y, x]` float32, all finite."""

    stamps: Mapping[str, Image]
    notes: tuple[str, ...] = field(default=())
    """Changes made to the pixels, for the row's `detail`: `padded`, `filled`, `filled within 1 arcsec of the middle`."""


def to_cutout(bands: Mapping[str, BandImage], geometry: Geometry) -> Cutout:
    """Resample every band of an object to `geometry`.

    Larger images are cropped about their centre, smaller ones are padded with sky drawn from their own border, and other
    pixel scales are regridded with flux conserved. A few non-finite pixels are filled with sky; those beyond the field of
    `geometry` do not matter.

    Raises:
        Rejection: MISSING_BAND, WRONG_SHAPE, NOT_FINITE, BLANK, CONSTANT or NO_PIXEL_SCALE, naming the band.
    """
    stamps: dict[str, Image] = {}
    filled: list[str] = []
    near: list[str] = []
    padded: list[str] = []
    for band, grid in geometry.grids.items():
        if band not in bands:
            raise Rejection(RejectCode.MISSING_BAND, f"{band}: no image")
        image = bands[band]
        _check_shape(band, image)
        inside = np.ones(image.pixels.shape, dtype=bool) if image.outside is None else ~image.outside
        pixels, is_filled = _fill_non_finite(band, image, inside, grid)
        stamps[band], is_padded = _to_grid(band, pixels, inside, image.pixel_scale_arcsec, grid)
        filled += [band] if is_filled.any() else []
        near += [f"{band} {share:.1%}"] if (share := _share_near_middle(is_filled, image.pixel_scale_arcsec)) else []
        padded += [band] if is_padded else []
    notes = [f"padded: {', '.join(padded)}"] if padded else []
    notes += [f"filled: {', '.join(filled)}"] if filled else []
    notes += [f"filled within {NEAR_ARCSEC:g} arcsec of the middle: {', '.join(near)}"] if near else []
    return Cutout(stamps, tuple(notes))


def is_possible(shape: tuple[int, ...], pixel_scale_arcsec: float) -> bool:
    """Return whether an image of this shape and pixel scale can become a stamp."""
    return len(shape) == 2 and min(shape) >= MIN_SIDE_PIXELS and _is_possible_scale(pixel_scale_arcsec)


def check_pixel_scale(band: str, pixel_scale_arcsec: float) -> None:
    """Raise NO_PIXEL_SCALE if no survey image has this pixel scale."""
    if not _is_possible_scale(pixel_scale_arcsec):
        allowed = f"{_MIN_SCALE_ARCSEC:g}-{_MAX_SCALE_ARCSEC:g} arcsec"
        raise Rejection(RejectCode.NO_PIXEL_SCALE, f"{band}: pixel scale must be {allowed}, got {pixel_scale_arcsec:g}")


def is_covered(coverage: NDArray[np.float64]) -> bool:
    """Return whether the data cover every pixel of a stamp, so that it needs no padding with sky."""
    return bool(coverage.min() > _WHOLE)


def _is_possible_scale(pixel_scale_arcsec: float) -> bool:
    return _MIN_SCALE_ARCSEC <= pixel_scale_arcsec <= _MAX_SCALE_ARCSEC


def _check_shape(band: str, image: BandImage) -> None:
    shape = image.pixels.shape
    if len(shape) != 2 or min(shape) < MIN_SIDE_PIXELS:
        raise Rejection(
            RejectCode.WRONG_SHAPE, f"{band}: a cutout is a 2-D image of at least {MIN_SIDE_PIXELS} px a side, got {shape}"
        )
    check_pixel_scale(band, image.pixel_scale_arcsec)


def _axes(shape: tuple[int, ...], scale_arcsec: float, grid: Grid) -> tuple[AxisRegrid, AxisRegrid]:
    rows, columns = (axis_regrid(n, scale_arcsec, grid.n_pixels, grid.pixel_scale_arcsec) for n in shape)
    return rows, columns


def _fill_non_finite(band: str, image: BandImage, inside: NDArray[np.bool_], grid: Grid) -> tuple[Image, NDArray[np.bool_]]:
    """Return a native float32 copy with the non-finite pixels of the field of `grid` replaced by the median of its others.

    The copy is 0 beyond the field. The second array is the field: true where a pixel was replaced.
    """
    rows, columns = _axes(image.pixels.shape, image.pixel_scale_arcsec, grid)
    box = rows.used, columns.used
    copy = np.zeros(image.pixels.shape, np.float32)
    with np.errstate(over="ignore"):
        copy[box] = image.pixels[box]
    field_pixels, inside = copy[box], inside[box]
    good = np.isfinite(field_pixels) & inside
    is_bad = inside & ~good
    n_inside, n_bad = int(inside.sum()), int(is_bad.sum())
    if n_bad > MAX_FILLED_FRACTION * n_inside:
        raise Rejection(RejectCode.NOT_FINITE, f"{band}: {n_bad} of {n_inside} pixels of the field are not finite")
    if n_bad:
        field_pixels[is_bad] = np.median(field_pixels[good].astype(np.float64))
    field_pixels[~inside] = 0
    return copy, is_bad


def _share_near_middle(is_filled: NDArray[np.bool_], scale_arcsec: float) -> float:
    """Return the share of filled pixels among those near the middle of the field."""
    if not is_filled.any():
        return 0.0
    y, x = ((np.arange(n) - (n - 1) / 2) * scale_arcsec for n in is_filled.shape)
    is_near = np.hypot(y[:, None], x) <= NEAR_ARCSEC
    return float((is_filled & is_near).sum() / max(is_near.sum(), 1))


def _check_content(band: str, values: NDArray[np.float32]) -> None:
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    if not largest <= MAX_VALUE:
        raise Rejection(RejectCode.NOT_FINITE, f"{band}: pixel values overflow ({low:g} to {high:g})")
    if low == high == 0:
        raise Rejection(RejectCode.BLANK, f"{band}: every pixel is 0")
    if high - low <= max(MIN_RELATIVE_SPAN * largest, MIN_SPAN):
        what = f"every pixel is {low:g}" if low == high else f"pixels vary from {low:.9g} to {high:.9g} only"
        raise Rejection(RejectCode.CONSTANT, f"{band}: {what}")


def _to_grid(band: str, pixels: Image, inside: NDArray[np.bool_], scale_arcsec: float, grid: Grid) -> tuple[Image, bool]:
    """Return the pixels on `grid`, and whether sky was added."""
    rows, columns = _axes(pixels.shape, scale_arcsec, grid)
    box = rows.used, columns.used
    covered = np.outer(rows.coverage, columns.coverage)
    if not inside.all():
        # The share of each output pixel's input area that lies inside the data.
        whole = np.maximum(np.outer(rows.operator.sum(axis=1), columns.operator.sum(axis=1)), 1e-12)
        covered = covered * np.clip(rows.operator @ inside.astype(np.float64) @ columns.operator.T / whole, 0, 1)
    if covered.mean() < MIN_COVERED_FRACTION:
        size = f"{pixels.shape[0]}x{pixels.shape[1]} px of {scale_arcsec:g} arcsec"
        share = f"{covered.mean():.1%} of the {grid.side_arcsec:g} arcsec field, less than {MIN_COVERED_FRACTION:.0%}"
        raise Rejection(RejectCode.WRONG_SHAPE, f"{band}: {size} cover {share}")
    _check_content(band, pixels[box][inside[box]])
    stamp = regrid_image(pixels, rows, columns)
    # The covered pixels must vary on their own: padding must not make a constant image look like sky.
    seen = covered > 1e-3
    _check_content(band, (stamp[seen] / covered[seen]).astype(np.float32))
    if is_covered(covered):
        return stamp, False
    sky = _border_sky(stamp, covered >= min(_WHOLE, float(covered.max())))
    # A partly covered output pixel keeps the flux of its covered part.
    return (stamp + (1 - covered) * sky).astype(np.float32), True


def _border_sky(stamp: Image, whole: NDArray[np.bool_]) -> Image:
    """Return noise in the shape of `stamp`, with the level and scatter of the outer border of its `whole` pixels.

    The border is measured after regridding, because the noise of mosaics is correlated. Exact zeros are masks, not sky, unless
    most of the border is zero. The content is the seed, so that the same image always gets the same sky. A border is no image,
    which `sky_level_and_sigma` needs, and has few pixels: a median resists a neighbour that fills part of it.
    """
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    in_border = np.zeros(stamp.shape, dtype=bool)
    in_border[box] = True
    width = max(1, min(len(rows), len(columns)) // 10)
    in_border[rows[0] + width : rows[-1] + 1 - width, columns[0] + width : columns[-1] + 1 - width] = False
    border = stamp[in_border & whole].astype(np.float64)
    if np.count_nonzero(border) > border.size / 2:
        border = border[border != 0]
    level = np.median(border)
    scatter = 1.4826 * np.median(np.abs(border - level))
    rng = np.random.default_rng(zlib.crc32(stamp[whole].tobytes()))
    return rng.normal(level, scatter, stamp.shape).astype(np.float32)
