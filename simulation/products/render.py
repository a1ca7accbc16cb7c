"""Render a `System` to the images that a survey would record, and the truth about it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.choices import PopulationPreset
from scanner.vocabulary.geometry import Geometry, Image
from scanner.vocabulary.kinds import COMPONENTS
from simulation.lensing import effective_einstein_radius_arcsec, ray_shoot
from simulation.optics.artefacts import add_artefacts
from simulation.optics.light import FINE_SCALE_ARCSEC, FineGrid, draw, draw_lensed
from simulation.optics.observation import Conditions, Optics, add_noise, draw_conditions
from simulation.optics.psf import Psf
from simulation.population.broad_sources import reach_arcsec
from simulation.population.draw import (
    LENS_SHARES,
    Draw,
    Shares,
    draw_kind,
    draw_lookalike,
    draw_surroundings,
    draw_system,
    without_sources,
)
from simulation.population.textured import Texturing
from simulation.products.image_forms import morphology, n_images
from simulation.products.truth import MIN_MAGNIFICATION, ArcTruth, truth_row, visibility
from simulation.systems import ARCLESS_LENS, System, Texture

MAX_TRIES = 300
INNER_GRID, OUTER_GRID = FineGrid(240), FineGrid(400)
"""Grids of rays: the 12 arcsec about the stamp's centre, or 20 if a lens is large or far from the centre."""
_INNER_REACH_ARCSEC = 6.0
"""Largest distance from the centre at which arcs fit the inner grid."""
_SOURCE_RADII = 2.0
"""Extent of a source's components, in half-light radii."""

Images = dict[str, Image]


class SimulationError(LensscanError, ValueError):
    """A system could not be made; the message names it."""


@dataclass(frozen=True)
class Scene:
    """A rendered system without noise: band name to `[y, x]` in ADU/s per pixel, on the pixels of `geometry`."""

    geometry: Geometry
    clean: Images
    """All light together."""
    truth: Mapping[str, Any]
    """Columns of the shard format but `index`."""
    components: Mapping[str, Images] = field(default_factory=dict)
    """Images of each of `COMPONENTS`, zero if there is no such light; empty unless requested."""


@dataclass(frozen=True)
class Lensed:
    """Sources lensed by the masses in front of them."""

    sources: tuple[Images, ...]
    """Band name to `[y, x]` of each, ADU/s per fine pixel about the stamp's centre, unblurred."""
    truth: ArcTruth


@dataclass(frozen=True)
class Simulated:
    """An observed object."""

    stamps: Images
    scene: Scene
    system: System
    twin: "Simulated | None" = None
    """The same lens without its arcs, in the same noise; None unless requested, and for non-lenses."""


def simulate_object(
    draw_of: Draw,
    geometry: Geometry,
    rng: Generator,
    *,
    preset: PopulationPreset = "euclid",
    psfs: Mapping[str, Psf] | None = None,
    textures: Sequence[Texture] = (),
    arcless_lens_shares: Shares = LENS_SHARES,
    min_einstein_radius_arcsec: float = 0.0,
    keep_components: bool = False,
    with_twin: bool = False,
) -> Simulated:
    """Draw systems until the arcs of one are visible, and observe it.

    Args:
        draw_of: Kind or look-alike.
        geometry: Pixel grids.
        rng: Source of all randomness.
        preset: Population, and with it the conditions: those of the paper are the same for every object.
        psfs: PSF by band, instead of the model's.
        textures: Real galaxies, of which some late types become pictures; a picture draws numbers of a generator of its own, so
            that an object without one is the same as without textures, unless a picture hid the arcs of an earlier draw of it.
        arcless_lens_shares: Kinds of lens whose galaxies become lenses without arcs, with their shares.
        min_einstein_radius_arcsec: Least Einstein radius of a lens, and of what a lens without arcs was before.
        keep_components: Also render the noise-free components separately.
        with_twin: Also observe a lens without its arcs, with the same flaws and the same draws of noise.

    Raises:
        SimulationError: no system is visible in `MAX_TRIES` draws.
    """
    angle = float(rng.uniform(0, 360))
    conditions = Conditions.nominal(angle) if preset == "wilde2022" else draw_conditions(rng, angle)
    optics = Optics(geometry, conditions, psfs)
    texturing = Texturing(tuple(textures), rng.spawn(1)[0]) if textures else None
    neighbours = draw_surroundings(preset, rng, angle)
    system, lensed = visible_system(draw_of, optics, rng, preset, arcless_lens_shares, texturing, min_einstein_radius_arcsec)
    neighbours = texturing.galaxies(neighbours) if texturing else neighbours
    system = replace(system, neighbours=(*system.neighbours, *neighbours))
    scene = render(system, optics, lensed, keep_components=keep_components)

    def observed(clean: Images, rng: Generator) -> Images:
        stamps = add_noise(clean, geometry, conditions, rng)
        if preset == "wilde2022":
            return stamps
        return add_artefacts(stamps, geometry, conditions, rng, certain=system.lookalike == "artefact")

    twin = None
    if with_twin and lensed:
        arcless = without_sources(system)
        without_arcs = render(arcless, optics, None, keep_components=keep_components)
        twin = Simulated(observed(without_arcs.clean, deepcopy(rng)), without_arcs, arcless)
    return Simulated(observed(scene.clean, rng), scene, system, twin)


