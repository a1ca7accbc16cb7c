"""Objects of the preset `euclid` with one thing changed at a time, to show what a network's score depends on.

Each image of an object has the same system, surroundings, optics and noise; only the change differs. Lenses of each kind get
every change; non-lenses those of the telescope, of the place and of the turn, which make no lens of them.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.kinds import KINDS, UNCHANGED
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.optics.artefacts import add_artefacts, add_hot_pixel
from simulation.optics.observation import Conditions, Optics, add_noise, draw_conditions, sky_sigma_adu_per_s
from simulation.optics.psf import least_fwhm_factor
from simulation.population.draw import draw_surroundings
from simulation.products.render import Images, Lensed, SimulationError, lens, render, visible_system
from simulation.products.system_changes import (
    Change,
    blue_source,
    bright_star,
    brighter_deflector,
    brighter_source,
    brighter_source_in,
    galaxies_inside,
    larger,
    off_centre,
    red_source,
    redder_deflector,
    redder_source,
    turned,
    unchanged,
    with_axis_ratio,
)
from simulation.systems import System

MAX_RADIUS_ARCSEC = 2.0
"""Largest Einstein radius of the unchanged lenses, for the farthest source: 1.5 times as large, the ring fits the stamp."""
HOT_PIXEL_SIGMA = 100.0
STAR_VIS_MAG = 18.0
_MAX_TRIES = 200

Part = Literal["source", "ratio", "radius", "deflector", "group", "psf", "bands", "flaw", "place", "sky", "turn"]


@dataclass(frozen=True)
class Observation:
    """Parts of an object that a change of finished images may use."""

    images: Images
    geometry: Geometry
    conditions: Conditions
    band: str
    """The one band that a flaw of one band is in."""
    other_place: Callable[[float], Images]
    """Function that observes the same object with its light a distance in arcsec away, in the same noise."""
    rng: Generator


@dataclass(frozen=True)
class Probe:
    """One change; what it leaves out stays as it was."""

    name: str
    part: Part
    system: Change = unchanged
    optics: Callable[[Conditions], Conditions] | None = None
    """Change of the conditions that the PSF depends on; noise and flaws keep theirs.

    A PSF becomes no narrower than the pixels of all bands allow: on pixels of 0.3 arcsec, one that is narrow already becomes
    less than 20 % narrower.
    """
    noise_factor: float = 1.0
    images: Callable[[Observation], Images] | None = None
    """Change of the finished images of the unchanged object."""
    of_nonlenses: bool = True

    @property
    def shifts_a_band(self) -> bool:
        return self.part == "bands"


def _turned_psf(angle_deg: float) -> Callable[[Conditions], Conditions]:
    return lambda conditions: replace(conditions, detector_angle_deg=conditions.detector_angle_deg + angle_deg)


def _wider_psf(factor: float) -> Callable[[Conditions], Conditions]:
    return lambda conditions: replace(conditions, fwhm_factor=conditions.fwhm_factor * factor)


def _band_shifted(distance_arcsec: float) -> Callable[[Observation], Images]:
    def changed(of: Observation) -> Images:
        return {**of.images, of.band: of.other_place(distance_arcsec)[of.band]}

    return changed


def _sky_raised(sigmas: float) -> Callable[[Observation], Images]:
    """Return the change that adds a constant to all pixels but masked ones, which are exactly 0."""

    def changed(of: Observation) -> Images:
        steps = {band: sigmas * of.conditions.depth_factor[band] * sky_sigma_adu_per_s(band, of.geometry) for band in of.images}
        return {band: np.where(image == 0, image, image + np.float32(steps[band])) for band, image in of.images.items()}

    return changed


def _hot_pixel(of: Observation) -> Images:
    return {**of.images, of.band: add_hot_pixel(of.images[of.band], of.band, of.geometry, HOT_PIXEL_SIGMA, of.rng)}


def _turned_by_90(of: Observation) -> Images:
    return {band: np.ascontiguousarray(np.rot90(image)) for band, image in of.images.items()}


def _of_lenses() -> Iterator[Probe]:
    """Yield the probes that make sense for a lens alone."""

    def probe(name: str, part: Part, change: Change) -> Probe:
        return Probe(name, part, change, of_nonlenses=False)

    for band in EUCLID:
        yield probe(f"source 0.5 mag brighter in {band}", "source", brighter_source_in(band, 0.5))
        yield probe(f"source 0.5 mag fainter in {band}", "source", brighter_source_in(band, -0.5))
    yield probe("source redder by 1 mag in VIS - H", "source", redder_source(1.0))
    yield probe("source bluer by 1 mag in VIS - H", "source", redder_source(-1.0))
    yield probe("red source", "source", red_source)
    yield probe("blue source", "source", blue_source)
    yield probe("source 1 mag brighter", "ratio", brighter_source(1.0))
    yield probe("source 1 mag fainter", "ratio", brighter_source(-1.0))
    yield probe("Einstein radius x 0.75", "radius", larger(0.75))
    yield probe("Einstein radius x 1.5", "radius", larger(1.5))
    yield probe("deflector with axis ratio 0.6", "deflector", with_axis_ratio(0.6))
    yield probe("deflector with axis ratio 0.95", "deflector", with_axis_ratio(0.95))
    yield probe("deflector redder by 0.5 mag in VIS - H", "deflector", redder_deflector(0.5))
    yield probe("deflector bluer by 0.5 mag in VIS - H", "deflector", redder_deflector(-0.5))
    yield probe("deflector 1 mag brighter", "deflector", brighter_deflector(1.0))
    yield probe("deflector 1 mag fainter", "deflector", brighter_deflector(-1.0))
    yield probe("1 galaxy inside", "group", galaxies_inside(1))
    yield probe("3 galaxies inside", "group", galaxies_inside(3))


PROBES: tuple[Probe, ...] = (
    *_of_lenses(),
    Probe("PSF turned by 45 deg", "psf", optics=_turned_psf(45.0)),
    Probe("PSF turned by 90 deg", "psf", optics=_turned_psf(90.0)),
    Probe("PSF 20 % narrower", "psf", optics=_wider_psf(0.8)),
    Probe("PSF 20 % wider", "psf", optics=_wider_psf(1.2)),
    *(Probe(f"one band shifted by {shift:g} arcsec", "bands", images=_band_shifted(shift)) for shift in (0.3, 1.0, 3.0)),
    Probe("hot pixel", "flaw", images=_hot_pixel),
    Probe("bright star in the field", "flaw", bright_star(STAR_VIS_MAG)),
    *(Probe(f"{shift:g} arcsec off the centre", "place", off_centre(shift)) for shift in (0.1, 0.3, 0.5)),
    Probe("sky 0.5 sigma higher", "sky", images=_sky_raised(0.5)),
    Probe("sky 0.5 sigma lower", "sky", images=_sky_raised(-0.5)),
    Probe("noise x 1.5", "sky", noise_factor=1.5),
    Probe("turned by 90 deg", "turn", images=_turned_by_90),
    Probe("turned by 37 deg", "turn", turned(37.0)),
)
"""All probes, in the order of the report."""
PROBES_OF: Mapping[str, tuple[Probe, ...]] = {
    kind: tuple(probe for probe in PROBES if kind != KINDS[0] or probe.of_nonlenses) for kind in KINDS
}
"""Probes of each kind of object."""


def probed_object(kind: str, index: int, seed: int, geometry: Geometry) -> dict[str, Images]:
    """Simulate one object unchanged and under every probe of its kind; it depends on kind, index and seed alone.

    Flaws of a single band go through the bands in turn with the index.

    Raises:
        SimulationError: no such object is small enough in `_MAX_TRIES` draws.
    """
    rng = default_rng(SeedSequence(seed, spawn_key=(KINDS.index(kind), index)))
    angle = float(rng.uniform(0, 360))
    conditions = draw_conditions(rng, angle)
    neighbours = draw_surroundings("euclid", rng, angle)
    optics = Optics(geometry, conditions)
    system, lensed = _nonlens(optics, rng) if kind == KINDS[0] else _lens_with_room(kind, optics, rng)
    field = replace(system, neighbours=(*system.neighbours, *neighbours))
    scene = _Field(field, lensed, optics, conditions, *rng.spawn(2))
    band = list(geometry.grids)[index % len(geometry.grids)]
    return {UNCHANGED: scene.images(), **{probe.name: scene.probed(probe, band) for probe in PROBES_OF[kind]}}


@dataclass(frozen=True)
class _Field:
    """An object with its surroundings, to be observed again and again with the same noise."""

    system: System
    lensed: Lensed | None
    optics: Optics
    conditions: Conditions
    of_change: Generator
    of_noise: Generator

    def images(self) -> Images:
        return self._observed(self.system)

    def probed(self, probe: Probe, band: str) -> Images:
        if probe.images is not None:
            rng = deepcopy(self.of_change)
            return probe.images(Observation(self.images(), self.optics.geometry, self.conditions, band, self._elsewhere, rng))
        optics = self.optics
        if probe.optics is not None:
            optics = Optics(optics.geometry, _reachable(probe.optics(self.conditions), optics.geometry))
        return self._observed(probe.system(self.system, deepcopy(self.of_change)), optics, probe.noise_factor)

    def _elsewhere(self, distance_arcsec: float) -> Images:
        return self._observed(off_centre(distance_arcsec)(self.system, deepcopy(self.of_change)))

    def _observed(self, system: System, optics: Optics | None = None, noise_factor: float = 1.0) -> Images:
        optics = optics or self.optics
        clean = render(system, optics, self._lensed(system)).clean
        rng, geometry = deepcopy(self.of_noise), optics.geometry
        noisy = add_noise(clean, geometry, self.conditions, rng)
        if noise_factor != 1:
            for band, image in noisy.items():
                sigma = self.conditions.depth_factor[band] * sky_sigma_adu_per_s(band, geometry)
                noise = image - clean[band] - np.float32(self.conditions.sky_offset_sigma[band] * sigma)
                noisy[band] = image + np.float32(noise_factor - 1) * noise
        return add_artefacts(noisy, geometry, self.conditions, rng, certain=self.system.lookalike == "artefact")

    def _lensed(self, system: System) -> Lensed | None:
        """Lens the sources again, unless masses and sources are the object's own."""
        same = all(getattr(system, name) == getattr(self.system, name) for name in ("masses", "source1", "source2"))
        if same or not system.source1:
            return self.lensed
        return lens(system, self.optics, must_be_visible=False)


