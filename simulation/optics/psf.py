"""Point-spread functions: a model of Euclid's PSFs, and PSFs read from files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import pchip_interpolate
from scipy.ndimage import gaussian_filter, uniform_filter

from infra.errors import LensscanError
from infra.numba_loops import compiled_exactly
from scanner.files.fits_file import FitsFile, open_fits
from scanner.files.fits_hdus import Hdu
from scanner.files.fits_image import check_image, find_image, header_pixel_scale_arcsec
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Image
from scanner.vocabulary.rejections import RejectCode, Rejection
from simulation.optics.light import FINE_SCALE_ARCSEC

MAX_PSF_PIXELS = 1024**2
MAX_OFF_CENTRE_PIXELS = 1.0
"""Largest distance of a PSF's peak, and of the centroid of its light, from the image's centre along each axis."""
_MAX_FILE_BYTES = 2**28
MER_PSF_HDUS: Mapping[str, str] = MappingProxyType({"VIS": "VIS_PSF", "Y": "NIR_Y_PSF", "J": "NIR_J_PSF", "H": "NIR_H_PSF"})
"""Names of the extensions that hold the PSF of each band in Euclid's cutouts; their headers lack a pixel scale."""

_HALF_SIDE_ARCSEC = 1.6
"""Half the side of the kernels of `ModelPsf`. Real stamps end at 1.0 (VIS) and 1.6 arcsec (NISP) and sum to 0.95-1.00."""
_FADES_FROM = 0.75
"""Fraction of that radius from which the model falls smoothly to 0: bright stars do not end in a visible edge."""

_N_STEPS = 15
"""Iterations of `_sharpened`. Fewer leave undersampled PSFs too wide, more sharpen the noise in NISP's stamps; with this
number, point sources are as wide as the stamps of Q1 within 3 % in all bands."""
_SHARING_VARIANCE = FINE_SCALE_ARCSEC**2 / 6
"""Variance in arcsec2 along an axis that the drawing of point sources adds to the blurring by a pixel. Their light is shared
among fine pixels and then counts as if at their centres. The value is for a source in the middle of the pixel, as in a stamp;
on average over positions it is half as much."""


class PsfError(LensscanError, ValueError):
    """A PSF cannot be used; the message gives the reason."""


class Psf(Protocol):
    """Light of a point source, before pixels."""

    def kernel(self, scale_arcsec: float, pixel_arcsec: float) -> Image:
        """Return `[y, x]`, an odd number of samples `scale_arcsec` apart along each axis, with a sum of 1.

        The caller then averages over pixels of `pixel_arcsec`.
        """
        ...


@dataclass(frozen=True)
class Profile:
    """Radial profile of a PSF: a Moffat core on a Gaussian pedestal."""

    core_beta: float
    wing_share: float
    """Share of all light in the pedestal."""
    wing_sigma_arcsec: float


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "VIS": Profile(1.90, 0.176, 0.120),
        "Y": Profile(6.4, 0.3, 0.247),
        "J": Profile(10.0, 0.226, 0.377),
        "H": Profile(10.0, 0.476, 0.339),
    }
)
"""Fitted to the encircled energy of PSF stamps of Q1, together with the FWHM of `bands`."""
VIS_TREFOIL = 0.08
"""Relative modulation of the VIS PSF's radius by three struts and the mirror's figure (Schmitz et al. 2020, figure 1); gives
the three-fold moment of the same stamps."""