def visible_system(
    draw_of: Draw,
    optics: Optics,
    rng: Generator,
    preset: PopulationPreset = "euclid",
    arcless_lens_shares: Shares = LENS_SHARES,
    texturing: Texturing | None = None,
    min_einstein_radius_arcsec: float = 0.0,
) -> tuple[System, Lensed | None]:
    """Draw a system without neighbours, with visible arcs if it is a lens; return it with its lensed sources, or None.

    Args:
        draw_of: Kind or look-alike.
        optics: Optics through which arcs must be visible.
        rng: Source of all randomness.
        preset: Population.
        arcless_lens_shares: As for `simulate_object`.
        texturing: Draws pictures of real galaxies in place of some late types.
        min_einstein_radius_arcsec: As for `simulate_object`.

    Raises:
        SimulationError: no system is visible in `MAX_TRIES` draws.
    """
    if draw_of == "nonlens":
        draw_of = draw_lookalike(preset, rng)
    if draw_of == ARCLESS_LENS:
        # The galaxy is that of a visible lens; otherwise it would differ from those of lenses.
        lens_of = draw_kind(arcless_lens_shares, rng)
        lensed_galaxy, _ = visible_system(
            lens_of, optics, rng, preset, texturing=texturing, min_einstein_radius_arcsec=min_einstein_radius_arcsec
        )
        return without_sources(lensed_galaxy), None
    for _ in range(MAX_TRIES):
        system = draw_system(
            preset,
            draw_of,
            rng,
            optics.conditions.detector_angle_deg,
            min_einstein_radius_arcsec=min_einstein_radius_arcsec,
        )
        system = texturing.system(system) if texturing else system
        lensed = lens(system, optics) if system.source1 else None
        if lensed is not None or not system.source1:
            return system, lensed
    raise SimulationError(f"no visible {draw_of} of the preset {preset} in {MAX_TRIES} draws")


def render(system: System, optics: Optics, lensed: Lensed | None, *, keep_components: bool = False) -> Scene:
    """Render the system through the optics, before noise.

    Args:
        system: Light and masses to render.
        optics: Pixels, PSF and orientation.
        lensed: Its sources as returned by `lens`; None if it has no sources.
        keep_components: Also render the components separately.
    """
    sources = lensed.sources if lensed else ()
    grid = FineGrid(round(optics.geometry.grids["VIS"].side_arcsec / FINE_SCALE_ARCSEC))
    truth = truth_row(system, lensed.truth if lensed else None)
    if not keep_components:
        fine = draw((*system.galaxy, *system.neighbours), grid)
        for source in sources:
            _add_centred(fine, source)
        return Scene(optics.geometry, _observe(fine, optics), truth)
    parts = [draw(system.galaxy, grid), draw((), grid), draw((), grid)]
    for part, source in zip(parts[1:], sources, strict=False):
        _add_centred(part, source)
    components = {name: _observe(part, optics) for name, part in zip(COMPONENTS, parts, strict=True)}
    neighbours = _observe(draw(system.neighbours, grid), optics)
    clean = {band: sum((images[band] for images in components.values()), neighbours[band]) for band in EUCLID}
    return Scene(optics.geometry, clean, truth, components)


