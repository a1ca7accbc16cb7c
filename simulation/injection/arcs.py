"""Paint simulated arcs into real or simulated images: the host, its neighbours, noise and flaws are those of the image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.bands import EUCLID, VIS
from scanner.vocabulary.geometry import MER, MER_PIXEL_ARCSEC, Image
from simulation.optics.light import FINE_SCALE_ARCSEC
from simulation.optics.observation import Conditions, Optics, source_noise
from simulation.optics.psf import Psf
from simulation.population import forecast
from simulation.products.render import INNER_GRID, MAX_TRIES, Images, Lensed, lens
from simulation.products.truth import total_mag, truth_row
from simulation.systems import Kind, System

PATCH_PIXELS = round(INNER_GRID.n_pixels * FINE_SCALE_ARCSEC / MER_PIXEL_ARCSEC)
"""Side of the square about a host that contains the arcs: 12 arcsec."""
HOST_VIS_MAGS = (16.0, 23.5)
"""Range of hosts: fainter galaxies do not lens visibly."""
HOST_RADIUS_ARCSEC = 3.0
"""Radius within which the host's light is measured."""
_CORE_ARCSEC, _MAX_MASKED_SHARE = 1.5, 0.2
"""Radius of the host's light and its arcs, where all pixels must be finite, and largest share of masked pixels there."""
_RING_ARCSEC = 0.2
_ALONE_ARCSEC = 1.0
"""Distance from the host beyond which rings may include neighbours too."""
_LIGHT_BEYOND_MAG = 0.16
"""Light of simulated lens galaxies that the measurement misses, as a magnitude difference: the median of 300."""
_MAG_TOLERANCE = 0.4
_MAX_HOST_DRAWS = 3000


class InjectionError(LensscanError, ValueError):
    """Arcs could not be painted into an image; the message gives the reason."""


@dataclass(frozen=True)
class Injected:
    """An image with arcs."""

    stamps: Images
    arcs: Images
    """Light that was added, before its own noise, on the same pixels and in the same units; zero where the image is masked."""
    truth: Mapping[str, Any]
    """Truth columns of the shard format except `index`, with the host as the lens galaxy; `lens_mag_vis` is `host_vis_mag`."""
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
    """Make a galaxy of an image a lens: draw a system with such a galaxy, and add its lensed sources with their noise.

    Pixels without data, exactly zero or not finite, stay unchanged, and arcs are not visible there.

    Args:
        stamps: Band name to `[y, x]`, MER pixels of 0.1 arcsec in ADU/s; one shape for all bands.
        kind: `single`, `compound_arc` or `double_ring`.
        rng: Source of randomness.
        zero_points_ab_mag: AB magnitude of 1 ADU/s by band, as in the files' MAGZERO; by default those of the Wide survey.
        psfs: PSF by band; by default the model's, with the detector turned at random.
        host_yx: Pixel of the host's centre; by default the image's.

    Raises:
        ValueError: the kind is not a lens, a band is missing, or shapes differ.
        InjectionError: the host is too faint, too bright or missing, or its arcs are not visible in `MAX_TRIES` draws.
    """
    if kind == "nonlens":
        raise ValueError("only lenses have arcs to inject, got kind 'nonlens'")
    host = Host.of(stamps, zero_points_ab_mag, host_yx)
    optics = Optics(MER, Conditions.nominal(float(rng.uniform(0, 360))), psfs)
    return host.with_arcs(*_visible_system(host, kind, optics, rng), optics, rng)


