"""Records of the objects to observe: light, mass, and the `System` they make up. They draw nothing and compute little.

Positions are angles on the sky in arcsec from the stamp's centre, x to the right, y up; angles run from x towards y.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Image
from scanner.vocabulary.kinds import KINDS

Kind = Literal["nonlens", "single", "compound_arc", "double_ring"]
"""The classes that networks distinguish."""
Lookalike = Literal[
    "twin",
    "elliptical",
    "disc",
    "spiral",
    "ring_galaxy",
    "edge_on",
    "merger",
    "companions",
    "blue_companions",
    "group",
    "faint",
    "star",
    "artefact",
]
"""Look-alikes of a lens: `group` is several galaxies, `artefact` a flaw of the image; for `twin` see `ARCLESS_LENS`."""
ARCLESS_LENS: Lookalike = "twin"
"""Name, in files and commands, of a lens galaxy without arcs."""
LOOKALIKES: tuple[Lookalike, ...] = get_args(Lookalike)
MAX_TEXTURE_PIXELS = 256
"""Largest side of the texture of a galaxy."""

if get_args(Kind) != KINDS:
    raise ImportError(f"kinds must be those of the shard format, {KINDS}, got {get_args(Kind)}")


@dataclass(frozen=True)
class Sed:
    """Total AB magnitude in each band."""

    vis_mag: float
    y_mag: float
    j_mag: float
    h_mag: float

    def mag(self, band: str) -> float:
        """Return the magnitude in a band by name."""
        return {"VIS": self.vis_mag, "Y": self.y_mag, "J": self.j_mag, "H": self.h_mag}[band]

    def flux_adu_per_s(self, band: str) -> float:
        """Return the total flux in the band's own ADU/s."""
        return EUCLID[band].adu_per_s(self.mag(band))

    def dimmed(self, mag: float) -> "Sed":
        """Return the same colours, fainter by `mag` magnitudes."""
        return Sed(self.vis_mag + mag, self.y_mag + mag, self.j_mag + mag, self.h_mag + mag)

    def share(self, fraction: float) -> "Sed":
        """Return the same colours with a fraction of the light."""
        return self.dimmed(-2.5 * float(np.log10(fraction)))


@dataclass(frozen=True)
class SpiralArms:
    """Logarithmic arms over a disc, which redistribute its light and add none."""

    strength: float
    pitch_rad: float
    phase_rad: float
    n_arms: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {self.strength}")
        if not 0 < abs(self.pitch_rad) < np.pi / 2:
            raise ValueError(f"the size of pitch_rad must be in (0, pi / 2), got {self.pitch_rad}")
        if self.n_arms < 1:
            raise ValueError(f"n_arms must be >= 1, got {self.n_arms}")


@dataclass(frozen=True)
class Sersic:
    """A Sersic profile (Graham & Driver 2005, equations 1-4), with spiral arms where given."""

    x_arcsec: float
    y_arcsec: float
    half_light_radius_arcsec: float
    """Half-light radius of the circle with the ellipse's area."""
    sersic_index: float
    axis_ratio: float
    angle_rad: float
    sed: Sed
    arms: SpiralArms | None = None

    def __post_init__(self) -> None:
        if not self.half_light_radius_arcsec > 0:
            raise ValueError(f"half_light_radius_arcsec must be > 0, got {self.half_light_radius_arcsec}")
        if not 0.3 <= self.sersic_index <= 20:
            raise ValueError(f"sersic_index must be in [0.3, 20], got {self.sersic_index}")
        _check_axis_ratio(self.axis_ratio)


