"""Stamps that `make probes` passes to ensembles: cut from real Euclid fields, with arcs erased or painted in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER, MER_10, Geometry
from simulation.injection.arcs import InjectionError, inject_arcs
from simulation.optics.observation import Conditions, add_noise
from simulation.products.render import simulate_object
from simulation.systems import Kind
from tests.benchmarks.realism import Field, robust_sky

SIDE_PIXELS = 200
PIXEL_ARCSEC = 0.1
LENS_PIXELS = 15
"""Half the side of the square about the middle of a field in which its lens lies."""
EDGE_PIXELS = 20
"""Smallest distance of a stamp's middle from the edge of a field; with more, no 20 arcsec stamp fits in a 30 arcsec field."""
N_BLANK = 16
N_INJECTIONS = 90
"""Number of injections per host, a third of each kind."""
N_SIMULATED_PAIRS = 450
BRIGHT_VIS_MAG = 22.5
FAINTEST_HOST_VIS_MAG = 23.0
KINDS: tuple[Kind, ...] = ("single", "compound_arc", "double_ring")
SEED = 77


@dataclass(frozen=True)
class Stamp:
    """Images about a position in a field, or images that belong to no field."""

    group: str
    name: str
    bands: Mapping[str, BandImage]
    lens_distance_pixels: float = np.inf
    """Distance to the field's lens, the larger of those along y and x; infinite if the stamp shows the lens or has no field."""


def min_distance_pixels(geometry: Geometry) -> int:
    """Return the least distance from lens to stamp centre that hides the lens: 65 for 10 arcsec stamps, 115 for 20 arcsec."""
    return round(geometry.grids["VIS"].side_arcsec / PIXEL_ARCSEC / 2) + LENS_PIXELS


