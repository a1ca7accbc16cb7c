"""Add flaws of real images, alike for every class: gaps, trails, cosmic rays, ghosts, bad pixels, saturated cores.

All lengths are angles, so that stamps and whole tiles have the same flaws per area of sky.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Geometry, Image
from simulation.optics.observation import Conditions, sky_sigma_adu_per_s

STAMP_AREA_ARCSEC2 = 400.0
"""Area that `RATES` refer to: one stamp of 20 arcsec."""
FULL_WELL_ELECTRONS: Mapping[str, float] = {"VIS": 200_000.0, "NISP": 130_000.0}
"""Full well of a native pixel in one exposure (Cropper et al. 2025; Jahnke et al. 2025)."""
_NEAR_ARCSEC = 2.5
"""Largest distance from the middle of flaws that are added for certain."""
_SIGMA_OF_FWHM = 1 / 2.3548
_SHARP_PIXELS = {"native": 0.45, "resampled": 1.2}
"""Standard deviation in pixels of a signal in one native pixel; `resampled` for NISP in MER mosaics."""
_MAX_BLEED_ARCSEC = 4.0


@dataclass(frozen=True)
class Frame:
    """An image of one band that flaws are drawn into, in place."""

    band: str
    image: Image
    pixel_arcsec: float
    sky_sigma: float
    """Noise of empty sky in ADU/s."""
    sharp_pixels: float
    detector_angle_rad: float

    def around(self, at: tuple[float, float], reach_arcsec: float) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
        """Return a view of the image within reach of a position `(y, x)` in pixels, and `dy` and `dx` from there in arcsec."""
        reach = reach_arcsec / self.pixel_arcsec + 1
        rows, columns = (
            slice(max(int(p - reach), 0), max(min(int(p + reach) + 1, n), 0)) for p, n in zip(at, self.image.shape, strict=True)
        )
        dy, dx = (
            ((np.arange(s.start, s.stop) - p) * self.pixel_arcsec).astype(np.float32)
            for p, s in zip(at, (rows, columns), strict=True)
        )
        return self.image[rows, columns], dy[:, None], dx[None, :]


Position = tuple[float, float]
Flaw = Callable[[Frame, Position, bool, Generator], None]
"""Function that draws a flaw at a position `(y, x)` in pixels, strongly if the third argument is true."""


def gap(frame: Frame, at: Position, strong: bool, rng: Generator) -> None:
    """Set pixels without data to exactly 0: a gap between detectors or a masked patch, along the detector's axes."""
    is_band = rng.random() < 0.5
    long, wide = (30.0, rng.uniform(0.4, 1.6)) if is_band else rng.uniform(1.0, 5.0, 2).tolist()
    if strong:
        wide = max(min(wide, 2.0), 0.8)
    angle = frame.detector_angle_rad + np.pi / 2 * rng.integers(2)
    view, dy, dx = frame.around(at, float(np.hypot(long, wide)))
    along, across = _turned(dy, dx, angle)
    view[(np.abs(along) <= long / 2) & (np.abs(across) <= wide / 2)] = 0


def trail(frame: Frame, at: Position, strong: bool, rng: Generator) -> None:
    """Add a satellite's trail: straight, as wide as a PSF, from edge to edge of a stamp."""
    long = 60.0
    sigma = EUCLID[frame.band].psf_fwhm_arcsec * _SIGMA_OF_FWHM * rng.uniform(1.0, 1.8)
    peak = _log_uniform((15, 60) if strong else (3, 40), rng)
    _add_line(frame, at, rng.uniform(0, np.pi), long, sigma, peak)


def cosmic_ray(frame: Frame, at: Position, strong: bool, rng: Generator) -> None:
    """Add one to three sharp tracks, or two to four if strong, of up to 10 detector pixels that no other exposure removed."""
    native_arcsec = EUCLID[frame.band].pixel_scale_arcsec
    for _ in range(rng.integers(2, 5) if strong else rng.integers(1, 4)):
        long = native_arcsec * (rng.uniform(4, 10) if strong else rng.uniform(0, 10))
        near = _beside(frame, at, 1.5, rng)
        peak = _log_uniform((20, 200) if strong else (5, 150), rng)
        _add_line(frame, near, rng.uniform(0, np.pi), long, frame.sharp_pixels * frame.pixel_arcsec, peak)