def lens(system: System, optics: Optics, host_vis: Image | None = None, *, must_be_visible: bool = True) -> Lensed | None:
    """Lens each source by the masses in front of it; return None if a source must be visible and is not, or hardly magnified.

    Args:
        system: A lens.
        optics: Optics with the VIS pixels on which arcs are judged.
        host_vis: `[y, x]` VIS image of a real host about the same centre, ADU/s, with the pixels of the inner grid; by default
            the system's own galaxy is rendered.
        must_be_visible: Whether to refuse lenses whose arcs cannot be seen.
    """
    grid = INNER_GRID if host_vis is not None or _fits(system) else OUTER_GRID
    axis = grid.axis_arcsec
    x, y = np.meshgrid(axis, axis)
    planes = [(lights, z) for lights, z in ((system.source1, system.z_source1), (system.source2, system.z_source2)) if lights]
    betas, fine, magnifications = [], [], []
    for lights, z in planes:
        betas.append(ray_shoot(system.masses, z or 0.0, x, y))
        fine.append(draw_lensed(lights, *betas[-1]))
        unlensed = sum(light.sed.flux_adu_per_s("VIS") for light in lights)
        magnifications.append(float(fine[-1]["VIS"].sum(dtype=float)) / unlensed)
        if must_be_visible and magnifications[-1] <= MIN_MAGNIFICATION:
            return None
    sources = [optics.observe("VIS", images["VIS"]) for images in fine]
    if host_vis is None:
        host_vis = optics.observe("VIS", draw(system.galaxy, grid, ("VIS",))["VIS"])
    shown = visibility(sources, host_vis)
    if must_be_visible and not shown.is_visible:
        return None
    centre, mass = system.source1[0], system.masses[0]
    n = n_images(*betas[0], axis, centre.x_arcsec, centre.y_arcsec)
    radius = effective_einstein_radius_arcsec(system.masses, system.z_source1 or 0.0)
    n_pixels, pixel_arcsec = len(sources[0]), optics.geometry.grids["VIS"].pixel_scale_arcsec
    vis_axis = (np.arange(n_pixels) - (n_pixels - 1) / 2) * pixel_arcsec
    form = morphology(sources[0], vis_axis, (mass.x_arcsec, mass.y_arcsec), n, radius)
    return Lensed(tuple(fine), ArcTruth(tuple(magnifications), shown, n, form))


def _fits(system: System) -> bool:
    """Return whether the arcs are on the inner grid: images lie at most an Einstein radius and the source's distance out."""
    mass = system.masses[0]
    farthest = system.z_source2 or system.z_source1 or 0.0
    source = reach_arcsec((*system.source1, *system.source2), mass.x_arcsec, mass.y_arcsec, _SOURCE_RADII)
    radius = effective_einstein_radius_arcsec(system.masses, farthest)
    return max(abs(mass.x_arcsec), abs(mass.y_arcsec)) + radius + source < _INNER_REACH_ARCSEC


def _add_centred(images: Images, inner: Images) -> None:
    """Add images in place, aligned at their middles and cropped; both have an even number of pixels a side."""
    for band, image in inner.items():
        n, n_inner = len(images[band]), len(image)
        low, cut = max(n - n_inner, 0) // 2, max(n_inner - n, 0) // 2
        images[band][low : n - low, low : n - low] += image[cut : n_inner - cut, cut : n_inner - cut]


def _observe(fine: Images, optics: Optics) -> Images:
    return {band: optics.observe(band, image) for band, image in fine.items()}


def stack(stamps: list[Images], geometry: Geometry) -> dict[str, NDArray[np.float32]]:
    """Stack stamps to `[batch, y, x]` per band name."""
    return {
        band: np.stack([s[band] for s in stamps]) if stamps else np.zeros((0, grid.n_pixels, grid.n_pixels), np.float32)
        for band, grid in geometry.grids.items()
    }
