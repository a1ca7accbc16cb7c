"""A piece of sky on MER pixels: paint objects one by one into an image per band, then observe the whole image."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER, MER_PIXEL_ARCSEC, Image
from simulation.optics.artefacts import add_artefacts
from simulation.optics.light import FineGrid, draw, extent_arcsec
from simulation.optics.observation import Conditions, Optics, add_noise
from simulation.population.field import counts_per_arcmin2, draw_field_galaxy, field_mag
from simulation.systems import Light

_FIELD_SCATTER = 0.15
"""Scatter in ln of the counts, between areas of about one square arcminute."""
_STAMP_PIXELS = (24, 40, 60, 100, 150, 200)
"""Sides of stamps: few sizes, so that they share transforms of the PSF."""
_TAPER_FROM = 0.7
"""Fraction of a stamp's half side from which light fades out."""


class SimulatedMosaic:
    """Noise-free images into which objects are painted one by one."""

    def __init__(self, side_pixels: int, conditions: Conditions) -> None:
        """Start with an empty sky of `side_pixels` a side."""
        self.side_pixels = side_pixels
        self.optics = Optics(MER, conditions)
        self.images = {band: np.zeros((side_pixels, side_pixels), np.float32) for band in EUCLID}

    def paint(self, lights: Sequence[Light], x: int, y: int) -> None:
        """Add light with its origin at the corner that pixels `(x, y)` and `(x + 1, y + 1)` share."""
        needed = 2 * max(extent_arcsec(light) for light in lights) / MER_PIXEL_ARCSEC
        n_pixels = next((n for n in _STAMP_PIXELS if n >= needed), _STAMP_PIXELS[-1])
        for band, fine in draw(lights, FineGrid(2 * n_pixels)).items():
            self.add(band, self.optics.observe(band, fine), x, y)

    def add(self, band: str, stamp: Image, x: int, y: int) -> None:
        """Add a stamp `[y, x]` with central pixels `x`, `x + 1` (and `y`, `y + 1`); its part beyond the edge is lost."""
        half = len(stamp) // 2
        stamp = stamp * _taper(len(stamp))
        left, bottom = x - half + 1, y - half + 1
        rows = slice(max(bottom, 0), min(bottom + len(stamp), self.side_pixels))
        columns = slice(max(left, 0), min(left + len(stamp), self.side_pixels))
        part = stamp[rows.start - bottom : rows.stop - bottom, columns.start - left : columns.stop - left]
        self.images[band][rows, columns] += part

    def paint_field(self, vis_mags: tuple[float, float], rng: Generator) -> None:
        """Paint galaxies of the field with the counts of the sky, at random positions."""
        per_arcmin2 = counts_per_arcmin2(vis_mags[1]) - counts_per_arcmin2(vis_mags[0])
        area_arcmin2 = (self.side_pixels * MER_PIXEL_ARCSEC / 60) ** 2
        mean = per_arcmin2 * area_arcmin2 * float(np.exp(rng.normal(0, _FIELD_SCATTER)))
        for _ in range(int(rng.poisson(mean))):
            x, y = rng.integers(0, self.side_pixels, 2).tolist()
            dx, dy = (rng.uniform(-0.5, 0.5, 2) * MER_PIXEL_ARCSEC).tolist()
            self.paint(draw_field_galaxy(rng, dx, dy, field_mag(rng, vis_mags)), x, y)

    def observed(self, rng: Generator) -> dict[str, Image]:
        """Return the images with noise and the instrument's flaws: band name to `[y, x]` in ADU/s."""
        conditions = self.optics.conditions
        return add_artefacts(add_noise(self.images, MER, conditions, rng), MER, conditions, rng)


@lru_cache(maxsize=len(_STAMP_PIXELS))
def _taper(n_pixels: int) -> Image:
    """Return 1 in the middle, falling smoothly to 0 over the outer part, so that large galaxies have no visible edge."""
    distance = (np.abs(np.arange(n_pixels) - (n_pixels - 1) / 2) + 0.5) / (n_pixels / 2)
    ramp = 0.5 * (1 + np.cos(np.pi * np.clip((distance - _TAPER_FROM) / (1 - _TAPER_FROM), 0, 1)))
    return np.asarray(np.outer(ramp, ramp), np.float32)