def ghost(frame: Frame, at: Position, strong: bool, rng: Generator) -> None:
    """Add out-of-focus light of a bright star elsewhere: a faint disc, or a ring where the mirror's hole shows."""
    radius = rng.uniform(1.0, 3.0)
    level = _log_uniform((4, 12) if strong else (1, 5), rng)
    hole = radius * rng.uniform(0.35, 0.75) if rng.random() < 0.5 else 0.0
    view, dy, dx = frame.around(at, radius + 0.6)
    r = np.hypot(dy, dx)
    soft = np.float32(0.1 if frame.band == "VIS" else 0.25)
    disc = _step((np.float32(radius) - r) / soft)
    if hole:
        disc *= _step((r - np.float32(hole)) / soft)
    view += np.float32(level * frame.sky_sigma) * disc


def bad_pixels(frame: Frame, at: Position, strong: bool, rng: Generator) -> None:
    """Add hot or dead detector pixels that no other exposure replaced; dead ones are exactly 0."""
    for _ in range(rng.integers(6, 16) if strong else rng.integers(1, 4)):
        near = _beside(frame, at, 2.0, rng)
        if rng.random() < 0.7:
            _add_line(frame, near, 0.0, 0.0, frame.sharp_pixels * frame.pixel_arcsec, _log_uniform((10, 200), rng))
        else:
            y, x = (int(np.clip(round(p), 0, n - 1)) for p, n in zip(near, frame.image.shape, strict=True))
            frame.image[y, x] = 0


Instrument = Literal["VIS", "NISP"]
RATES: tuple[tuple[Flaw, Instrument, float], ...] = (
    (ghost, "VIS", 0.005),
    (ghost, "NISP", 0.005),
    (trail, "VIS", 0.005),
    (trail, "NISP", 0.005),
    (cosmic_ray, "VIS", 0.02),
    (cosmic_ray, "NISP", 0.01),
    (bad_pixels, "VIS", 0.01),
    (bad_pixels, "NISP", 0.01),
    (gap, "VIS", 0.06),
    (gap, "NISP", 0.03),
)
"""Mean number of each flaw on a stamp; flaws of NISP are in one of its bands."""


def add_artefacts(
    stamps: Mapping[str, Image], geometry: Geometry, conditions: Conditions, rng: Generator, *, certain: bool = False
) -> dict[str, Image]:
    """Return the images with flaws drawn at random, as new float32 arrays `[y, x]`; most often there are no flaws.

    Args:
        stamps: Band name to `[y, x]` observed, in ADU/s per pixel of `geometry`, of any size.
        geometry: Geometry of the pixels.
        conditions: Depth, and the orientation of gaps and bleeding.
        rng: Source of randomness.
        certain: Add one to three conspicuous flaws near the middle as well.
    """
    frames = {band: _frame(band, np.array(image, np.float32), geometry, conditions) for band, image in stamps.items()}
    for frame in frames.values():
        _saturate(frame, rng)
    flaws = [*_by_chance(frames, rng), *(_near_middle(frames, rng) if certain else ())]
    # Gaps come last: no other flaw shows where there is no data.
    for flaw, frame, at, strong in sorted(flaws, key=lambda entry: entry[0] is gap):
        flaw(frame, at, strong, rng)
    return {band: frame.image for band, frame in frames.items()}


def add_hot_pixel(image: Image, band: str, geometry: Geometry, peak_sigma: float, rng: Generator) -> Image:
    """Return an image `[y, x]` with one hot detector pixel near the middle, `peak_sigma` times the noise of the nominal sky."""
    frame = _frame(band, np.array(image, np.float32), geometry, Conditions.nominal(0.0))
    n_y, n_x = frame.image.shape
    at = _beside(frame, ((n_y - 1) / 2, (n_x - 1) / 2), _NEAR_ARCSEC, rng)
    _add_line(frame, at, 0.0, 0.0, frame.sharp_pixels * frame.pixel_arcsec, peak_sigma)
    return frame.image


def _frame(band: str, image: Image, geometry: Geometry, conditions: Conditions) -> Frame:
    pixel_arcsec = geometry.grids[band].pixel_scale_arcsec
    sigma = sky_sigma_adu_per_s(band, geometry) * conditions.depth_factor[band]
    is_native = pixel_arcsec == EUCLID[band].pixel_scale_arcsec
    sharp = _SHARP_PIXELS["native" if is_native else "resampled"]
    return Frame(band, image, pixel_arcsec, sigma, sharp, float(np.radians(conditions.detector_angle_deg)))


_Entry = tuple[Flaw, Frame, Position, bool]


def _by_chance(frames: Mapping[str, Frame], rng: Generator) -> Iterator[_Entry]:
    for flaw, instrument, rate in RATES:
        frame = _one_of(frames, instrument, rng)
        if frame is not None:
            n_y, n_x = frame.image.shape
            stamps = frame.image.size * frame.pixel_arcsec**2 / STAMP_AREA_ARCSEC2
            for _ in range(rng.poisson(rate * stamps)):
                yield flaw, frame, (rng.uniform(0, n_y - 1), rng.uniform(0, n_x - 1)), False