@dataclass(frozen=True)
class ModelPsf:
    """An analytic PSF; the core's width is adjusted to give the wanted FWHM, and the pedestal stays fixed.

    Raises:
        PsfError: no core, with its pixel, is that narrow or wide (when a kernel is asked for).
    """

    fwhm_arcsec: float
    """FWHM including the pixel: diameter of the circle at half of the peak."""
    detector_angle_deg: float = 0.0
    """Direction of one of the three corners of a PSF with `trefoil`, from x towards y."""
    trefoil: float = 0.0
    """Relative modulation of the radius; 0 for a round PSF."""
    profile: Profile = PROFILES["VIS"]

    def kernel(self, scale_arcsec: float, pixel_arcsec: float) -> Image:
        """See `Psf.kernel`."""
        core = self._core_radius_arcsec(pixel_arcsec)
        half = round(_HALF_SIDE_ARCSEC / scale_arcsec)
        kernel = np.empty((2 * half + 1, 2 * half + 1))
        turn, shape = 3 * np.radians(self.detector_angle_deg), self.profile
        corners = (self.trefoil * np.cos(turn), self.trefoil * np.sin(turn))
        _fill(kernel, scale_arcsec, core, shape.core_beta, shape.wing_share, shape.wing_sigma_arcsec, *corners)
        return np.asarray(kernel / kernel.sum(), np.float32)

    def _core_radius_arcsec(self, pixel_arcsec: float) -> float:
        widths, cores = _widths(self.profile, pixel_arcsec)
        if not widths[0] <= self.fwhm_arcsec <= widths[-1]:
            bounds = f"[{widths[0]:.3g}, {widths[-1]:.3g}]"
            raise PsfError(f"fwhm_arcsec in pixels of {pixel_arcsec} arcsec must be in {bounds}, got {self.fwhm_arcsec}")
        return float(pchip_interpolate(widths, cores, self.fwhm_arcsec))


def model_psf(band: str, detector_angle_deg: float, fwhm_factor: float = 1.0) -> ModelPsf:
    """Model Euclid's PSF: VIS three-fold about the detector's orientation, NISP round; `fwhm_factor` times the median width."""
    trefoil = VIS_TREFOIL if band == "VIS" else 0.0
    return ModelPsf(EUCLID[band].psf_fwhm_arcsec * fwhm_factor, detector_angle_deg, trefoil, PROFILES[band])


def least_fwhm_factor(band: str, pixel_arcsec: float) -> float:
    """Return the smallest `fwhm_factor` for which `model_psf` has a kernel on pixels of `pixel_arcsec`."""
    # The excess keeps rounding of the product with the width from falling below the narrowest again.
    return float(_widths(PROFILES[band], pixel_arcsec)[0][0]) / EUCLID[band].psf_fwhm_arcsec * (1 + 1e-9)


