"""From a `System` to what a survey would record of it, and the truth about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.pixels.bands import VIS
from scanner.pixels.geometry import GEOMETRIES, Geometry, Image
from simulation.galaxies import FINE_SCALE_ARCSEC, FineGrid, Light, draw, draw_lensed
from simulation.lensing import effective_einstein_radius_arcsec, ray_shoot
from simulation.observation import Optics, add_noise
from simulation.population import Kind, System, draw_system

MIN_PIXELS = 20
"""A lens shows more VIS pixels than this with light of each source above the noise (the challenge's rule)."""
MIN_MAGNIFICATION = 1.6
"""Of each source, also from the challenge."""
MIN_ARC_SNR = 15.0
"""Of each source in VIS."""
MIN_CONTRAST = 0.12
"""Arc pixels also reach this fraction of the lens galaxy's light, else no one sees them."""
MAX_TRIES = 200
_LENSED_PIXELS = 240
"""Side of the square (12 arcsec) about the stamp's centre in which rays are shot; sources are seen well inside it."""


class SimulationError(LensscanError, ValueError):
    """A system that could not be made; the message names it."""


@dataclass(frozen=True)
class Scene:
    """A rendered system without noise: band name to `[y, x]` in ADU/s per pixel, on the pixels of `geometry`."""

    geometry: Geometry
    galaxies: Mapping[str, Image]
    """Everything that is not lensed: the lens or plain galaxy, and neighbours."""
    source1: Mapping[str, Image]
    """As lensed; empty where there is none."""
    source2: Mapping[str, Image]
    truth: Mapping[str, Any]
    """Columns of the shard format but `kind` and `index`."""

    @property
    def clean(self) -> dict[str, Image]:
        """All light together."""
        return {
            band: sum((part[band] for part in (self.source1, self.source2) if part), image)
            for band, image in self.galaxies.items()
        }


@dataclass(frozen=True)
class Simulated:
    """An observed object."""

    stamps: Mapping[str, Image]
    truth: Mapping[str, Any]
    scene: Scene
    system: System


def simulate_object(kind: Kind, geometry_name: str, rng: Generator, detector_angle_deg: float | None = None) -> Simulated:
    """Draw systems of a kind until one's arcs can be seen, and observe it.

    Raises:
        SimulationError: no visible system in `MAX_TRIES`.
    """
    system, scene = visible_scene(kind, geometry_name, rng, detector_angle_deg)
    return Simulated(add_noise(scene.clean, scene.geometry, rng), scene.truth, scene, system)


def visible_scene(
    kind: Kind, geometry_name: str, rng: Generator, detector_angle_deg: float | None = None, *, with_neighbours: bool = True
) -> tuple[System, Scene]:
    """A system of a kind whose arcs can be seen, rendered without noise.

    Raises:
        SimulationError: none in `MAX_TRIES` draws.
    """
    for _ in range(MAX_TRIES):
        system = draw_system(kind, rng)
        angle = system.detector_angle_deg if detector_angle_deg is None else detector_angle_deg
        scene = render(system, Optics(GEOMETRIES[geometry_name], angle), with_neighbours=with_neighbours)
        if scene is not None:
            return system, scene
    raise SimulationError(f"no visible {kind} in {MAX_TRIES} draws")


def render(system: System, optics: Optics, *, with_neighbours: bool = True) -> Scene | None:
    """The system through the optics, or None where it should be a lens and its arcs cannot be seen.

    Geometries share the 20 arcsec field.
    """
    geometry = optics.geometry
    grid = FineGrid(round(geometry.grids["VIS"].side_arcsec / FINE_SCALE_ARCSEC))
    planes = [(system.source1, system.z_source1), (system.source2, system.z_source2)]
    lensed = [_lensed(system, lights, z, grid) for lights, z in planes if lights and z is not None]
    magnifications = [
        float(fine["VIS"].sum()) / sum(light.sed.flux_adu_per_s("VIS") for light in lights)
        for fine, (lights, _) in zip(lensed, planes, strict=False)
    ]
    if any(m <= MIN_MAGNIFICATION for m in magnifications):
        return None
    host = draw(system.galaxy, grid)
    sources_vis = [optics.observe("VIS", fine["VIS"]) for fine in lensed]
    visibility = _visibility(sources_vis, optics.observe("VIS", host["VIS"])) if lensed else None
    if visibility is not None and not visibility.is_visible:
        return None
    if with_neighbours:
        for band, image in draw(system.neighbours, grid).items():
            host[band] += image
    sources = [
        {band: vis if band == "VIS" else optics.observe(band, fine[band]) for band in fine}
        for fine, vis in zip(lensed, sources_vis, strict=True)
    ]
    return Scene(
        geometry,
        {band: optics.observe(band, image) for band, image in host.items()},
        sources[0] if sources else {},
        sources[1] if len(sources) > 1 else {},
        _truth(system, optics.detector_angle_deg, magnifications, visibility),
    )


@dataclass(frozen=True)
class Visibility:
    """How well lensed light shows in VIS, before noise."""

    arc_snr: float
    n_pix_source: int
    is_visible: bool
    """Every source passes the rule on its own."""


def _visibility(sources: Sequence[Image], host: Image) -> Visibility:
    """Judge each lensed source against the noise of sky, lens galaxy and sources, and against the lens galaxy's light."""
    total = np.sum(sources, axis=0)
    per_electron = 1 / VIS.electrons_per_adu_per_s
    sky_variance = (VIS.noise_electrons_per_pixel * per_electron) ** 2
    noise = np.sqrt(sky_variance + np.maximum(total + host, 0) * per_electron)
    judged = []
    for source in sources:
        above = source > noise
        snr = float(np.sqrt(np.sum((source / noise)[above] ** 2)))
        judged.append(np.sum(above & (source > MIN_CONTRAST * host)) > MIN_PIXELS and snr > MIN_ARC_SNR)
    above = total > noise
    return Visibility(float(np.sqrt(np.sum((total / noise)[above] ** 2))), int(above.sum()), all(judged))


def _lensed(system: System, lights: Sequence[Light], z_source: float, grid: FineGrid) -> dict[str, Image]:
    """A source as seen through the masses in front of it, `[y, x]` on the whole grid."""
    window = _lensed_window(grid)
    axis = grid.axis_arcsec[window].astype(np.float64)
    x, y = np.meshgrid(axis, axis)
    inner = draw_lensed(lights, *ray_shoot(system.masses, z_source, x, y))
    images = {}
    for band, image in inner.items():
        images[band] = np.zeros((grid.n_pixels, grid.n_pixels), np.float32)
        images[band][window, window] = image
    return images


def _lensed_window(grid: FineGrid) -> slice:
    low = (grid.n_pixels - _LENSED_PIXELS) // 2
    return slice(low, low + _LENSED_PIXELS)


def _truth(
    system: System, detector_angle_deg: float, magnifications: Sequence[float], visibility: Visibility | None
) -> dict[str, Any]:
    def radius(z_source: float | None) -> float | None:
        return None if z_source is None else effective_einstein_radius_arcsec(system.masses, z_source)

    n_sources = len(magnifications)
    return {
        "z_lens": system.z_lens,
        "z_source1": system.z_source1,
        "z_source2": system.z_source2,
        "einstein_radius1_arcsec": radius(system.z_source1),
        "einstein_radius2_arcsec": radius(system.z_source2),
        "velocity_dispersion_km_s": system.velocity_dispersion_km_s,
        "magnification1": magnifications[0] if n_sources > 0 else None,
        "magnification2": magnifications[1] if n_sources > 1 else None,
        "arc_snr": visibility.arc_snr if visibility else None,
        "n_pix_source": visibility.n_pix_source if visibility else None,
        "lens_mag_vis": total_mag(system.galaxy, "VIS"),
        "source1_mag_vis": total_mag(system.source1, "VIS"),
        "source2_mag_vis": total_mag(system.source2, "VIS"),
        "source1_vis_minus_h": _difference(total_mag(system.source1, "VIS"), total_mag(system.source1, "H")),
        "detector_angle_deg": detector_angle_deg,
    }


def total_mag(lights: Sequence[Light], band: str) -> float | None:
    """AB magnitude of all components together; None where there are none."""
    if not lights:
        return None
    return float(-2.5 * np.log10(sum(10 ** (-0.4 * light.sed.mag(band)) for light in lights)))


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def stack(stamps: Sequence[Mapping[str, Image]], geometry: Geometry) -> dict[str, NDArray[np.float32]]:
    """Band name to `[batch, y, x]`."""
    return {
        band: np.stack([s[band] for s in stamps]) if stamps else np.zeros((0, grid.n_pixels, grid.n_pixels), np.float32)
        for band, grid in geometry.grids.items()
    }
