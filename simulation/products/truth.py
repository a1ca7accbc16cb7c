"""The truth about a simulated object: the visibility of its arcs, and the truth columns of a shard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanner.vocabulary.bands import VIS
from scanner.vocabulary.geometry import Image
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.systems import Light, System

MIN_PIXELS = 20
"""Number of VIS pixels that the light of each source of a lens must exceed above the noise (the challenge's rule)."""
MIN_MAGNIFICATION = 1.6
"""Magnification that each source must exceed, also from the challenge."""
MIN_ARC_SNR = 14.0
"""Signal-to-noise ratio that each source must exceed in VIS."""
MIN_CONTRAST = 0.12
"""Fraction of the lens galaxy's light that arc pixels must exceed to be visible."""


@dataclass(frozen=True)
class Visibility:
    """Visibility of lensed light in VIS, before noise, in pixels of 0.1 arcsec at the nominal depth."""

    arc_snr: float
    n_pix_source: int
    is_visible: bool
    """Whether every source passes the rule on its own."""


def visibility(sources: Sequence[Image], galaxy: Image) -> Visibility:
    """Judge each lensed source against the noise of sky, galaxy and sources, and against the galaxy's light.

    Args:
        sources: VIS image `[y, x]` of each source, ADU/s per pixel, blurred.
        galaxy: Image `[y, x]` of the lens galaxy alone, likewise.
    """
    total = np.sum(sources, axis=0)
    per_electron = 1 / VIS.electrons_per_adu_per_s
    sky_variance = (VIS.noise_electrons_per_pixel * per_electron) ** 2
    noise = np.sqrt(sky_variance + np.maximum(total + galaxy, 0) * per_electron)
    judged = []
    for source in sources:
        above = source > noise
        seen = np.sum(above & (source > MIN_CONTRAST * galaxy)) > MIN_PIXELS
        judged.append(seen and _snr(source, noise) > MIN_ARC_SNR)
    return Visibility(_snr(total, noise), int(np.sum(total > noise)), all(judged))


def _snr(source: Image, noise: Image) -> float:
    above = source > noise
    return float(np.sqrt(np.sum((source[above] / noise[above]) ** 2)))


@dataclass(frozen=True)
class ArcTruth:
    """Properties of the arcs of a lens, measured by rendering it."""

    magnifications: tuple[float, ...]
    """Magnification of each source."""
    visibility: Visibility
    n_source_im: int
    """Number of images of the centre of source 1."""
    morphology: str
    """Shape of source 1 as lensed: arc, quad or ring."""


def truth_row(system: System, arcs: ArcTruth | None) -> dict[str, Any]:
    """Return the truth columns of the shard format except `index`; None if a column does not apply."""

    def radius(z_source: float | None) -> float | None:
        return None if z_source is None else effective_einstein_radius_arcsec(system.masses, z_source)

    magnifications = arcs.magnifications if arcs else ()
    source1 = {band: total_mag(system.source1, band) for band in ("VIS", "H")}
    return {
        "kind": system.kind,
        "morphology": _morphology(system, arcs),
        "z_lens": system.z_lens,
        "z_source1": system.z_source1,
        "z_source2": system.z_source2,
        "einstein_radius1_arcsec": radius(system.z_source1),
        "einstein_radius2_arcsec": radius(system.z_source2),
        "velocity_dispersion_km_s": system.velocity_dispersion_km_s,
        "magnification1": magnifications[0] if magnifications else None,
        "magnification2": magnifications[1] if len(magnifications) > 1 else None,
        "arc_snr": arcs.visibility.arc_snr if arcs else None,
        "n_pix_source": arcs.visibility.n_pix_source if arcs else None,
        "n_source_im": arcs.n_source_im if arcs else None,
        "is_challenge_lens": _is_challenge_lens(arcs),
        "n_galaxies_inside": _n_inside(system, radius(system.z_source1)) if arcs else None,
        "arc_to_lens_flux": _arc_to_lens_flux(system, magnifications) if arcs else None,
        "lens_mag_vis": total_mag(system.galaxy, "VIS"),
        "source1_mag_vis": source1["VIS"],
        "source2_mag_vis": total_mag(system.source2, "VIS"),
        "source1_vis_minus_h": None if source1["VIS"] is None or source1["H"] is None else source1["VIS"] - source1["H"],
        "detector_angle_deg": system.detector_angle_deg,
    }


def _n_inside(system: System, radius_arcsec: float | None) -> int:
    """Count the galaxies of the deflector's group that lie within a radius about the deflector."""
    deflector, *others = system.masses
    members = [mass for mass in others if mass.z == system.z_lens]
    distances = [np.hypot(mass.x_arcsec - deflector.x_arcsec, mass.y_arcsec - deflector.y_arcsec) for mass in members]
    return sum(bool(distance < (radius_arcsec or 0.0)) for distance in distances)


def _arc_to_lens_flux(system: System, magnifications: Sequence[float]) -> float:
    """Return the VIS flux of all images of the sources over that of the lens galaxy and its group."""
    sources = (system.source1, system.source2)[: len(magnifications)]
    lensed = sum(mu * _vis_flux(source) for mu, source in zip(magnifications, sources, strict=True))
    return lensed / _vis_flux(system.galaxy)


def _vis_flux(lights: Sequence[Light]) -> float:
    return sum(light.sed.flux_adu_per_s("VIS") for light in lights)


def _morphology(system: System, arcs: ArcTruth | None) -> str:
    if arcs is None or system.is_compound:
        return system.lookalike or system.kind
    return arcs.morphology


def _is_challenge_lens(arcs: ArcTruth | None) -> bool:
    """Apply the label rule of the Euclid strong lensing challenge to source 1."""
    return bool(
        arcs
        and arcs.n_source_im > 0
        and arcs.magnifications[0] > MIN_MAGNIFICATION
        and arcs.visibility.n_pix_source > MIN_PIXELS
    )


def total_mag(lights: Sequence[Light], band: str) -> float | None:
    """Return the AB magnitude of all components together; None without components."""
    if not lights:
        return None
    return float(-2.5 * np.log10(sum(10 ** (-0.4 * light.sed.mag(band)) for light in lights)))
