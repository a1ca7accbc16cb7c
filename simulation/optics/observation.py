"""Effects of telescope and detector on a scene: blurring, pixels, shot and read noise, and their variation over the survey."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from infra.numba_loops import compiled_exactly
from scanner.vocabulary.bands import EUCLID, Band
from scanner.vocabulary.geometry import Geometry, Image
from simulation.optics.light import FINE_SCALE_ARCSEC
from simulation.optics.psf import Psf, model_psf

_FWHM_SCATTER, _FWHM_RANGE = 0.05, (0.85, 1.2)
"""Scatter of the FWHM in ln from object to object, and its range: focus, place in the field, stacking."""
_DEPTH_SCATTER = {"VIS": 0.10, "NISP": 0.115, "band": 0.04}
"""Scatter in ln of the sky noise: VIS, the part that the NISP bands share (they are exposed together), each NISP band alone."""
_SKY_OFFSET_SIGMA: Mapping[str, float] = MappingProxyType({"VIS": 0.1, "Y": 0.15, "J": 0.25, "H": 0.25})
_SKY_OFFSET_SCATTER = 0.15
"""Scatter of the background left after subtraction, which is 0 to 0.5 in Q1."""

_VIS_SIDE, _VIS_CORNER = 0.107, 0.018
"""Weights of a VIS pixel's neighbours in resampling, the pixel's own being 1: they correlate white noise by 0.21 between
neighbours along an axis, and 0.05 along a diagonal, as in Q1 (0.19-0.22 and 0.04-0.07)."""
_NISP_TAPS = np.array([0.0157, 0.0232, 0.0670, 0.2564, 0.2754, 0.2564, 0.0670, 0.0232, 0.0157], np.float32)
"""Share of a native NISP pixel's signal in pixels three times finer, along each axis: a box of the native pixel with blunt
edges and faint wings. Fitted to the noise of Q1, whose autocorrelation is 0.80, 0.49, 0.24, 0.10 at lags 1-4; the three phases
of the taps carry nearly equal power, so that the noise has no visible grid."""
_MER_NOISE_EXCESS: Mapping[str, float] = MappingProxyType({"VIS": 1.06, "Y": 1.16, "J": 1.16, "H": 1.15})
"""Noise of Q1 mosaics over that of four exposures of the nominal sky stacked without loss, measured on blank sky."""
_NOISY_PIXEL_SHARE, _NOISY_PIXEL_FACTOR = 0.05, 1.6
"""Share of VIS pixels that lost exposures to cosmic rays or are warm, and the factor of their noise: gives the tails of the
noise in Q1 (kurtosis 0.3-0.5 where the number of exposures is even)."""
_EDGE_SHARE, _EDGE_FACTORS = 0.5, (1.155, 1.155, 0.82)
"""Share of stamps in which the number of exposures changes, from 4 to 3 or to 6, and the factors of the noise: steps of
0.81-1.2 in the RMS maps of Q1."""
_EDGE_REACH_ARCSEC = 10.0
_NISP_WHITE_SHARE = 0.025
"""Share of the variance that resampling leaves uncorrelated: bad and re-weighted pixels."""
_NATIVE = 3
"""Resampled pixels in a native NISP pixel along an axis."""
_N_DITHERS = 4


@dataclass(frozen=True)
class Edge:
    """A straight line beyond which there are fewer or more exposures."""

    angle_rad: float
    """Angle of the direction across the line, from x towards y."""
    distance_arcsec: float
    """Distance of the line from the image's centre, along that direction."""
    factor: float
    """Factor of the noise beyond the line."""

    def noise_factor(self, shape: tuple[int, ...], pixel_arcsec: float) -> Image:
        """Return `[y, x]`, the factor of every pixel's noise."""
        y, x = (((np.arange(n) - (n - 1) / 2) * pixel_arcsec).astype(np.float32) for n in shape)
        across = x * np.float32(np.cos(self.angle_rad)) + (y * np.float32(np.sin(self.angle_rad)))[:, None]
        return np.where(across > self.distance_arcsec, np.float32(self.factor), np.float32(1))


