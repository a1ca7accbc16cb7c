"""The look of a lens galaxy: how bright, how red and how concentrated it is, measured alike on simulated and on real ones.

Arcs about galaxies that are unlike lens galaxies, such as spirals, are found less often than those of real lenses: on simulated
tiles, where the truth is known, 21 % of single lenses about spirals were recovered, and 87 % about galaxies of lenses.
"""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.photometry import circle_weights
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Image
from simulation.injection.arcs import Host, lens_mag
from simulation.optics.light import draw
from simulation.optics.observation import Optics
from simulation.products.render import INNER_GRID
from simulation.systems import System

RADII_ARCSEC = (0.4, 0.8, 1.2, 1.8)
"""Radii of circles in VIS; the growth of light from one to the next tells discs and stars from lens galaxies."""
TOLERANCES_MAG = np.array([0.4, 0.3, 0.15, 0.12, 0.1, 0.1])
"""Largest differences of a look from that of a lens galaxy: VIS magnitude, colours VIS - H and Y - H, growth. Lens galaxies
scatter about as much among themselves, so a galaxy as far off is still like them."""

Look = NDArray[np.float64]
"""`[6]`, magnitudes, in the order of `TOLERANCES_MAG`."""


def host_look(host: Host, vis_minus_h: float, y_minus_h: float) -> Look:
    """Return the look of a galaxy in an image; colours are measured by `scanner.explain.photometry`."""
    light = np.where(np.isfinite(host.light), host.light, 0)
    return np.array([host.mag_vis, vis_minus_h, y_minus_h, *_growth(light)])


def lens_look(system: System, optics: Optics) -> Look:
    """Return the look of a system's lens galaxy with its companions, before noise."""
    deflector = system.masses[0]
    centred = system.moved(-deflector.x_arcsec, -deflector.y_arcsec)
    light = optics.observe("VIS", draw(centred.galaxy, INNER_GRID, ("VIS",))["VIS"])
    mags = {band: lens_mag(system, band) for band in ("VIS", "Y", "H")}
    return np.array([mags["VIS"], mags["VIS"] - mags["H"], mags["Y"] - mags["H"], *_growth(light)])


def alike(looks: NDArray[np.float64], look: Look) -> NDArray[np.int64]:
    """Return the indices of those looks `[n, 6]` that are within `TOLERANCES_MAG` of one."""
    return np.flatnonzero(np.all(np.abs(looks - look) < TOLERANCES_MAG, axis=1))


def _growth(light: Image) -> list[float]:
    fluxes = [float(np.sum(light * circle_weights(len(light), r / MER_PIXEL_ARCSEC))) for r in RADII_ARCSEC]
    if min(fluxes) <= 0:
        return [np.inf] * (len(fluxes) - 1)
    return (2.5 * np.diff(np.log10(fluxes))).tolist()
