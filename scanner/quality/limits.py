"""The limits of the quality gate, which a TOML file can change."""

import tomllib
from pathlib import Path

from pydantic import Field, ValidationError

from infra.frozen import Frozen
from scanner.quality.errors import QualityError


class QualityLimits(Frozen):
    """Largest changes that pass. A drift fails if it exceeds its limit by more than four standard errors.

    The defaults stop what no survey wants to show; a survey sets its own from the verdicts of its first nights.
    """

    score_stability: float = Field(default=0.25, gt=0)
    """Stability index of the log odds against the reference: above 0.25, a population has shifted (Siddiqi 2006, p. 137)."""
    reject_share: float = Field(default=0.2, ge=0, le=1)
    """Share of rows without a score."""
    reject_share_drift: float = Field(default=0.05, ge=0, le=1)
    """Rise of this share above the reference."""
    tiles_missing_band: int = Field(default=0, ge=0)
    """Number of tiles that lack the mosaic of a band."""
    blank_tiles: int = Field(default=0, ge=0)
    """Number of tiles whose pixels are all zero, or constant, where objects are."""
    damaged_tiles: int = Field(default=0, ge=0)
    """Number of tiles without a scored object for another reason."""
    counts_ratio: float = Field(default=3.0, gt=1)
    """Ratio, either way, of the median number of objects of a tile to that of the reference."""
    sky_level_sigma: float = Field(default=0.5, gt=0)
    """Change of the median sky level, in standard deviations of a pixel."""
    sky_noise_ratio: float = Field(default=1.5, gt=1)
    """Ratio, either way, of the median sky noise: tiles of one survey differ by a quarter."""
    psf_width_ratio: float = Field(default=1.15, gt=1)
    """Ratio, either way, of the width of compact sources."""
    zero_point_mag: float = Field(default=0.15, gt=0)
    """Change of a band's magnitudes against the other bands."""
    common_zero_point_mag: float = Field(default=0.75, gt=0)
    """Change of the magnitudes of all bands, in which fields of few tiles differ by 0.4, too."""
    recovered_share: float = Field(default=0.1, ge=0, le=1)
    """Smallest recovered share of injected lenses, where it was measured."""
    recovered_share_drop: float = Field(default=0.15, ge=0, le=1)
    """Drop of this share below the reference."""


def read_limits(path: str | None) -> QualityLimits:
    """Return the limits of a TOML file, the defaults without one.

    Raises:
        QualityError: the file cannot be read, or names no limit or one out of its range.
    """
    if path is None:
        return QualityLimits()
    try:
        return QualityLimits.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise QualityError(f"{path}: cannot be read as a TOML file of limits: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(QualityLimits.model_fields)
        raise QualityError(f"{path}: {name}: {first['msg']}, got {first['input']!r}; the limits are {known}") from error