@lru_cache(maxsize=32)
def _widths(profile: Profile, pixel_arcsec: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return increasing FWHM that include the pixel, and the core radii that give them, both in arcsec.

    The three-fold term changes the area at half maximum in second order only and is left out.
    """
    narrowest = pixel_arcsec / 5
    cores = np.geomspace(narrowest, 2.0, 24) / (2 * np.sqrt(2 ** (1 / profile.core_beta) - 1))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x, y = np.meshgrid(nodes * pixel_arcsec / 2, nodes * pixel_arcsec / 2)
    weight = np.outer(weights, weights)
    widths = np.empty_like(cores)
    for i, core in enumerate(cores):
        radii = np.linspace(0, 1.5 * core + pixel_arcsec, 60)[:, None, None]
        # The pixel is square: average the direction of a side and that of a diagonal.
        squares = ((x + radii * np.cos(turn)) ** 2 + (y + radii * np.sin(turn)) ** 2 for turn in (0, np.pi / 4))
        seen = sum(np.sum(weight * _brightness(square, core, profile), axis=(1, 2)) for square in squares)
        widths[i] = 2 * np.interp(-0.5 * seen[0], -seen, radii[:, 0, 0])
    # Below one pixel the width does not grow with the core's, and it falls again where the pedestal outshines the core.
    grows = slice(int(np.argmin(widths)), int(np.argmax(widths)) + 1)
    return widths[grows], cores[grows]


def _brightness(radius2: NDArray[np.float64], core: float, profile: Profile) -> NDArray[np.float64]:
    """Return the surface brightness per arcsec2 for a flux of 1, given squares of radii."""
    beta, variance = profile.core_beta, profile.wing_sigma_arcsec**2
    moffat = (beta - 1) / (np.pi * core**2) * (1 + radius2 / core**2) ** -beta
    gauss = np.exp(-radius2 / (2 * variance)) / (2 * np.pi * variance)
    return (1 - profile.wing_share) * moffat + profile.wing_share * gauss


@compiled_exactly
def _fill(
    kernel: NDArray[np.float64],
    scale: float,
    core: float,
    beta: float,
    wing_share: float,
    wing_sigma: float,
    cos_corner: float,
    sin_corner: float,
) -> None:
    """Write `_brightness` with radii modulated three-fold, on samples about the middle, into `kernel`."""
    half = len(kernel) // 2
    moffat, gauss = (1 - wing_share) * (beta - 1) / core**2, wing_share / (2 * wing_sigma**2)
    for i in range(len(kernel)):
        y = (i - half) * scale
        for j in range(len(kernel)):
            x = (j - half) * scale
            r2 = x * x + y * y
            fade = (1 - np.sqrt(r2) / _HALF_SIDE_ARCSEC) / (1 - _FADES_FROM)
            if fade <= 0:
                kernel[i, j] = 0.0
                continue
            # r^3 cos(3 (phi - detector angle)), without a call of cos.
            corner = cos_corner * x * (x * x - 3 * y * y) + sin_corner * y * (3 * x * x - y * y)
            squeezed = 1 - corner / (np.sqrt(r2) * (r2 + core * core) + 1e-12)
            s2 = r2 * squeezed * squeezed
            value = moffat * (1 + s2 / core**2) ** -beta + gauss * np.exp(-s2 / (2 * wing_sigma**2))
            kernel[i, j] = value * (fade * fade * (3 - 2 * fade) if fade < 1 else 1.0)


@dataclass(frozen=True, eq=False)
class SampledPsf:
    """An effective PSF from an image: the light of a point source recorded by pixels of `scale_arcsec`.

    Its kernel is nowhere negative. The pixels of the image, together with the blurring that the renderer adds, turn the kernel
    into the image again (`_sharpened`). A point source in the middle of a pixel is then as wide as the stamps of Q1 within 3 %.
    Where the PSF is undersampled, as in VIS, it is up to 7 % narrower for extended light, and about half as much for point
    sources on average over positions. The PSF's position is the centroid of its light; pixels below 0 count as 0. The PSF is
    used unchanged: neither the detector's orientation nor a scatter of widths applies.

    Raises:
        PsfError: the image is no PSF.
    """

    image: Image
    """`[y, x]`, at least 5 pixels a side, in any unit; not necessarily square."""
    scale_arcsec: float

    def __post_init__(self) -> None:
        _check_psf(self.image)
        if not 0.005 <= self.scale_arcsec <= 1:
            raise PsfError(f"scale_arcsec of a PSF must be in [0.005, 1], got {self.scale_arcsec}")

    def kernel(self, scale_arcsec: float, pixel_arcsec: float) -> Image:  # noqa: ARG002 - the pixel does not shape it
        """See `Psf.kernel`."""
        return _sampled_kernel(self, scale_arcsec)


@lru_cache(maxsize=16)
def _sampled_kernel(psf: SampledPsf, scale_arcsec: float) -> Image:
    """Return the light in squares of `scale_arcsec` about the PSF's centroid; cached, since every simulated object uses it."""
    finer = _finer(psf.scale_arcsec)
    blur = float(np.sqrt(scale_arcsec**2 / 12 + _SHARING_VARIANCE)) * finer / psf.scale_arcsec
    stamp = np.maximum(psf.image, 0).astype(np.float64)
    light = _sharpened(stamp, finer, blur)
    step = scale_arcsec / psf.scale_arcsec
    half = int((max(stamp.shape) / step + 1e-6) // 2)
    edges = (np.arange(-half, half + 2, dtype=np.float64) - 0.5) * step
    rows, columns = (_shares((edges + p + 0.5) * finer, n) for p, n in zip(_centroid(stamp), light.shape, strict=True))
    kernel = np.maximum(rows @ light @ columns.T, 0)
    kernel = np.asarray(kernel / kernel.sum(), np.float32)
    kernel.flags.writeable = False
    return kernel


def _finer(scale_arcsec: float) -> int:
    """Return the number of parts of a pixel along an axis: odd, about 0.02 arcsec wide each, and few to save memory."""
    return min(5, 2 * round(scale_arcsec / 0.05) + 1)


def _sharpened(stamp: NDArray[np.float64], finer: int, blur: float) -> NDArray[np.float64]:
    """Return light, nowhere negative, on pixels `finer` times finer that gives the stamp when blurred and binned to its pixels.

    Richardson (1972) and Lucy (1974): each step multiplies the light by the ratio of the stamp to the image of the light. The
    ratios are spread over more than a pixel, so that no structure appears on smaller scales than the stamp shows.

    Args:
        stamp: `[y, x]`, at least 0.
        finer: Fine pixels in a pixel along an axis; odd.
        blur: Standard deviation of a Gaussian, in fine pixels.
    """
    n_y, n_x = stamp.shape

    def spread(image: NDArray[np.float64]) -> NDArray[np.float64]:
        fine = np.repeat(np.repeat(image, finer, axis=0), finer, axis=1)
        return gaussian_filter(uniform_filter(uniform_filter(fine, finer, mode="nearest"), finer, mode="nearest"), blur)

    light = spread(stamp)
    for _ in range(_N_STEPS):
        seen = gaussian_filter(light, blur, mode="constant").reshape(n_y, finer, n_x, finer).mean(axis=(1, 3))
        light *= spread(np.divide(stamp, seen, out=np.zeros_like(stamp), where=seen > 0))
    return light


def _shares(edges: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return `[len(edges) - 1, n]`: the share of each of n pixels, the first from 0 to 1, that is between successive edges."""
    return np.diff(np.clip(edges[:, None] - np.arange(n), 0, 1), axis=0)


def _centroid(stamp: NDArray[np.float64]) -> tuple[float, float]:
    """Return the centroid `(y, x)` in pixels of light that is nowhere negative."""
    y, x = (float(stamp.sum(axis=1 - axis) @ np.arange(stamp.shape[axis]) / stamp.sum()) for axis in (0, 1))
    return y, x


def _check_psf(image: Image) -> None:
    shape = image.shape
    if image.ndim != 2 or min(shape) < 5:
        raise PsfError(f"a PSF is a 2-D image of at least 5 pixels a side, got the shape {shape}")
    if not np.isfinite(image).all():
        raise PsfError(f"every pixel of a PSF must be finite, {np.count_nonzero(~np.isfinite(image))} are not")
    total = float(image.sum(dtype=float))
    if not total > 0:
        raise PsfError(f"the sum of a PSF must be > 0, got {total:g}")
    peak = np.unravel_index(int(np.argmax(image)), shape)
    centroid = _centroid(np.maximum(image, 0).astype(np.float64))
    for name, at in (("peak", tuple(int(p) for p in peak)), ("centroid", tuple(round(p, 2) for p in centroid))):
        if any(abs(p - (n - 1) / 2) > MAX_OFF_CENTRE_PIXELS for p, n in zip(at, shape, strict=True)):
            centre = tuple((n - 1) / 2 for n in shape)
            raise PsfError(
                f"the {name} of a PSF must be within {MAX_OFF_CENTRE_PIXELS:g} pixel of its centre [y, x] {centre}, got {at}"
            )


def read_psfs(uri: str) -> dict[str, SampledPsf]:
    """Read the PSF of every band, from extensions named as in Euclid's cutouts (`MER_PSF_HDUS`).

    The pixel scale is that of the header (WCS or PIXSCALE), or 0.1 arcsec for a header without one.

    Args:
        uri: FITS file: local path, `file://` or `s3://`.

    Raises:
        PsfError: the file cannot be read, an extension is missing, or its image is no PSF.
    """
    try:
        file = open_fits(uri, _MAX_FILE_BYTES)
        return {band: _psf_of(file, find_image(file, name)) for band, name in MER_PSF_HDUS.items()}
    except Rejection as rejection:
        raise PsfError(rejection.detail) from rejection


def _psf_of(file: FitsFile, hdu: Hdu) -> SampledPsf:
    check_image(file, hdu, MAX_PSF_PIXELS)
    label = hdu.label
    try:
        scale_arcsec = header_pixel_scale_arcsec(hdu.header, label)
    except Rejection as rejection:
        if rejection.code != RejectCode.NO_PIXEL_SCALE:
            raise
        scale_arcsec = MER_PIXEL_ARCSEC
    try:
        return SampledPsf(file.pixels(hdu), scale_arcsec)
    except PsfError as error:
        raise PsfError(f"{label}: {error}") from error
