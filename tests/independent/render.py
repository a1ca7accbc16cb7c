"""Render scenes with lenstronomy: stamps of 100 x 100 pixels of 0.1 arcsec in VIS, Y, J, H, in ADU/s, with noise."""

import warnings

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from tests.independent.scenes import Galaxy, Scene

Image = NDArray[np.float64]
SIDE, PIXEL_ARCSEC, FINER = 100, 0.1, 2
ZERO_POINTS = {"VIS": 24.6, "Y": 29.8, "J": 30.0, "H": 29.9}
SKY_SIGMAS = {"VIS": 0.0027, "Y": 0.50, "J": 0.55, "H": 0.60}
"""Standard deviation of a pixel of empty sky in MER mosaics, in ADU/s."""
SHOT = {"VIS": 0.085, "Y": 16.0, "J": 16.0, "H": 16.0}
"""Brightness of a pixel in ADU/s at which photons of the source add as much variance as the sky has."""
MIN_SNR, MIN_CONTRAST = 20.0, 0.15
"""Least S/N of the lensed light of each source in VIS, over pixels where it exceeds noise and a share of the other light."""
_WINGS = 2.8
_FWHM_ARCSEC = {"VIS": 0.17, "Y": 0.46, "J": 0.48, "H": 0.50}


def render(scene: Scene, rng: Generator) -> dict[str, NDArray[np.float32]] | None:
    """Return the stamps of a scene; None if it has a source whose images cannot be seen."""
    direct = _light(scene.galaxies)
    lensed = [_lensed(source, z, scene) for source, z in scene.sources]
    if not all(_is_visible(image["VIS"], direct["VIS"]) for image in lensed):
        return None
    clean = {band: direct[band] + sum((image[band] for image in lensed), np.zeros((SIDE, SIDE))) for band in ZERO_POINTS}
    return {band: np.asarray(image + _noise(band, image, rng), np.float32) for band, image in clean.items()}


def _grid() -> tuple[Image, Image]:
    axis = (np.arange(SIDE * FINER) - (SIDE * FINER - 1) / 2) * PIXEL_ARCSEC / FINER
    x, y = np.meshgrid(axis, axis)
    return x, y


def _light(galaxies: list[Galaxy]) -> dict[str, Image]:
    x, y = _grid()
    return _observed(galaxies, [_shape(galaxy, x, y) for galaxy in galaxies])


def _lensed(source: Galaxy, z: float, scene: Scene) -> dict[str, Image]:
    """Ray-shoot through all planes; radii hold for the farthest source of the scene."""
    x, y = _grid()
    acting = [mass for mass in scene.masses if mass[2] < z]
    farthest = max(z for _, z in scene.sources)
    with warnings.catch_warnings():
        # lenstronomy warns of the cosmology that it has set itself.
        warnings.simplefilter("ignore", UserWarning)
        model = LensModel(
            [name for name, _, _ in acting],
            z_source=z,
            lens_redshift_list=[z_mass for _, _, z_mass in acting],
            multi_plane=True,
            z_source_convention=farthest,
        )
    beta_x, beta_y = model.ray_shooting(x.ravel(), y.ravel(), [kwargs for _, kwargs, _ in acting])
    shape = _shape(source, beta_x.reshape(x.shape), beta_y.reshape(y.shape), unlensed=_grid())
    return _observed([source], [shape])


def _shape(galaxy: Galaxy, x: Image, y: Image, unlensed: tuple[Image, Image] | None = None) -> Image:
    """Return surface brightness with a total flux of 1 over the field, seen directly."""
    total = np.zeros(x.shape)
    for (name, kwargs), share in zip(galaxy.profiles, galaxy.shares, strict=True):
        model, given = LightModel([name]), [{"amp": 1.0, **kwargs}]
        at_x, at_y = unlensed or (x, y)
        norm = model.surface_brightness(at_x.ravel(), at_y.ravel(), given).sum()
        if unlensed:
            # A small source needs a finer grid for its norm than the image has.
            norm = (
                max(norm, 1e-12) if kwargs.get("sigma", 1.0) > 0.05 else 2 * np.pi * kwargs["sigma"] ** 2 * _peak(model, given)
            )
        total += share * model.surface_brightness(x.ravel(), y.ravel(), given).reshape(x.shape) / norm
    return total


def _peak(model: LightModel, given: list[dict]) -> float:
    x, y = np.array([given[0]["center_x"]]), np.array([given[0]["center_y"]])
    return float(model.surface_brightness(x, y, given)[0]) / (PIXEL_ARCSEC / FINER) ** 2


def _observed(galaxies: list[Galaxy], shapes: list[Image]) -> dict[str, Image]:
    images = {}
    for band, zero_point in ZERO_POINTS.items():
        fine = sum(
            (10 ** (-0.4 * (galaxy.mags[band] - zero_point)) * shape for galaxy, shape in zip(galaxies, shapes, strict=True)),
            np.zeros((SIDE * FINER,) * 2),
        )
        blurred = fftconvolve(fine, _psf(band), mode="same")
        images[band] = blurred.reshape(SIDE, FINER, SIDE, FINER).sum(axis=(1, 3))
    return images


def _psf(band: str) -> Image:
    """Return a Moffat profile on the fine pixels."""
    half = 40
    axis = np.arange(-half, half + 1) * PIXEL_ARCSEC / FINER
    scale = _FWHM_ARCSEC[band] / (2 * np.sqrt(2 ** (1 / _WINGS) - 1))
    kernel = (1 + (axis[:, None] ** 2 + axis[None, :] ** 2) / scale**2) ** -_WINGS
    return kernel / kernel.sum()


def _is_visible(arcs: Image, others: Image) -> bool:
    sigma = _sigma("VIS", arcs + others)
    seen = (arcs > sigma) & (arcs > MIN_CONTRAST * others)
    return bool(np.sum(seen) >= 20 and np.sqrt(np.sum((arcs[seen] / sigma[seen]) ** 2)) >= MIN_SNR)


def _sigma(band: str, image: Image) -> Image:
    return SKY_SIGMAS[band] * np.sqrt(1 + np.maximum(image, 0) / SHOT[band])


def _noise(band: str, image: Image, rng: Generator) -> Image:
    """Draw noise that neighbouring pixels share: a little in VIS, over three pixels in the NISP bands."""
    width = 0.42 if band == "VIS" else 1.25
    unit = gaussian_filter(rng.normal(size=(SIDE + 16,) * 2), width)[8:-8, 8:-8]
    return _sigma(band, image) * unit / unit.std()