@dataclass(frozen=True)
class Conditions:
    """Conditions that differ between observations of one instrument. Mappings have every band."""

    detector_angle_deg: float
    fwhm_factor: float
    """FWHM in units of the median FWHM of the model's PSF."""
    depth_factor: Mapping[str, float]
    """Noise of an empty sky in units of the nominal noise."""
    sky_offset_sigma: Mapping[str, float]
    """Background left in the image, in units of the noise of an empty sky."""
    edges: Mapping[str, Edge] = field(default_factory=dict)
    """Edge of each band whose number of exposures changes in the image; other bands are absent."""
    noisy_pixel_share: float = 0.0
    """Share of VIS pixels with more noise."""

    @staticmethod
    def nominal(detector_angle_deg: float) -> "Conditions":
        """Return the medians of all conditions, without a background."""
        return Conditions(detector_angle_deg, 1.0, dict.fromkeys(EUCLID, 1.0), dict.fromkeys(EUCLID, 0.0))


def draw_conditions(rng: Generator, detector_angle_deg: float) -> Conditions:
    """Draw conditions as they scatter over the survey."""
    fwhm_factor = float(np.clip(np.exp(rng.normal(0, _FWHM_SCATTER)), *_FWHM_RANGE))
    nisp = rng.normal(0, _DEPTH_SCATTER["NISP"])
    depth = {
        band: float(
            np.exp(rng.normal(0, _DEPTH_SCATTER["VIS"]) if band == "VIS" else nisp + rng.normal(0, _DEPTH_SCATTER["band"]))
        )
        for band in EUCLID
    }
    offset = {band: float(rng.normal(_SKY_OFFSET_SIGMA[band], _SKY_OFFSET_SCATTER)) for band in EUCLID}
    edges = {}
    for bands in (("VIS",), ("Y", "J", "H")):
        if rng.random() < _EDGE_SHARE:
            edge = Edge(
                float(rng.uniform(0, 2 * np.pi)),
                float(rng.uniform(0, _EDGE_REACH_ARCSEC)),
                _EDGE_FACTORS[int(rng.integers(len(_EDGE_FACTORS)))],
            )
            edges.update(dict.fromkeys(bands, edge))
    return Conditions(detector_angle_deg, fwhm_factor, depth, offset, edges, _NOISY_PIXEL_SHARE)


