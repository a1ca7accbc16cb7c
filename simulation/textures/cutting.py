"""Cut galaxies out of an image of the sky: resolved, of late type, bright, alone, and other than smooth ellipses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, gaussian_filter, label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.geometry import Image
from simulation.systems import Texture
from simulation.textures.starlet import Mask, scatter, without_noise

MIN_SIDE_PIXELS = 32
"""Smallest side of an image."""
MIN_SNR = 50.0
"""Least signal-to-noise ratio of a galaxy's light, for its structure to stand out."""
MAX_BLUR = 0.56
"""Largest half-light radius of a point source, in units of the galaxy's."""
MAX_CONCENTRATION = 3.4
"""Largest 5 log10(r80 / r20), of radii that hold 80 and 20 % of the light (Conselice 2003): 2.8 for an exponential disc in
perfect seeing, above 4 for early types and for the haloes of bright stars."""
MAX_SHARED = 0.3
"""Largest share of the pixels beside a galaxy that belong to other objects."""
MAX_SADDLE = 0.2
"""Largest brightness of a galaxy where another object begins, in units of its brightest pixel."""
MIN_STRUCTURE = 0.15
"""Least share of the light that concentric ellipses do not describe; others are no better than a Sersic profile."""
_SMOOTHING_PIXELS = 1.2
_SEGMENT_SIGMA, _PEAK_SIGMA, _PEAK_CONTRAST = 1.5, 4.0, 1.5
"""Noise of the smoothed image that objects and their peaks exceed; factor of a peak over the saddle to a brighter one."""
_MIN_AREA_PIXELS = 50
_POINT_SNR, _POINT_PERCENTILE = 60.0, 5.0
"""The half-light radius of a point source is that of the smallest objects among those with at least this ratio."""
_LEAST_CONCENTRATION, _SATURATED_SNR = 2.4, 1500.0
"""Saturated stars, whose cores are cut off, are less concentrated than point sources, and have at least this ratio."""
_RADIUS_PER_FWHM = 0.68
"""Half-light radius of a point source in units of its FWHM: 0.5 for a Gaussian, more with the wings of a telescope's PSF; in
coadded images of HSC 0.68."""
_MAX_SIDE_PIXELS = 128
"""Largest side of a texture: pixels of larger galaxies are summed."""
_TAPER_PIXELS = 4
"""Distance about an object, and beside a neighbour, over which its picture darkens."""


@dataclass(frozen=True)
class CutGalaxy:
    """A galaxy that was cut out."""

    texture: Texture
    x_pixel: int
    """Column of the image, counted from 0, that the middle of the texture lies on."""
    y_pixel: int
    flux: float
    """Light of the galaxy in units of the image."""
    bin_pixels: int
    """Side of a pixel of the texture, in pixels of the image."""


@dataclass(frozen=True)
class _Segment:
    """An object of the image."""

    number: int
    y_pixel: float
    """Middle of the light."""
    x_pixel: float
    snr: float
    half_light_radius_pixels: float
    concentration: float

    @property
    def is_saturated(self) -> bool:
        return self.snr > _SATURATED_SNR and self.concentration < _LEAST_CONCENTRATION


