"""What telescope and detector do to a scene: blurring, pixels, shot noise, read noise."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import convolve1d

from scanner.pixels.bands import EUCLID, Band
from scanner.pixels.geometry import Geometry
from simulation.galaxies import FINE_SCALE_ARCSEC

Image = NDArray[np.float32]

_KERNEL_HALF_SIDE_ARCSEC = 2.0
_MOFFAT_BETA = 3.0
_TREFOIL = 0.12
"""Relative modulation of the VIS PSF's radius by three struts and the mirror's figure (Schmitz et al. 2020, figure 1)."""
_FWHM_OF_UNIT_PIXEL = 2 * np.sqrt(2 * np.log(2) / 12)
"""FWHM of the Gaussian with the variance of a pixel 1 arcsec wide."""
_VIS_RESAMPLING = 0.1075
"""Weight of each neighbour, along each axis, when MER resamples VIS: gives the measured noise correlation of 0.21 between
neighbours."""


def psf_kernel(band: Band, detector_angle_deg: float, scale_arcsec: float, pixel_arcsec: float) -> Image:
    """`[y, x]` point-spread function summing to 1, to be followed by binning to pixels of `pixel_arcsec`.

    Together with that pixel it has the band's measured FWHM, to 6 %: widths are added in quadrature. VIS is three-fold
    about the detector's orientation, NISP round.
    """
    half = round(_KERNEL_HALF_SIDE_ARCSEC / scale_arcsec)
    axis = np.arange(-half, half + 1) * scale_arcsec
    x, y = axis[None, :], axis[:, None]
    radius = np.hypot(x, y)
    fwhm = np.sqrt(band.psf_fwhm_arcsec**2 - (_FWHM_OF_UNIT_PIXEL * pixel_arcsec) ** 2)
    core = fwhm / (2 * np.sqrt(2 ** (1 / _MOFFAT_BETA) - 1))
    if band.name == "VIS":
        angle = np.arctan2(y, x) - np.radians(detector_angle_deg)
        radius = radius * (1 - _TREFOIL * np.cos(3 * angle) * radius**2 / (radius**2 + core**2))
    kernel = (1 + (radius / core) ** 2) ** -_MOFFAT_BETA
    return np.asarray(kernel / kernel.sum(), np.float32)


class Optics:
    """Blurs images on fine pixels and bins them to the pixels of a geometry, at one orientation of the detector.

    Transforms of kernels are kept for the image sizes seen, so that a tile's hundreds of stamps share them.
    """

    def __init__(self, geometry: Geometry, detector_angle_deg: float) -> None:
        self.geometry = geometry
        self.detector_angle_deg = detector_angle_deg
        self._transforms: dict[tuple[str, int], NDArray[np.complex64]] = {}

    def observe(self, band: str, fine: Image) -> Image:
        """`[y, x]` on the band's pixels, covering as much of the fine image as whole pixels do about its centre.

        Args:
            band: Name.
            fine: `[y, x]` with an even number of pixels a side, ADU/s per fine pixel.
        """
        pixel_arcsec = self.geometry.grids[band].pixel_scale_arcsec
        # NISP is smooth enough for convolution on 0.1 arcsec pixels.
        before = 1 if band == "VIS" else 2
        image = bin_pixels(fine, before)
        blurred = self._convolve(band, image, FINE_SCALE_ARCSEC * before, pixel_arcsec)
        after = round(pixel_arcsec / FINE_SCALE_ARCSEC) // before
        spare = len(blurred) % after
        if spare:
            low = spare // 2
            blurred = blurred[low : len(blurred) - (spare - low), low : len(blurred) - (spare - low)]
        return bin_pixels(blurred, after)

    def _convolve(self, band: str, image: Image, scale_arcsec: float, pixel_arcsec: float) -> Image:
        n = len(image)
        half = round(_KERNEL_HALF_SIDE_ARCSEC / scale_arcsec)
        size = fft.next_fast_len(n + 2 * half, real=True)
        key = (band, size)
        if key not in self._transforms:
            kernel = psf_kernel(EUCLID[band], self.detector_angle_deg, scale_arcsec, pixel_arcsec)
            self._transforms[key] = fft.rfft2(kernel, (size, size))
        full = fft.irfft2(fft.rfft2(image, (size, size)) * self._transforms[key], (size, size))
        return np.asarray(full[half : half + n, half : half + n], np.float32)


def bin_pixels(image: Image, factor: int) -> Image:
    """Sum blocks of `factor` by `factor` pixels; a side must be a multiple of `factor`."""
    if factor == 1:
        return image
    n_y, n_x = image.shape[0] // factor, image.shape[1] // factor
    return np.asarray(image.reshape(n_y, factor, n_x, factor).sum(axis=(1, 3)), np.float32)


def add_noise(clean: Mapping[str, Image], geometry: Geometry, rng: Generator) -> dict[str, Image]:
    """Observed images in ADU/s, sky subtracted: shot noise of objects and sky, and read noise of every exposure.

    In MER geometry noise is drawn on detector pixels and then resampled as MER does, which correlates it.
    """
    noisy = {}
    for band, image in clean.items():
        detector = EUCLID[band]
        if geometry.name == "challenge":
            noise = detector_noise(image, detector, rng)
        elif band == "VIS":
            noise = _resampled_vis(detector_noise(image, detector, rng))
        else:
            noise = _resampled_nisp(image, detector, rng)
        noisy[band] = image + noise
    return noisy


def detector_noise(clean: Image, band: Band, rng: Generator) -> Image:
    """Noise in ADU/s of native detector pixels that see `clean` (ADU/s)."""
    electrons = np.maximum(clean, 0) * band.electrons_per_adu_per_s + band.sky_electrons_per_pixel
    shot = rng.poisson(electrons) - electrons
    read = rng.normal(0, np.sqrt(band.n_exposures) * band.read_noise_electrons, clean.shape)
    return np.asarray((shot + read) / band.electrons_per_adu_per_s, np.float32)


def _resampled_vis(noise: Image) -> Image:
    weights = np.array([_VIS_RESAMPLING, 1.0, _VIS_RESAMPLING]) / (1 + 2 * _VIS_RESAMPLING)
    for axis in (0, 1):
        noise = convolve1d(noise, weights, axis=axis, mode="wrap")
    return noise


def _resampled_nisp(clean: Image, band: Band, rng: Generator) -> Image:
    """Noise of 0.3 arcsec pixels, interpolated linearly to 0.1 arcsec."""
    n = len(clean)
    operator = _upsampling(n)
    n_native = operator.shape[1]
    padded = np.pad(clean, (3, 3 * (n_native - 1) - n), mode="edge")
    noise = detector_noise(bin_pixels(padded, 3), band, rng)
    return np.asarray(operator @ noise @ operator.T, np.float32)


@lru_cache(maxsize=4)
def _upsampling(n: int) -> NDArray[np.float32]:
    """`[n, n_native]`: linear interpolation from pixels three times as wide, with one to spare on either side, flux kept."""
    n_native = -(-n // 3) + 2
    position = (np.arange(n) + 0.5) / 3 + 0.5
    left = np.floor(position).astype(int)
    weight = position - left
    operator = np.zeros((n, n_native), np.float32)
    operator[np.arange(n), left] = (1 - weight) / 3
    operator[np.arange(n), left + 1] = weight / 3
    return operator