def cut(field: Mapping[str, NDArray], y: int, x: int) -> dict[str, BandImage]:
    """Cut images of `SIDE_PIXELS` a side about a pixel, and mark the pixels beyond the field."""
    bands = {}
    for band, image in field.items():
        padded = np.pad(np.asarray(image, np.float32), SIDE_PIXELS // 2)
        outside = np.pad(np.zeros(image.shape, bool), SIDE_PIXELS // 2, constant_values=True)
        box = np.s_[y : y + SIDE_PIXELS, x : x + SIDE_PIXELS]
        bands[band] = BandImage(padded[box], PIXEL_ARCSEC, outside[box])
    return bands


def lens_distance(field: Field, y: int, x: int) -> float:
    """Return the distance from the middle of a field in pixels, the larger of those along y and x."""
    middle = len(field["VIS"]) / 2
    return max(abs(y - middle), abs(x - middle))


def galaxies(field: Field) -> list[tuple[int, int, float]]:
    """Return `(y, x, VIS magnitude within 1 arcsec)` of peaks in VIS away from the centre and the edges."""
    vis = field["VIS"]
    level, sigma = robust_sky(vis)
    smooth = gaussian_filter(np.where(vis == 0, level, vis) - level, 1.5)
    # Smoothing by 1.5 px lowers the noise of VIS by 3.7 to 3.9 in the four real fields, whose neighbouring pixels are
    # correlated (white noise: by 5.3). One sigma of a pixel is nearly 4 sigma here.
    peaks = (smooth == maximum_filter(smooth, 21)) & (smooth > sigma)
    n = len(vis)
    yy, xx = np.mgrid[:n, :n]
    found = []
    for y, x in np.argwhere(peaks):
        if lens_distance(field, y, x) < min_distance_pixels(MER_10) or min(y, x, n - y, n - x) < EDGE_PIXELS:
            continue
        near = np.hypot(yy - y, xx - x) < 10
        flux = (vis[near] - level).sum()
        if flux > 0 and np.mean(vis[near] == 0) < 0.05:
            found.append((int(y), int(x), float(EUCLID["VIS"].zero_point_ab_mag - 2.5 * np.log10(flux))))
    return found


def blanks(field: Field, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return random positions `(y, x)` from the fifth with the least light within 2 arcsec."""
    vis = field["VIS"]
    level, _ = robust_sky(vis)
    light = gaussian_filter(np.where(vis == 0, 1e3, vis) - level, 10)
    places = rng.integers(EDGE_PIXELS, len(vis) - EDGE_PIXELS, (50 * N_BLANK, 2))
    far = [(int(y), int(x)) for y, x in places if lens_distance(field, y, x) >= min_distance_pixels(MER_10)]
    return sorted(far, key=lambda p: light[p])[:: max(len(far) // (5 * N_BLANK), 1)][:N_BLANK]


def erased(images: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Replace light without a counterpart opposite the centre by the light that is opposite, in each `[y, x]` image."""
    made = {}
    for band, image in images.items():
        level, sigma = robust_sky(np.asarray(image, float))
        opposite = np.asarray(image)[::-1, ::-1]
        excess = gaussian_filter(np.asarray(image, float) - opposite, 1.0)
        noise = sigma * np.sqrt(1 + np.maximum(gaussian_filter(np.asarray(image, float) - level, 2.0), 0) / (30 * sigma))
        weight = gaussian_filter((excess > 1.0 * noise).astype(float), 1.0)
        made[band] = np.asarray(image - np.minimum(2 * weight, 1) * np.maximum(image - opposite, 0), np.float32)
    return made


def centred(field: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Crop the field to an odd side, with the brightest VIS pixel near its middle as the middle pixel."""
    vis = gaussian_filter(np.asarray(field["VIS"], float), 1.0)
    n = len(vis)
    box = vis[n // 2 - 8 : n // 2 + 8, n // 2 - 8 : n // 2 + 8]
    y, x = (int(p) + n // 2 - 8 for p in np.unravel_index(box.argmax(), box.shape))
    half = min(y, x, n - 1 - y, n - 1 - x, 70)
    return {band: np.asarray(image)[y - half : y + half + 1, x - half : x + half + 1] for band, image in field.items()}


def as_stamp(group: str, name: str, images: Mapping[str, NDArray]) -> Stamp:
    return Stamp(group, name, {band: BandImage(np.asarray(image, np.float32), PIXEL_ARCSEC) for band, image in images.items()})


def jackpot(path: Path, rng: np.random.Generator) -> Stamp:
    """Return SDSSJ0946+1006 from HST as Euclid would observe it at VIS 18: its PSF, pixels and noise, in one colour."""
    data = np.nan_to_num(fits.getdata(path).astype(float))
    n = len(data) // 2 * 2
    fine = data[:n, :n] * (10 ** (-0.4 * (18.0 - 24.6)) / np.clip(data, 0, None).sum())
    clean = {}
    for band in EUCLID:
        # Blur from HST's FWHM of 0.1 arcsec to Euclid's PSF, in pixels of 0.05 arcsec.
        blurred = gaussian_filter(fine, np.sqrt(max(EUCLID[band].psf_fwhm_arcsec ** 2 - 0.1**2, 0.0)) / 2.3548 / 0.05)
        image = blurred.reshape(n // 2, 2, n // 2, 2).sum(axis=(1, 3))
        colour = {"VIS": 0.0, "Y": 1.0, "J": 1.25, "H": 1.5}[band]
        image = image * 10 ** (0.4 * (EUCLID[band].zero_point_ab_mag - EUCLID["VIS"].zero_point_ab_mag + colour))
        clean[band] = np.pad(image, (SIDE_PIXELS - n // 2 + 1) // 2)[:SIDE_PIXELS, :SIDE_PIXELS].astype(np.float32)
    return as_stamp("lens", "jackpot", add_noise(clean, MER, Conditions.nominal(0.0), rng))


def real_stamps(fields: Mapping[str, Field], rng: np.random.Generator) -> Iterator[Stamp]:
    """Yield lenses and erased lenses; from fields as large as a stamp also galaxies, blank sky, hosts without and with arcs."""
    for name, field in fields.items():
        yield as_stamp("lens", name, field)
        lens = centred(field)
        yield as_stamp("centred lens", name, lens)
        yield as_stamp("erased lens", name, erased(lens))
        if len(field["VIS"]) >= SIDE_PIXELS:
            yield from outskirts(field, name, rng)


def outskirts(field: Field, name: str, rng: np.random.Generator) -> Iterator[Stamp]:
    """Yield stamps of a field that do not show its lens to 10 arcsec networks."""
    for y, x in blanks(field, rng):
        yield Stamp("blank", f"{name} {y} {x}", cut(field, y, x), lens_distance(field, y, x))
    for y, x, mag in galaxies(field):
        group = "bright" if mag < BRIGHT_VIS_MAG else "faint"
        yield Stamp(group, f"{name} {y} {x} {mag:.1f}", cut(field, y, x), lens_distance(field, y, x))
        if mag < FAINTEST_HOST_VIS_MAG:
            # Blank places do not depend on the number of injections.
            yield from injected(field, name, y, x, rng.spawn(1)[0])


def injected(field: Field, name: str, y: int, x: int, rng: np.random.Generator) -> Iterator[Stamp]:
    """Yield a galaxy with up to `N_INJECTIONS` arcs, named by position and number, and unchanged, named by its position."""
    place, distance = f"{name} {y} {x}", lens_distance(field, y, x)
    images = {band: np.asarray(image, np.float32) for band, image in field.items()}
    n_made = 0
    for i in range(N_INJECTIONS):
        try:
            made = inject_arcs(images, KINDS[i % len(KINDS)], rng, host_yx=(float(y), float(x)))
        except InjectionError:
            continue
        n_made += 1
        yield Stamp("injected", f"{place} {i}", cut(made.stamps, y, x), distance)
    if n_made:
        yield Stamp("host", place, cut(field, y, x), distance)


def simulated_pairs() -> Iterator[Stamp]:
    """Yield simulated lenses, and the same with their asymmetric light erased, both named by their kind and number."""
    for i in range(N_SIMULATED_PAIRS):
        kind = KINDS[i % len(KINDS)]
        made = simulate_object(kind, MER, np.random.default_rng([SEED, i]))
        lens = centred(made.stamps)
        yield as_stamp("simulated lens", f"{kind} {i}", lens)
        yield as_stamp("erased simulated lens", f"{kind} {i}", erased(lens))
