"""Simulated arcs painted into real or simulated images: the host, its neighbours, noise and flaws are those of the image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from infra.errors import LensscanError
from scanner.pixels.bands import EUCLID, VIS
from scanner.pixels.geometry import MER, Image
from simulation import forecast
from simulation.light import FINE_SCALE_ARCSEC
from simulation.observation import Conditions, Optics, source_noise
from simulation.psf import Psf
from simulation.render import INNER_GRID, MAX_TRIES, Images, lens
from simulation.systems import Kind, System
from simulation.truth import truth_row

PIXEL_SCALE_ARCSEC = 0.1
"""Of all bands of MER images."""
HOST_VIS_MAGS = (16.0, 23.5)
"""What can be a host: fainter galaxies do not lens visibly."""
_PATCH_PIXELS = round(INNER_GRID.n_pixels * FINE_SCALE_ARCSEC / PIXEL_SCALE_ARCSEC)
_APERTURE_ARCSEC = 1.5
_MAG_TOLERANCE = 0.4
_MAX_HOST_DRAWS = 3000


class InjectionError(LensscanError, ValueError):
    """No arcs could be painted into an image; the message says why."""


@dataclass(frozen=True)
class Injected:
    """An image with arcs."""

    stamps: Images
    arcs: Images
    """What was added, before its own noise, on the same pixels and in the same units."""
    truth: Mapping[str, Any]
    system: System


def inject_arcs(
    stamps: Mapping[str, Image],
    kind: Kind,
    rng: Generator,
    *,
    zero_points_ab_mag: Mapping[str, float] | None = None,
    psfs: Mapping[str, Psf] | None = None,
    host_yx: tuple[float, float] | None = None,
) -> Injected:
    """Make a galaxy of an image a lens: the lensed sources of a system that such a galaxy could be are added with their noise.

    Args:
        stamps: Band name to `[y, x]`, MER pixels of 0.1 arcsec in ADU/s; one shape for all bands.
        kind: `single`, `compound_arc` or `double_ring`.
        rng: Source of randomness.
        zero_points_ab_mag: AB magnitude of 1 ADU/s by band, as in the files' MAGZERO; by default those of the Wide survey.
        psfs: By band; by default the model's, the detector turned at random.
        host_yx: Pixel of the host's centre; by default the image's.

    Raises:
        ValueError: not a lens, a band is missing, or shapes differ.
        InjectionError: the host is too faint or its arcs could not be seen in `MAX_TRIES` draws.
    """
    shape = _check(stamps, kind)
    y, x = host_yx or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    scale = {
        band: 10 ** (0.4 * ((zero_points_ab_mag or {}).get(band, band_of.zero_point_ab_mag) - band_of.zero_point_ab_mag))
        for band, band_of in EUCLID.items()
    }
    corner = (round(y - (_PATCH_PIXELS - 1) / 2), round(x - (_PATCH_PIXELS - 1) / 2))
    host = _patch(stamps["VIS"], corner) / np.float32(scale["VIS"])
    host = host - np.float32(np.median(stamps["VIS"]) / scale["VIS"])
    centre = tuple((p - c - (_PATCH_PIXELS - 1) / 2) * PIXEL_SCALE_ARCSEC for p, c in zip((y, x), corner, strict=True))
    mag = _host_mag(host, centre)
    optics = Optics(MER, Conditions.nominal(float(rng.uniform(0, 360))), psfs)
    for _ in range(MAX_TRIES):
        system = _system_for(mag, kind, optics.conditions.detector_angle_deg, rng)
        deflector = system.masses[0]
        system = system.moved(centre[1] - deflector.x_arcsec, centre[0] - deflector.y_arcsec)
        lensed = lens(system, optics, host)
        if lensed is not None:
            arcs, painted = {}, {}
            for band in EUCLID:
                clean = optics.observe(band, sum((source[band] for source in lensed.sources[1:]), lensed.sources[0][band]))
                noisy = clean + source_noise(clean, band, rng)
                arcs[band] = _placed(clean * np.float32(scale[band]), corner, shape)
                painted[band] = stamps[band] + _placed(noisy * np.float32(scale[band]), corner, shape)
            return Injected(painted, arcs, {**truth_row(system, lensed.truth), "lens_mag_vis": mag}, system)
    raise InjectionError(f"no {kind} could be seen about a host of VIS magnitude {mag:.2f} in {MAX_TRIES} draws")


def _check(stamps: Mapping[str, Image], kind: Kind) -> tuple[int, int]:
    if kind == "nonlens":
        raise ValueError("only lenses have arcs to inject, got kind 'nonlens'")
    missing = [band for band in EUCLID if band not in stamps]
    if missing:
        raise ValueError(f"stamps must have the bands {list(EUCLID)}, {missing} are missing")
    shapes = {band: stamps[band].shape for band in EUCLID}
    if len(set(shapes.values())) != 1 or len(shapes["VIS"]) != 2:
        raise ValueError(f"all bands must have one shape [y, x], got {shapes}")
    return shapes["VIS"]


def _host_mag(host: Image, centre_arcsec: tuple[float, ...]) -> float:
    """VIS magnitude within 1.5 arcsec of the host, whose light is what its mass is guessed from."""
    axis = (np.arange(_PATCH_PIXELS) - (_PATCH_PIXELS - 1) / 2) * PIXEL_SCALE_ARCSEC
    near = np.hypot(axis[None, :] - centre_arcsec[1], axis[:, None] - centre_arcsec[0]) < _APERTURE_ARCSEC
    flux = float(host[near].sum(dtype=float))
    mag = VIS.zero_point_ab_mag - 2.5 * np.log10(flux) if flux > 0 else np.inf
    if not HOST_VIS_MAGS[0] <= mag <= HOST_VIS_MAGS[1]:
        raise InjectionError(f"a host's VIS magnitude must be in {list(HOST_VIS_MAGS)}, got {mag:.2f}")
    return float(mag)


def _system_for(mag: float, kind: Kind, detector_angle_deg: float, rng: Generator) -> System:
    """A system whose lens galaxy is as bright as the host, without galaxies beside it: none of theirs would be seen."""
    for _ in range(_MAX_HOST_DRAWS):
        system = forecast.draw_lens(kind, rng, detector_angle_deg)
        lens_mag = system.galaxy[0].sed.vis_mag
        if abs(lens_mag - mag) < _MAG_TOLERANCE:
            alone = tuple(m for i, m in enumerate(system.masses) if i == 0 or m.z != system.z_lens)
            return replace(system, masses=alone)
    raise InjectionError(f"no {kind} with a lens galaxy of VIS magnitude {mag:.2f} in {_MAX_HOST_DRAWS} draws")


def _patch(image: Image, corner: tuple[int, int]) -> Image:
    """The square about the host; zero beyond the image."""
    patch = np.zeros((_PATCH_PIXELS, _PATCH_PIXELS), np.float32)
    inner, outer = _overlap(corner, image.shape)
    patch[inner] = image[outer]
    return patch


def _placed(patch: Image, corner: tuple[int, int], shape: tuple[int, ...]) -> Image:
    """The square on an image of a shape; what hangs over the edge is lost."""
    image = np.zeros(shape, np.float32)
    inner, outer = _overlap(corner, shape)
    image[outer] = patch[inner]
    return image


def _overlap(corner: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices `[y, x]` of the patch, and of the image, that are the same pixels."""
    inner, outer = [], []
    for low, n in zip(corner, shape, strict=True):
        start, stop = min(max(low, 0), n), min(max(low + _PATCH_PIXELS, 0), n)
        outer.append(slice(start, stop))
        inner.append(slice(start - low, stop - low))
    return (inner[0], inner[1]), (outer[0], outer[1])