@dataclass(frozen=True)
class Annulus:
    """A ring, or part of one, with a Gaussian profile across: rings, shells and tidal tails.

    Along a partial ring the light falls off as a Gaussian of the azimuth from the middle.
    """

    x_arcsec: float
    y_arcsec: float
    radius_arcsec: float
    """Radius of the circle with the ellipse's area."""
    width_arcsec: float
    """Standard deviation across the ring; smaller on the minor axis of a stretched ring."""
    axis_ratio: float
    angle_rad: float
    """Angle of the major axis, from x towards y."""
    sed: Sed
    middle_rad: float = 0.0
    """Azimuth, in the ring's own frame, of the middle of a partial ring."""
    spread_rad: float | None = None
    """Standard deviation along a partial ring; None for a whole one."""

    def __post_init__(self) -> None:
        for name in ("radius_arcsec", "width_arcsec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.spread_rad is not None and not self.spread_rad > 0:
            raise ValueError(f"spread_rad must be > 0, got {self.spread_rad}")
        _check_axis_ratio(self.axis_ratio)


@dataclass(frozen=True)
class PointSource:
    """A star, before the telescope blurs it."""

    x_arcsec: float
    y_arcsec: float
    sed: Sed


@dataclass(frozen=True)
class Spikes:
    """Light that the telescope's three struts spread into six rays from a bright star."""

    x_arcsec: float
    y_arcsec: float
    length_arcsec: float
    """Length scale of a ray, along which the light falls as 1 / (1 + (r / length)^2)."""
    width_arcsec: float
    """Standard deviation across a ray."""
    angle_rad: float
    """Angle of the first ray; the others follow every 60 degrees."""
    sed: Sed
    """Magnitudes of all rays together, integrated to infinity."""

    def __post_init__(self) -> None:
        for name in ("length_arcsec", "width_arcsec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Texture:
    """The light of a real galaxy on a grid, dark outside of it; every picture of the galaxy shares it.

    Two textures are equal only if they are one object.
    """

    pixels: Image
    """`[y, x]`, square, y up, not negative, with the galaxy in the middle; kept as a read-only copy with the sum 1."""
    half_light_radius_pixels: float
    """Radius of the circle about the middle that holds half of the light."""
    blur: float
    """Half-light radius of a point source in the image that the galaxy is from, in units of the galaxy's."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 2 or shape[0] != shape[1] or not 0 < shape[0] <= MAX_TEXTURE_PIXELS:
            raise ValueError(f"pixels must be a square of at most {MAX_TEXTURE_PIXELS} pixels a side, got the shape {shape}")
        total = float(self.pixels.sum(dtype=float))
        if not (np.isfinite(total) and total > 0 and (self.pixels >= 0).all()):
            raise ValueError("pixels must be finite, not negative, and not all dark")
        if not 0 < self.half_light_radius_pixels < shape[0]:
            raise ValueError(f"half_light_radius_pixels must be in (0, {shape[0]}), got {self.half_light_radius_pixels}")
        if not 0 <= self.blur < 1:
            raise ValueError(f"blur must be in [0, 1), got {self.blur}")
        pixels = np.asarray(self.pixels / total, np.float32)
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)


@dataclass(frozen=True)
class Picture:
    """A real galaxy at another place, size, orientation and brightness, with one colour all over."""

    x_arcsec: float
    """Position of the middle of the texture."""
    y_arcsec: float
    half_light_radius_arcsec: float
    angle_rad: float
    """Angle of the texture's x axis, from x towards y."""
    sed: Sed
    texture: Texture
    is_mirrored: bool = False
    """Whether the texture's y axis is turned round, before the texture is turned."""

    def __post_init__(self) -> None:
        if not self.half_light_radius_arcsec > 0:
            raise ValueError(f"half_light_radius_arcsec must be > 0, got {self.half_light_radius_arcsec}")

    @property
    def pixel_arcsec(self) -> float:
        """Return the side of the texture's pixels on the sky."""
        return self.half_light_radius_arcsec / self.texture.half_light_radius_pixels


Light = Sersic | Annulus | PointSource | Spikes | Picture


@dataclass(frozen=True)
class Mass:
    """A deflector: an elliptical power law with external shear; slope 2 is the singular isothermal ellipsoid (SIE)."""

    z: float
    x_arcsec: float
    y_arcsec: float
    velocity_dispersion_km_s: float
    axis_ratio: float
    angle_rad: float
    """Angle of the major axis, from x towards y."""
    shear: tuple[float, float] = (0.0, 0.0)
    """Components for an infinitely distant source; scaled with D_ls / D_s like the deflection."""
    slope: float = 2.0
    """Slope of the three-dimensional density, rho ~ r^-slope."""

    def __post_init__(self) -> None:
        if not self.z > 0:
            raise ValueError(f"a deflector's redshift must be > 0, got {self.z}")
        if not self.velocity_dispersion_km_s > 0:
            raise ValueError(f"velocity_dispersion_km_s must be > 0, got {self.velocity_dispersion_km_s}")
        if not 1.5 <= self.slope <= 2.5:
            raise ValueError(f"slope must be in [1.5, 2.5], got {self.slope}")
        _check_axis_ratio(self.axis_ratio)


@dataclass(frozen=True)
class System:
    """An object before the instrument's effects. Fields that do not apply to it are None."""

    kind: Kind
    lookalike: Lookalike | None
    """Look-alike of a non-lens; None for a lens."""
    z_lens: float
    z_source1: float | None
    z_source2: float | None
    masses: tuple[Mass, ...]
    """The deflector first, then further galaxies of its group, then galaxy 1 of a compound lens."""
    galaxy: tuple[Light, ...]
    """The lens galaxy and the galaxies of its group, or the non-lens; not lensed."""
    source1: tuple[Light, ...]
    """Light of the first source at its true position, not where its images appear."""
    source2: tuple[Light, ...]
    neighbours: tuple[Light, ...]
    """Other light: of objects near by chance, and of a cluster's brightest galaxy; not lensed, and no part of the galaxy."""
    velocity_dispersion_km_s: float | None
    detector_angle_deg: float

    def __post_init__(self) -> None:
        if (self.kind == "nonlens") != (self.lookalike is not None):
            raise ValueError(f"lookalike must be set for a nonlens only, got kind {self.kind!r} with {self.lookalike!r}")

    @property
    def is_compound(self) -> bool:
        return bool(self.source2)

    def moved(self, dx_arcsec: float, dy_arcsec: float) -> "System":
        """Return the system with all light and mass shifted by the same offset."""
        parts: dict[str, Any] = {
            name: tuple(_moved(part, dx_arcsec, dy_arcsec) for part in getattr(self, name))
            for name in ("masses", "galaxy", "source1", "source2", "neighbours")
        }
        return replace(self, **parts)

    def turned(self, angle_rad: float) -> "System":
        """Return the system turned about the stamp's centre, from x towards y; spikes of stars keep their direction."""
        parts: dict[str, Any] = {
            name: tuple(_turned(part, angle_rad) for part in getattr(self, name))
            for name in ("masses", "galaxy", "source1", "source2", "neighbours")
        }
        return replace(self, **parts)


_Placed = TypeVar("_Placed", Mass, Sersic, Annulus, PointSource, Spikes, Picture)


def _moved(part: _Placed, dx_arcsec: float, dy_arcsec: float) -> _Placed:
    return replace(part, x_arcsec=part.x_arcsec + dx_arcsec, y_arcsec=part.y_arcsec + dy_arcsec)


def _turned(part: _Placed, angle_rad: float) -> _Placed:
    cos, sin = float(np.cos(angle_rad)), float(np.sin(angle_rad))
    x, y = part.x_arcsec, part.y_arcsec
    changes: dict[str, Any] = {"x_arcsec": cos * x - sin * y, "y_arcsec": sin * x + cos * y}
    if isinstance(part, Mass):
        # Shear has the symmetry of an ellipse: it turns by twice the angle.
        shear = complex(*part.shear) * complex(np.exp(2j * angle_rad))
        changes["shear"] = (shear.real, shear.imag)
    if isinstance(part, Mass | Sersic | Annulus | Picture):
        # Spikes do not turn: they belong to the telescope.
        changes["angle_rad"] = part.angle_rad + angle_rad
    return replace(part, **changes)


def _check_axis_ratio(axis_ratio: float) -> None:
    if not 0 < axis_ratio <= 1:
        raise ValueError(f"axis_ratio must be in (0, 1], got {axis_ratio}")
