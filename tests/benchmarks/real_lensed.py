"""Real galaxies lensed into real hosts, single and double plane: pairs in which hosts, noise and sources are images of the sky.

A galaxy of one field is cut out, shrunk, put behind a galaxy of a field and added, bright enough to be seen. The lens is
lenstronomy's; nothing of the package's simulator takes part. Few fields are at hand, so hosts and sources repeat.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from tests.benchmarks.probe_stamps import Stamp, as_stamp, galaxies
from tests.benchmarks.realism import Field, robust_sky

Images = dict[str, NDArray[np.float64]]
HALF_PIXELS = 50
"""Half the side of a stamp; hosts lie at least this far from the edge of their field."""
SOURCE_HALF_PIXELS = 20
FAINTEST_HOST_VIS_MAG, FAINTEST_SOURCE_VIS_MAG = 23.0, 23.3
N_PER_HOST = 264
"""Number of lenses per host, half of them with two sources: one more or less above a cut is then 0.003 of the pairs."""
MIN_SNR, MAX_SNR = 20.0, 150.0
"""Range of the arcs' S/N in VIS, of each source."""
_EINSTEIN_RADII_ARCSEC, _SECOND_RADII = (0.8, 1.8), (1.15, 1.5)
"""Einstein radii of the first source, and of the second in units of the first's."""
_SHRUNK = (0.2, 0.45)
_PIXEL_ARCSEC, _FINER = 0.1, 2
_FWHM_ARCSEC = {"VIS": 0.16, "Y": 0.46, "J": 0.47, "H": 0.50}
SEED = 1805


def real_pairs(fields: Mapping[str, Field], rng: np.random.Generator) -> Iterator[Stamp]:
    """Yield each host, and the same host with each of its lenses, named by the host and a number."""
    places = {name: galaxies(field) for name, field in fields.items()}
    sources = [
        _source(fields[name], y, x)
        for name, found in places.items()
        for y, x, mag in found
        if mag < FAINTEST_SOURCE_VIS_MAG and _is_inside(fields[name], y, x, SOURCE_HALF_PIXELS)
    ]
    for name, found in places.items():
        for y, x, mag in found:
            if mag > FAINTEST_HOST_VIS_MAG or not _is_inside(fields[name], y, x, HALF_PIXELS):
                continue
            host = _cut(fields[name], y, x, HALF_PIXELS)
            yield as_stamp("real host", f"{name} {y} {x}", host)
            for number in range(N_PER_HOST):
                n_sources = 1 + number % 2
                chosen = [sources[i] for i in rng.choice(len(sources), n_sources, replace=False)]
                arcs = _lensed(chosen, _sky_sigma(host["VIS"]), rng)
                group = "real lensed single" if n_sources == 1 else "real lensed double"
                yield as_stamp(group, f"{name} {y} {x} {number}", {band: host[band] + arcs[band] for band in host})


def _is_inside(field: Field, y: int, x: int, half: int) -> bool:
    n = len(field["VIS"])
    return min(y, x) >= half and max(y, x) + half <= n


def _cut(field: Field, y: int, x: int, half: int) -> Images:
    return {band: np.asarray(image, float)[y - half : y + half, x - half : x + half].copy() for band, image in field.items()}


def _sky_sigma(image: NDArray[np.float64]) -> float:
    return float(robust_sky(image)[1])


def _source(field: Field, y: int, x: int) -> Images:
    """Cut a galaxy out of its sky: light that is above the noise in VIS or H, connected to the middle by a taper."""
    cut = _cut(field, y, x, SOURCE_HALF_PIXELS)
    yy, xx = np.indices(cut["VIS"].shape) - (SOURCE_HALF_PIXELS - 0.5)
    taper = np.clip((SOURCE_HALF_PIXELS - 2 - np.hypot(yy, xx)) / 5, 0, 1)
    weight = np.zeros_like(taper)
    for band in ("VIS", "H"):
        level, sigma = robust_sky(np.asarray(field[band], float))
        smooth = gaussian_filter(cut[band] - level, 1.0)
        weight = np.maximum(weight, gaussian_filter((smooth > 1.2 * sigma).astype(float), 1.0))
    out = {}
    for band, image in cut.items():
        level, _ = robust_sky(np.asarray(field[band], float))
        out[band] = np.maximum(gaussian_filter(image - level, 0.6) * weight * taper, 0)
    return out


def _lensed(sources: list[Images], sky_sigma: float, rng: np.random.Generator) -> Images:
    """Return the arcs of one or two sources behind one deflector in the middle of a stamp."""
    radius = float(rng.uniform(*_EINSTEIN_RADII_ARCSEC))
    e1, e2, gamma1, gamma2 = rng.normal(0, (0.1, 0.1, 0.03, 0.03)).tolist()
    total: Images = {}
    for number, source in enumerate(sources):
        factor = float(rng.uniform(*_SECOND_RADII)) if number else 1.0
        arcs = _arcs(source, radius * factor, (e1, e2, gamma1, gamma2), rng)
        snr = _snr(arcs["VIS"], sky_sigma)
        wanted = float(np.exp(rng.uniform(np.log(MIN_SNR), np.log(MAX_SNR))))
        for band, image in arcs.items():
            total[band] = total.get(band, np.zeros_like(image)) + image * wanted / snr
    return total


def _arcs(source: Images, radius: float, shape: tuple[float, float, float, float], rng: np.random.Generator) -> Images:
    n = 2 * HALF_PIXELS * _FINER
    axis = (np.arange(n) - (n - 1) / 2) * _PIXEL_ARCSEC / _FINER
    x, y = np.meshgrid(axis, axis)
    e1, e2, gamma1, gamma2 = shape
    kwargs = [{"theta_E": radius, "e1": e1, "e2": e2, "center_x": 0.0, "center_y": 0.0}, {"gamma1": gamma1, "gamma2": gamma2}]
    beta_x, beta_y = LensModel(["SIE", "SHEAR"]).ray_shooting(x.ravel(), y.ravel(), kwargs)
    distance, turn, shrunk = radius * 0.6 * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi), rng.uniform(*_SHRUNK)
    at_x = (beta_x.reshape(n, n) - distance * np.cos(turn)) / (_PIXEL_ARCSEC * shrunk) + SOURCE_HALF_PIXELS - 0.5
    at_y = (beta_y.reshape(n, n) - distance * np.sin(turn)) / (_PIXEL_ARCSEC * shrunk) + SOURCE_HALF_PIXELS - 0.5
    images = {}
    for band, image in source.items():
        fine = map_coordinates(image, [at_y, at_x], order=1, mode="constant", cval=0.0)
        blurred = gaussian_filter(fine, _FWHM_ARCSEC[band] / 2.3548 / (_PIXEL_ARCSEC / _FINER))
        images[band] = blurred.reshape(2 * HALF_PIXELS, _FINER, 2 * HALF_PIXELS, _FINER).mean(axis=(1, 3))
    return images


def _snr(image: NDArray[np.float64], sigma: float) -> float:
    """Return the signal-to-noise ratio against the sky, over the pixels that hold most of the light."""
    bright = image > 0.1 * image.max()
    return float(np.sqrt(np.sum((image[bright] / sigma) ** 2)))