class Optics:
    """Blurs images on fine pixels and bins them to the pixels of a geometry, under given conditions.

    Transforms of kernels are cached by image size, so that a tile's many stamps share them.
    """

    def __init__(self, geometry: Geometry, conditions: Conditions, psfs: Mapping[str, Psf] | None = None) -> None:
        """Use `psfs`, and the model's PSF for bands that it lacks.

        Raises:
            ValueError: `psfs` has an unknown band.
        """
        unknown = set(psfs or {}) - set(geometry.grids)
        if unknown:
            raise ValueError(f"PSFs may be given for the bands {list(geometry.grids)}, got {sorted(unknown)}")
        self.geometry = geometry
        self.conditions = conditions
        model = {band: model_psf(band, conditions.detector_angle_deg, conditions.fwhm_factor) for band in geometry.grids}
        self._psfs: dict[str, Psf] = {**model, **(psfs or {})}
        self._kernels: dict[str, Image] = {}
        self._transforms: dict[tuple[str, int], NDArray[np.complex64]] = {}

    def observe(self, band: str, fine: Image) -> Image:
        """Return `[y, x]` in ADU/s on the band's pixels: as many whole pixels as fit into the fine image about its centre.

        Args:
            band: Name of the band.
            fine: `[y, x]`, square with an even number of fine pixels a side, ADU/s per fine pixel.

        Raises:
            ValueError: `fine` has another shape.
        """
        n = len(fine)
        if fine.shape != (n, n) or n == 0 or n % 2:
            raise ValueError(f"a fine image must be square with an even number of pixels a side, got the shape {fine.shape}")
        halvings = _halvings(band)
        image = _halved(np.ascontiguousarray(fine, np.float32)) if halvings else fine
        blurred = self._convolved(band, image)
        factor = round(self.geometry.grids[band].pixel_scale_arcsec / FINE_SCALE_ARCSEC) >> halvings
        spare = len(blurred) % factor
        inner = slice(spare // 2, len(blurred) - (spare - spare // 2))
        return bin_pixels(blurred[inner, inner], factor)

    def _convolved(self, band: str, image: Image) -> Image:
        kernel = self._kernel(band)
        n, half = len(image), len(kernel) // 2
        # Light that wraps around falls on the padding; half a kernel of padding is enough.
        size = fft.next_fast_len(max(n + half, len(kernel)), real=True)
        if (band, size) not in self._transforms:
            transform = fft.rfft2(kernel, (size, size))
            self._transforms[band, size] = transform * _sharpening(size) if _halvings(band) else transform
        full = fft.irfft2(fft.rfft2(image, (size, size)) * self._transforms[band, size], (size, size))
        return full[half : half + n, half : half + n]

    def _kernel(self, band: str) -> Image:
        """Return the band's kernel on the pixels that are convolved."""
        if band not in self._kernels:
            pixel_arcsec = self.geometry.grids[band].pixel_scale_arcsec
            self._kernels[band] = self._psfs[band].kernel(FINE_SCALE_ARCSEC * 2 ** _halvings(band), pixel_arcsec)
        return self._kernels[band]


def _halvings(band: str) -> int:
    """Return how often the pixel width is doubled before convolution: NISP is smooth enough for pixels twice as wide."""
    return 0 if band == "VIS" else 1


@compiled_exactly
def _halved(fine: Image) -> Image:
    """Make pixels twice as wide; light is shared linearly between the nearest two along each axis, which keeps its centroid."""
    n = len(fine) // 2
    across = np.zeros((2 * n, n), np.float32)
    for y in range(2 * n):
        for x in range(n):
            across[y, x] = np.float32(0.75) * (fine[y, 2 * x] + fine[y, 2 * x + 1])
        for x in range(1, n):
            across[y, x] += np.float32(0.25) * fine[y, 2 * x - 1]
            across[y, x - 1] += np.float32(0.25) * fine[y, 2 * x]
    image = np.zeros((n, n), np.float32)
    for y in range(n):
        for x in range(n):
            image[y, x] = np.float32(0.75) * (across[2 * y, x] + across[2 * y + 1, x])
        if y > 0:
            for x in range(n):
                image[y, x] += np.float32(0.25) * across[2 * y - 1, x]
        if y < n - 1:
            for x in range(n):
                image[y, x] += np.float32(0.25) * across[2 * y + 2, x]
    return image


@lru_cache(maxsize=16)
def _sharpening(size: int) -> NDArray[np.float32]:
    """Return the filter on the half plane of `rfft2` that undoes the blurring by `_halved` beyond that of the pixels.

    The taps 1, 3, 3, 1 of `_halved` are those of two pixels, 1, 1, smoothed with 1, 2, 1, whose transform is cos^2.
    """
    along_y, along_x = (np.cos(np.pi * f / 2) ** -2 for f in (np.fft.fftfreq(size), np.fft.rfftfreq(size)))
    return np.asarray(np.outer(along_y, along_x), np.float32)


@compiled_exactly
def bin_pixels(image: Image, factor: int) -> Image:
    """Sum blocks of `factor` by `factor` pixels of `[y, x]`; pixels beyond a multiple of `factor` along a side are left out."""
    binned = np.zeros((image.shape[0] // factor, image.shape[1] // factor), np.float32)
    for y in range(binned.shape[0]):
        for row in range(y * factor, (y + 1) * factor):
            for x in range(binned.shape[1]):
                for column in range(x * factor, (x + 1) * factor):
                    binned[y, x] += image[row, column]
    return binned


def sky_sigma_adu_per_s(band: str, geometry: Geometry) -> float:
    """Return the nominal standard deviation of a pixel of empty sky."""
    detector = EUCLID[band]
    native = detector.noise_electrons_per_pixel / detector.electrons_per_adu_per_s
    if geometry.name == "challenge":
        return native
    native *= _MER_NOISE_EXCESS[band]
    if band == "VIS":
        return native * float(np.sqrt(1 + 4 * _VIS_SIDE**2 + 4 * _VIS_CORNER**2)) / (1 + 4 * _VIS_SIDE + 4 * _VIS_CORNER)
    return native * float(np.sum(_NISP_TAPS**2) * np.sqrt(1 + _NISP_WHITE_SHARE)) / _NATIVE


def add_noise(clean: Mapping[str, Image], geometry: Geometry, conditions: Conditions, rng: Generator) -> dict[str, Image]:
    """Return observed images in ADU/s: add shot noise of objects and sky, read noise of every exposure, and residual sky.

    Counts are taken as normal: sky alone gives each exposure of a pixel more than 100 electrons. In MER geometry noise is drawn
    on detector pixels and then resampled as MER does, which correlates it; the NISP bands share their dithers.

    Args:
        clean: Band name to `[y, x]` in ADU/s per pixel, of any size.
        geometry: Geometry of the pixels: native ones (`challenge`) or those of MER mosaics.
        conditions: Depth and background.
        rng: Source of randomness.
    """
    phases = rng.integers(0, _NATIVE, (_N_DITHERS, 2))
    noisy = {}
    for band, image in clean.items():
        detector = EUCLID[band]
        depth = conditions.depth_factor[band]
        variance = (depth * detector.noise_electrons_per_pixel) ** 2
        noisy_share = conditions.noisy_pixel_share if band == "VIS" else 0.0
        if geometry.name == "challenge":
            noise = _spoiled(detector_noise(image, detector, variance, rng), noisy_share, rng)
        else:
            noise = _mer_noise(image, detector, variance, phases, rng, noisy_share)
        if band in conditions.edges:
            noise = noise * conditions.edges[band].noise_factor(noise.shape, geometry.grids[band].pixel_scale_arcsec)
        offset = conditions.sky_offset_sigma[band] * depth * sky_sigma_adu_per_s(band, geometry)
        noisy[band] = image + noise + np.float32(offset)
    return noisy


def source_noise(clean: Image, band: str, rng: Generator) -> Image:
    """Draw noise of a source's own photons alone, `[y, x]` in ADU/s on MER pixels: for light added to an image with noise."""
    return _mer_noise(clean, EUCLID[band], 0.0, rng.integers(0, _NATIVE, (_N_DITHERS, 2)), rng)


def detector_noise(clean: Image, band: Band, variance_electrons2: float, rng: Generator) -> Image:
    """Draw noise `[y, x]` in ADU/s of native pixels over the whole exposure.

    It is the shot noise of `clean` (`[y, x]`, ADU/s) together with the given variance of an empty sky.
    """
    electrons = np.float32(band.electrons_per_adu_per_s)
    noise = np.maximum(clean, np.float32(0)) * electrons + np.float32(variance_electrons2)
    np.sqrt(noise, out=noise)
    noise *= rng.standard_normal(clean.shape, np.float32)
    noise /= electrons
    return noise


def _spoiled(noise: Image, noisy_share: float, rng: Generator) -> Image:
    """Raise the noise of a share of native pixels, in place."""
    if noisy_share:
        noise[rng.random(noise.shape, np.float32) < noisy_share] *= np.float32(_NOISY_PIXEL_FACTOR)
    return noise


def _mer_noise(
    clean: Image,
    band: Band,
    variance_electrons2: float,
    phases: NDArray[np.int64],
    rng: Generator,
    noisy_share: float = 0.0,
) -> Image:
    """Draw noise of MER pixels with the light `clean`; the excess applies to the sky alone, sources have plain shot noise."""
    variance_electrons2 *= _MER_NOISE_EXCESS[band.name] ** 2
    if band.name == "VIS":
        padded = np.pad(np.asarray(clean, np.float32), 1, mode="edge")
        native = _spoiled(detector_noise(padded, band, variance_electrons2, rng), noisy_share, rng)
        return _smoothed(native, _VIS_SIDE, _VIS_CORNER)
    margin = len(_NISP_TAPS) // 2
    comb = np.zeros((clean.shape[0] + 2 * margin, clean.shape[1] + 2 * margin), np.float32)
    native_shape = tuple(-(-n // _NATIVE) for n in comb.shape)
    clean = np.ascontiguousarray(clean, np.float32)
    for phase_y, phase_x in phases:
        normals = rng.standard_normal(native_shape, np.float32)
        _add_dither(comb, clean, normals, phase_y, phase_x, variance_electrons2, band.electrons_per_adu_per_s)
    comb /= np.float32(np.sqrt(len(phases)))
    sky_sigma = np.sqrt(variance_electrons2) / band.electrons_per_adu_per_s * np.sum(_NISP_TAPS**2) / _NATIVE
    white = rng.standard_normal(clean.shape, np.float32) * np.float32(np.sqrt(_NISP_WHITE_SHARE) * sky_sigma)
    return _resampled(comb, _NISP_TAPS) + white


@compiled_exactly
def _add_dither(
    comb: Image, clean: Image, normals: Image, phase_y: int, phase_x: int, variance: float, electrons: float
) -> None:
    """Add the noise of native pixels, as if each had the whole exposure, to `comb` at their centres.

    `clean` is the light on pixels a third as wide, without the margin that `comb` has on every side, where its edge pixels
    are repeated.
    """
    margin = (comb.shape[0] - clean.shape[0]) // 2
    last_y, last_x = clean.shape[0] - 1, clean.shape[1] - 1
    for i in range((comb.shape[0] - phase_y + 2) // 3):
        y = phase_y + 3 * i
        for j in range((comb.shape[1] - phase_x + 2) // 3):
            x = phase_x + 3 * j
            seen = np.float32(0)
            for row in range(y - margin - 1, y - margin + 2):
                for column in range(x - margin - 1, x - margin + 2):
                    seen += clean[min(max(row, 0), last_y), min(max(column, 0), last_x)]
            comb[y, x] += np.float32(np.sqrt(variance + max(seen, np.float32(0)) * electrons) / electrons) * normals[i, j]


@compiled_exactly
def _smoothed(image: Image, side: float, corner: float) -> Image:
    """Average each inner pixel with its eight neighbours, with weights for sides and corners."""
    result = np.empty((image.shape[0] - 2, image.shape[1] - 2), np.float32)
    w0 = np.float32(1 / (1 + 4 * side + 4 * corner))
    w1, w2 = w0 * np.float32(side), w0 * np.float32(corner)
    for y in range(result.shape[0]):
        for x in range(result.shape[1]):
            sides = image[y, x + 1] + image[y + 2, x + 1] + image[y + 1, x] + image[y + 1, x + 2]
            corners = image[y, x] + image[y, x + 2] + image[y + 2, x] + image[y + 2, x + 2]
            result[y, x] = w0 * image[y + 1, x + 1] + w1 * sides + w2 * corners
    return result


@compiled_exactly
def _resampled(image: Image, taps: Image) -> Image:
    """Correlate with `taps` along both axes, where all taps are inside the image."""
    n_y, n_x, n_taps = image.shape[0] - len(taps) + 1, image.shape[1] - len(taps) + 1, len(taps)
    across = np.zeros((image.shape[0], n_x), np.float32)
    for y in range(image.shape[0]):
        for k in range(n_taps):
            for x in range(n_x):
                across[y, x] += taps[k] * image[y, x + k]
    result = np.zeros((n_y, n_x), np.float32)
    for y in range(n_y):
        for k in range(n_taps):
            for x in range(n_x):
                result[y, x] += taps[k] * across[y + k, x]
    return result