def _near_middle(frames: Mapping[str, Frame], rng: Generator) -> Iterator[_Entry]:
    flaws = tuple(dict.fromkeys(flaw for flaw, _, _ in RATES))
    for _ in range(rng.integers(1, 4)):
        frame = _one_of(frames, "VIS" if rng.random() < 0.6 else "NISP", rng) or next(iter(frames.values()))
        n_y, n_x = frame.image.shape
        yield flaws[rng.integers(len(flaws))], frame, _beside(frame, ((n_y - 1) / 2, (n_x - 1) / 2), _NEAR_ARCSEC, rng), True


def _one_of(frames: Mapping[str, Frame], instrument: Instrument, rng: Generator) -> Frame | None:
    """Return the frame of one of an instrument's bands at random; None if the instrument has no frame."""
    choices = [frame for band, frame in frames.items() if (band == "VIS") == (instrument == "VIS")]
    return choices[rng.integers(len(choices))] if choices else None


def _saturate(frame: Frame, rng: Generator) -> None:
    """Clip cores beyond full well, or mask them with exact zeros; in VIS the excess bleeds along detector columns."""
    level = saturation_adu_per_s(frame.band, frame.pixel_arcsec)
    above = frame.image > level
    if not above.any():
        return
    labels, _ = ndimage.label(above)
    cores = [(part, labels[part] == i + 1) for i, part in enumerate(ndimage.find_objects(labels))]
    excess = [float((frame.image[part][core] / level - 1).sum()) for part, core in cores]
    frame.image[above] = level
    for (part, core), wells in zip(cores, excess, strict=True):
        if frame.band == "VIS":
            centre = tuple(s.start + c for s, c in zip(part, ndimage.center_of_mass(core), strict=True))
            _bleed(frame, (centre[0], centre[1]), min(wells * frame.pixel_arcsec, _MAX_BLEED_ARCSEC), level)
        if rng.random() < 0.5:
            frame.image[part][core] = 0


def saturation_adu_per_s(band: str, pixel_arcsec: float) -> float:
    """Return the brightness of a pixel of `pixel_arcsec` at which a native pixel fills its well in a single exposure."""
    detector = EUCLID[band]
    electrons_per_adu = detector.electrons_per_adu_per_s / detector.n_exposures
    full_well = FULL_WELL_ELECTRONS["VIS" if band == "VIS" else "NISP"]
    return full_well / electrons_per_adu * (pixel_arcsec / detector.pixel_scale_arcsec) ** 2


def _bleed(frame: Frame, at: Position, long_arcsec: float, level: float) -> None:
    view, dy, dx = frame.around(at, long_arcsec / 2 + 3 * frame.pixel_arcsec)
    line = _line(dy, dx, frame.detector_angle_rad + np.pi / 2, long_arcsec, frame.sharp_pixels * frame.pixel_arcsec)
    np.maximum(view, np.float32(level) * line, out=view)


def _add_line(frame: Frame, at: Position, angle: float, long_arcsec: float, sigma_arcsec: float, peak_sigma: float) -> None:
    """Add a straight line with rounded ends and a Gaussian profile across, `peak_sigma` times the noise at its middle."""
    view, dy, dx = frame.around(at, long_arcsec / 2 + 5 * sigma_arcsec)
    view += np.float32(peak_sigma * frame.sky_sigma) * _line(dy, dx, angle, long_arcsec, sigma_arcsec)


def _line(
    dy: NDArray[np.float32], dx: NDArray[np.float32], angle: float, long_arcsec: float, sigma_arcsec: float
) -> NDArray[np.float32]:
    along, across = _turned(dy, dx, angle)
    beyond = np.maximum(np.abs(along) - np.float32(long_arcsec / 2), 0)
    return np.exp((across**2 + beyond**2) * np.float32(-0.5 / sigma_arcsec**2))


def _turned(dy: NDArray[np.float32], dx: NDArray[np.float32], angle: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the coordinates along a direction (from x towards y) and across it."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * dx + sin * dy, cos * dy - sin * dx


def _beside(frame: Frame, at: Position, within_arcsec: float, rng: Generator) -> Position:
    """Draw a position at random within a distance of another."""
    radius = within_arcsec / frame.pixel_arcsec * np.sqrt(rng.random())
    turn = rng.uniform(0, 2 * np.pi)
    return at[0] + float(radius * np.sin(turn)), at[1] + float(radius * np.cos(turn))


def _log_uniform(bounds: tuple[float, float], rng: Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _step(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 0 below and 1 above 0, with a smooth transition over a few units."""
    return np.asarray(1 / (1 + np.exp(-np.clip(2 * x, -30, 30))), np.float32)