def cut_galaxies(image: Image, fwhm_pixels: float | None = None) -> list[CutGalaxy]:
    """Cut out all suitable galaxies.

    Args:
        image: `[y, x]` in any unit that is proportional to flux; the sky need not be zero. Pixels that are exactly zero or not
            finite are masked.
        fwhm_pixels: FWHM of point sources; by default, the smallest of the bright objects are taken for point sources. Without
            a star, galaxies then seem less resolved than they are, and fewer are cut out.

    Raises:
        ValueError: the image is no image of at least `MIN_SIDE_PIXELS` a side.
    """
    if image.ndim != 2 or min(image.shape) < MIN_SIDE_PIXELS:
        raise ValueError(f"an image must have at least {MIN_SIDE_PIXELS} pixels a side, got the shape {image.shape}")
    is_masked = ~np.isfinite(image) | (image == 0)
    if is_masked.all():
        return []
    level = sky_level_and_sigma(np.where(is_masked, 0, image)[None])[0][0]
    light = np.where(is_masked, 0, image - level).astype(np.float32)
    numbers = _segments(light, is_masked)
    segments = list(_measured(light, numbers, is_masked))
    point_radius = _RADIUS_PER_FWHM * fwhm_pixels if fwhm_pixels else _smallest_radius(segments)
    suitable = [segment for segment in segments if _is_suitable(segment, point_radius)]
    clean = without_noise(light, is_masked) if suitable else light
    cut = (_cut(clean, numbers, is_masked, segment, point_radius) for segment in suitable)
    return [galaxy for galaxy in cut if galaxy is not None]


def _segments(light: Image, is_masked: Mask) -> NDArray[np.int32]:
    """Number the objects `[y, x]` from 1: connected light above the noise, divided between peaks that stand out."""
    smooth = gaussian_filter(light, _SMOOTHING_PIXELS)
    noise = max(scatter(smooth[~is_masked]), float(np.finfo(np.float32).tiny))
    logarithm = np.log(np.maximum(smooth, noise))
    peaks, _ = label(h_maxima(logarithm, np.log(_PEAK_CONTRAST)).astype(bool) & (smooth > _PEAK_SIGMA * noise))
    return np.asarray(watershed(-logarithm, peaks, mask=smooth > _SEGMENT_SIGMA * noise), np.int32)


def _measured(light: Image, numbers: NDArray[np.int32], is_masked: Mask) -> Iterator[_Segment]:
    """Measure every object that is large enough."""
    noise = scatter(light[~is_masked])
    for number, box in enumerate(find_objects(numbers), 1):
        if box is None:
            continue
        y, x = (index.astype(float) for index in np.nonzero(numbers[box] == number))
        fluxes = np.maximum(light[box][numbers[box] == number], 0).astype(float)
        total = fluxes.sum()
        if y.size < _MIN_AREA_PIXELS or not total > 0:
            continue
        middle_y, middle_x = float(fluxes @ y / total), float(fluxes @ x / total)
        r20, r50, r80 = _radii(y - middle_y, x - middle_x, fluxes, (0.2, 0.5, 0.8))
        snr = float(total / (noise * np.sqrt(y.size))) if noise > 0 else np.inf
        concentration = 5 * float(np.log10(r80 / r20))
        y_pixel, x_pixel = middle_y + box[0].start, middle_x + box[1].start
        yield _Segment(number, y_pixel, x_pixel, snr, r50, concentration)


def _smallest_radius(segments: list[_Segment]) -> float:
    """Return the half-light radius in pixels of the smallest among the bright objects; infinity without bright objects."""
    bright = [segment.half_light_radius_pixels for segment in segments if segment.snr >= _POINT_SNR]
    return float(np.percentile(bright, _POINT_PERCENTILE)) if bright else np.inf


def _radii(
    y: NDArray[np.float64], x: NDArray[np.float64], fluxes: NDArray[np.float64], shares: tuple[float, ...]
) -> list[float]:
    """Return the radii in pixels within which shares of the light lie; `y` and `x` are pixels' offsets from the middle."""
    # Distances of nine points of each pixel: those of its middle alone take few values.
    thirds = np.array([-1 / 3, 0, 1 / 3])
    distances = np.hypot(y[:, None, None] + thirds[:, None], x[:, None, None] + thirds).ravel()
    order = np.argsort(distances)
    within = np.cumsum(np.repeat(fluxes, 9)[order])
    return np.interp(np.multiply(shares, within[-1]), within, distances[order]).tolist()


