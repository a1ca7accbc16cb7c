"""Draw pictures of real galaxies in place of some galaxies of late type, at the same place, size and brightness.

Sersic profiles and clumps lack the texture of real galaxies: a network that has seen no other galaxies takes it for arcs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from simulation.population.broad_sources import QUASAR_RADIUS_ARCSEC, radius_arcsec
from simulation.systems import Light, Picture, Sed, Sersic, System, Texture

TEXTURED_SHARE = 0.3
"""Share of the suitable galaxies that become pictures, if there are textures for their size."""
LARGEST_BLUR_ARCSEC = 0.25
"""Largest half-light radius of a point source in a picture; that of the telescope's own PSF is 0.13 arcsec in VIS."""
LEAST_CHOICE = 10
"""Number of textures that are sharp enough for a galaxy's size, below which it stays as it is: a network would learn the few
galaxies that it sees too often. The larger a galaxy, the fewer textures are sharp enough."""
MIN_RADIUS_ARCSEC, FAINTEST_VIS_MAG = 0.08, 25.0
"""Least half-light radius of a picture, and magnitude beyond which a galaxy shows no texture, if it is no source of a lens."""
_LATE_INDEX, _LEAST_AXIS_RATIO = 2.0, 0.28
"""Largest Sersic index of a late type, and least axis ratio of a galaxy that is not seen edge on."""
_ONE_GALAXY = ("disc", "spiral")
"""Look-alikes whose components, wherever they are, all belong to one galaxy."""


@dataclass(frozen=True)
class Texturing:
    """Real galaxies to draw pictures of, and the generator that chooses among them."""

    textures: tuple[Texture, ...]
    rng: Generator

    def system(self, system: System) -> System:
        """Return the system with pictures in place of some sources, and of some galaxies of the deflector or the look-alike.

        Masses, magnitudes and positions stay. A picture of a source, of a disc or of a spiral replaces all of its components;
        elsewhere, one replaces the components of a common centre. Sources may be of any type, but no quasars.
        """
        is_one = system.lookalike in _ONE_GALAXY and _is_late(system.galaxy)
        galaxy = self._perhaps(system.galaxy) if is_one else self.galaxies(system.galaxy)
        source1, source2 = (self._perhaps(parts) if _is_source(parts) else parts for parts in (system.source1, system.source2))
        return replace(system, galaxy=tuple(galaxy), source1=tuple(source1), source2=tuple(source2))

    def galaxies(self, lights: Sequence[Light]) -> tuple[Light, ...]:
        """Return components with pictures in place of some galaxies, each of which has the components of a common centre."""
        galaxies: dict[tuple[float, float], list[Light]] = {}
        for light in lights:
            galaxies.setdefault((light.x_arcsec, light.y_arcsec), []).append(light)
        pictured = {centre: self._perhaps(parts) if _is_late(parts) else parts for centre, parts in galaxies.items()}
        # In the order of the components, because the sum of their light depends on it in its last digits.
        kept: list[Light] = []
        for light in lights:
            centre = light.x_arcsec, light.y_arcsec
            if light in pictured[centre]:
                kept.append(light)
            else:
                kept += pictured[centre]
                pictured[centre] = ()
        return tuple(kept)

    def _perhaps(self, parts: Sequence[Light]) -> Sequence[Light]:
        """Return the components of one galaxy, or a picture in their place."""
        x, y = parts[0].x_arcsec, parts[0].y_arcsec
        radius = _half_light_radius_arcsec(parts, x, y)
        sharp = [texture for texture in self.textures if texture.blur * radius <= LARGEST_BLUR_ARCSEC]
        if radius < MIN_RADIUS_ARCSEC or len(sharp) < LEAST_CHOICE or self.rng.random() >= TEXTURED_SHARE:
            return parts
        texture = sharp[int(self.rng.integers(len(sharp)))]
        angle, is_mirrored = float(self.rng.uniform(0, 2 * np.pi)), bool(self.rng.random() < 0.5)
        return (Picture(x, y, radius, angle, _together(parts), texture, is_mirrored),)


def _is_source(parts: Sequence[Light]) -> bool:
    """Return whether there are components, and none is a quasar."""
    return bool(parts) and all(radius_arcsec(part) != QUASAR_RADIUS_ARCSEC for part in parts)


def _is_late(parts: Sequence[Light]) -> bool:
    """Return whether components of one galaxy are those of a late type, bright enough and not seen edge on."""
    galaxies = [part for part in parts if isinstance(part, Sersic)]
    if not parts or len(galaxies) < len(parts) or _together(parts).vis_mag > FAINTEST_VIS_MAG:
        return False
    brightest = min(galaxies, key=lambda part: part.sed.vis_mag)
    return brightest.sersic_index <= _LATE_INDEX and brightest.axis_ratio >= _LEAST_AXIS_RATIO


def _half_light_radius_arcsec(parts: Sequence[Light], x_arcsec: float, y_arcsec: float) -> float:
    """Return about the radius that holds half of the light: the median over components, weighted with their light in VIS.

    A component counts with its own radius, and with its distance from the middle.
    """
    distances = [np.hypot(part.x_arcsec - x_arcsec, part.y_arcsec - y_arcsec) for part in parts]
    radii = np.hypot(distances, [radius_arcsec(part) for part in parts])
    fluxes = [part.sed.flux_adu_per_s("VIS") for part in parts]
    order = np.argsort(radii)
    within = np.cumsum(np.array(fluxes)[order])
    return float(radii[order][np.searchsorted(within, 0.5 * within[-1])])


def _together(parts: Sequence[Light]) -> Sed:
    """Return the magnitudes of all components together."""
    mags = np.array([[part.sed.vis_mag, part.sed.y_mag, part.sed.j_mag, part.sed.h_mag] for part in parts])
    return Sed(*(-2.5 * np.log10(np.sum(10 ** (-0.4 * mags), axis=0))).tolist())