@dataclass(frozen=True)
class Host:
    """A galaxy in images, measured, to paint arcs about."""

    stamps: Mapping[str, Image]
    corner: tuple[int, int]
    """y and x of the first pixel of the square about it that contains the arcs."""
    centre_arcsec: tuple[float, float]
    """y and x of the galaxy from the middle of that square."""
    scale: Mapping[str, np.float32]
    """Values of the images for 1 ADU/s of the survey, by band."""
    light: Image
    """`[y, x]` VIS light of that square above the sky, ADU/s; infinite in pixels without data, where arcs are invisible."""
    mag_vis: float

    @classmethod
    def of(
        cls,
        stamps: Mapping[str, Image],
        zero_points_ab_mag: Mapping[str, float] | None = None,
        host_yx: tuple[float, float] | None = None,
    ) -> Self:
        """Measure a galaxy; arguments and errors are those of `inject_arcs`."""
        shape = _check(stamps)
        y, x = host_yx or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
        corner = (round(y - (PATCH_PIXELS - 1) / 2), round(x - (PATCH_PIXELS - 1) / 2))
        centre = (_from_middle_arcsec(y - corner[0]), _from_middle_arcsec(x - corner[1]))
        scale = _flux_scales(zero_points_ab_mag or {})
        vis = stamps["VIS"] / scale["VIS"]
        sky = float(sky_level_and_sigma(np.where(np.isfinite(vis), vis, 0)[None])[0][0])
        patch = _patch(vis, corner)
        mag = host_vis_mag(patch, sky, centre)
        return cls(stamps, corner, centre, scale, np.where(has_data(patch), patch - np.float32(sky), np.inf), mag)

    def lensed(self, system: System, optics: Optics) -> tuple[System, Lensed | None]:
        """Return a system moved to this galaxy, alone, with its lensed sources; None if its arcs would not be visible.

        Other members of the system's group are left out, because the image does not show their light.
        """
        alone = replace(system, masses=tuple(m for i, m in enumerate(system.masses) if i == 0 or m.z != system.z_lens))
        deflector = alone.masses[0]
        moved = alone.moved(self.centre_arcsec[1] - deflector.x_arcsec, self.centre_arcsec[0] - deflector.y_arcsec)
        return moved, lens(moved, optics, self.light)

    def with_arcs(self, system: System, lensed: Lensed, optics: Optics, rng: Generator) -> Injected:
        """Return the images with the lensed sources of a system of `lensed`, and the noise of their light."""
        shape = self.stamps["VIS"].shape
        arcs, painted = {}, {}
        for band in EUCLID:
            clean = optics.observe(band, sum((source[band] for source in lensed.sources[1:]), lensed.sources[0][band]))
            noisy = clean + source_noise(clean, band, rng)
            image, scale = self.stamps[band], self.scale[band]
            is_seen = has_data(image)
            arcs[band] = np.where(is_seen, _placed(clean * scale, self.corner, shape), np.float32(0))
            painted[band] = np.where(is_seen, image + _placed(noisy * scale, self.corner, shape), image)
        return Injected(painted, arcs, self._truth(system, lensed), system)

    def _truth(self, system: System, lensed: Lensed) -> dict[str, Any]:
        """Return the truth with this galaxy as the lens galaxy: the image does not show that of the system."""
        row = truth_row(system, lensed.truth)
        ratio = row["arc_to_lens_flux"] * 10 ** (0.4 * (self.mag_vis - row["lens_mag_vis"]))
        return {**row, "arc_to_lens_flux": ratio, "lens_mag_vis": self.mag_vis}


def has_data(image: Image) -> NDArray[np.bool_]:
    """Return `[y, x]`, false where pixels are masked (exactly zero) or not finite."""
    return np.isfinite(image) & (image != 0)


def host_vis_mag(host: Image, sky: float, centre_arcsec: tuple[float, float]) -> float:
    """Measure the total VIS magnitude of a host: its light within 3 arcsec, and the share of a typical lens galaxy beyond.

    Light is summed over rings, with the median of each where neighbours may be; masked pixels count as the rest of their ring.
    For 300 simulated lens galaxies it is off by -0.10 to +0.15 mag (16 to 84 %; 5 to 95 %: -0.28 to +0.26).

    Args:
        host: `[y, x]` about the host, at the zero point of `VIS`; `PATCH_PIXELS` a side.
        sky: Sky level, ADU/s per pixel.
        centre_arcsec: y and x of the host from the middle of the image.

    Raises:
        InjectionError: pixels near the host are not finite or masked, or the magnitude is outside `HOST_VIS_MAGS`.
    """
    axis = _from_middle_arcsec(np.arange(PATCH_PIXELS))
    radius = np.hypot(axis[None, :] - centre_arcsec[1], axis[:, None] - centre_arcsec[0])
    _check_core(host[radius < _CORE_ARCSEC])
    is_seen = has_data(host)
    flux = 0.0
    for inner in np.arange(0, HOST_RADIUS_ARCSEC - 1e-6, _RING_ARCSEC):
        ring = (radius >= inner) & (radius < inner + _RING_ARCSEC)
        light = host[ring & is_seen].astype(float) - sky
        if light.size:
            flux += ring.sum() * float(np.mean(light) if inner < _ALONE_ARCSEC else np.median(light))
    mag = VIS.zero_point_ab_mag - 2.5 * np.log10(flux) - _LIGHT_BEYOND_MAG if flux > 0 else np.inf
    if not HOST_VIS_MAGS[0] <= mag <= HOST_VIS_MAGS[1]:
        raise InjectionError(f"a host's VIS magnitude must be in {list(HOST_VIS_MAGS)}, got {mag:.2f}")
    return float(mag)