def _reachable(conditions: Conditions, geometry: Geometry) -> Conditions:
    """Return conditions whose PSF is no narrower than pixels of the geometry allow, by one factor for all bands."""
    least = max(least_fwhm_factor(band, grid.pixel_scale_arcsec) for band, grid in geometry.grids.items())
    return replace(conditions, fwhm_factor=max(conditions.fwhm_factor, least))


def _nonlens(optics: Optics, rng: Generator) -> tuple[System, None]:
    return visible_system("nonlens", optics, rng)[0], None


def _lens_with_room(kind: str, optics: Optics, rng: Generator) -> tuple[System, Lensed]:
    """Draw a visible lens without further galaxies inside, so small that it can be enlarged."""
    for _ in range(_MAX_TRIES):
        system, lensed = visible_system(kind, optics, rng)  # type: ignore[arg-type] # KINDS are the names of `Kind`
        in_group = [mass for mass in system.masses[1:] if mass.z <= system.masses[0].z]
        farthest = system.z_source2 or system.z_source1 or 0.0
        if lensed is None or in_group or effective_einstein_radius_arcsec(system.masses, farthest) > MAX_RADIUS_ARCSEC:
            continue
        return system, lensed
    raise SimulationError(f"no {kind} with an Einstein radius below {MAX_RADIUS_ARCSEC} arcsec in {_MAX_TRIES} draws")