def _is_suitable(segment: _Segment, point_radius: float) -> bool:
    return (
        segment.snr >= MIN_SNR
        and point_radius <= MAX_BLUR * segment.half_light_radius_pixels
        and segment.concentration <= MAX_CONCENTRATION
        and not segment.is_saturated
    )


def _cut(clean: Image, numbers: NDArray[np.int32], is_masked: Mask, segment: _Segment, point_radius: float) -> CutGalaxy | None:
    """Cut out one object about its middle; None if it is not alone, or too near to the border or to masked pixels."""
    y, x = round(segment.y_pixel), round(segment.x_pixel)
    rows, columns = np.nonzero(numbers == segment.number)
    half = int(max(np.abs(rows - y).max(), np.abs(columns - x).max())) + _TAPER_PIXELS + 1
    if min(y, x) < half or y + half >= clean.shape[0] or x + half >= clean.shape[1]:
        return None
    box = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
    own, others = numbers[box] == segment.number, (numbers[box] != segment.number) & (numbers[box] > 0)
    grown = binary_dilation(own, iterations=_TAPER_PIXELS)
    border = grown & ~own
    if is_masked[box][grown].any() or others[border].sum() > MAX_SHARED * border.sum():
        return None
    light = clean[box]
    saddle = light[own & binary_dilation(others)]
    if saddle.size and saddle.max() > MAX_SADDLE * light[own].max():
        return None
    # Behind a neighbour the galaxy is like on its opposite side.
    opposite = slice(None, None, -1), slice(None, None, -1)
    hidden = others & own[opposite]
    foreign = others & ~hidden
    light = np.where(foreign, 0, np.maximum(np.where(hidden, light[opposite], light), 0))
    depth = distance_transform_edt(binary_dilation(own | hidden, iterations=_TAPER_PIXELS) & ~foreign)
    share = np.minimum(depth / _TAPER_PIXELS, 1)
    pixels, bin_pixels = _binned(light * (share * share * (3 - 2 * share)))
    offsets = np.indices(pixels.shape) - (len(pixels) - 1) / 2
    (radius,) = _radii(offsets[0].ravel(), offsets[1].ravel(), pixels.ravel().astype(float), (0.5,))
    if not pixels.any() or point_radius > MAX_BLUR * bin_pixels * radius or structure(pixels) < MIN_STRUCTURE:
        return None
    texture = Texture(pixels, radius, point_radius / (bin_pixels * radius))
    return CutGalaxy(texture, x, y, float(pixels.sum(dtype=float)), bin_pixels)


def _binned(light: Image) -> tuple[Image, int]:
    """Return square pixels summed over squares, so many that at most `_MAX_SIDE_PIXELS` are left, and the side of a square."""
    side = -(-len(light) // _MAX_SIDE_PIXELS)
    n = -(-len(light) // side)
    before = (n * side - len(light)) // 2
    padded = np.pad(light, (before, n * side - len(light) - before))
    return np.asarray(padded.reshape(n, side, n, side).sum(axis=(1, 3)), np.float32), side


def structure(pixels: Image) -> float:
    """Return the share of the light `[y, x]` that a model of concentric ellipses of one shape does not describe.

    The ellipses have the middle and the second moments of the light, and the model on each has the mean of the light there.
    """
    light = pixels / pixels.sum(dtype=float)
    y, x = np.indices(light.shape, dtype=float)
    y, x = y - np.sum(light * y), x - np.sum(light * x)
    yy, xx, xy = (float(np.sum(light * square)) for square in (y * y, x * x, x * y))
    radius = np.sqrt((yy * x * x - 2 * xy * x * y + xx * y * y) / np.sqrt(yy * xx - xy * xy))
    ring = radius.astype(int).ravel()
    n_pixels = np.bincount(ring)
    is_there = n_pixels > 0
    radii, means = (np.bincount(ring, values.ravel())[is_there] / n_pixels[is_there] for values in (radius, light))
    model = np.interp(radius, radii, means)
    return float(np.abs(light - model).sum())