def _check_core(core: Image) -> None:
    n_lost = int(np.sum(~np.isfinite(core)))
    if n_lost:
        raise InjectionError(f"VIS must be finite within {_CORE_ARCSEC} arcsec of a host, got {n_lost} pixels that are not")
    masked = float(np.mean(core == 0))
    if masked > _MAX_MASKED_SHARE:
        raise InjectionError(
            f"at most {_MAX_MASKED_SHARE:.0%} of VIS may be masked within {_CORE_ARCSEC} arcsec of a host, got {masked:.0%}"
        )


def _check(stamps: Mapping[str, Image]) -> tuple[int, int]:
    missing = [band for band in EUCLID if band not in stamps]
    if missing:
        raise ValueError(f"stamps must have the bands {list(EUCLID)}, {missing} are missing")
    shapes = {band: stamps[band].shape for band in EUCLID}
    if len(set(shapes.values())) != 1 or len(shapes["VIS"]) != 2:
        raise ValueError(f"all bands must have one shape [y, x], got {shapes}")
    return shapes["VIS"]


def _flux_scales(zero_points_ab_mag: Mapping[str, float]) -> dict[str, np.float32]:
    """Return the values of the image for 1 ADU/s of the survey, by band."""
    nominal = {band: EUCLID[band].zero_point_ab_mag for band in EUCLID}
    return {band: np.float32(10 ** (0.4 * (zero_points_ab_mag.get(band, mag) - mag))) for band, mag in nominal.items()}


def _visible_system(host: Host, kind: Kind, optics: Optics, rng: Generator) -> tuple[System, Lensed]:
    """Draw a system at the host's position with visible arcs."""
    for _ in range(MAX_TRIES):
        system, lensed = host.lensed(_system_for(host.mag_vis, kind, optics.conditions.detector_angle_deg, rng), optics)
        if lensed is not None:
            return system, lensed
    raise InjectionError(
        f"a {kind} must be visible about its host in {MAX_TRIES} draws, got none at VIS magnitude {host.mag_vis:.2f}"
    )


def _system_for(mag: float, kind: Kind, detector_angle_deg: float, rng: Generator) -> System:
    """Draw a system with a lens galaxy as bright as the host."""
    for _ in range(_MAX_HOST_DRAWS):
        system = forecast.draw_lens(kind, rng, detector_angle_deg)
        if abs(lens_mag(system) - mag) < _MAG_TOLERANCE:
            return system
    raise InjectionError(f"a {kind} must match its host in {_MAX_HOST_DRAWS} draws, got none at VIS magnitude {mag:.2f}")


def lens_mag(system: System, band: str = "VIS") -> float:
    """Return the AB magnitude of all light at the deflector's position, without its companions."""
    position = (system.masses[0].x_arcsec, system.masses[0].y_arcsec)
    mag = total_mag([light for light in system.galaxy if (light.x_arcsec, light.y_arcsec) == position], band)
    return np.inf if mag is None else mag


def _from_middle_arcsec(pixel: Any) -> Any:
    """Convert pixels, counted from 0 at the patch's corner, to offsets from its middle in arcsec."""
    return (pixel - (PATCH_PIXELS - 1) / 2) * MER_PIXEL_ARCSEC


def _patch(image: Image, corner: tuple[int, int]) -> Image:
    """Cut out the square about the host; it is zero beyond the image."""
    patch = np.zeros((PATCH_PIXELS, PATCH_PIXELS), np.float32)
    inner, outer = _overlap(corner, image.shape)
    patch[inner] = image[outer]
    return patch


def _placed(patch: Image, corner: tuple[int, int], shape: tuple[int, ...]) -> Image:
    """Place the square on an empty image of a shape; its part beyond the edge is lost."""
    image = np.zeros(shape, np.float32)
    inner, outer = _overlap(corner, shape)
    image[outer] = patch[inner]
    return image


def _overlap(corner: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return slices `[y, x]` of the patch, and of the image, that cover the same pixels."""
    inner, outer = [], []
    for low, n in zip(corner, shape, strict=True):
        start, stop = min(max(low, 0), n), min(max(low + PATCH_PIXELS, 0), n)
        outer.append(slice(start, stop))
        inner.append(slice(start - low, stop - low))
    return (inner[0], inner[1]), (outer[0], outer[1])
