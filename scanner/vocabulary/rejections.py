"""Why a row could not be scored: a closed list of names, never a sentinel value."""

from dataclasses import dataclass
from enum import StrEnum

MAX_DETAIL = 200
"""Characters kept of a detail, so that a catalogue column stays narrow."""


class RejectCode(StrEnum):
    """Every way an input row ends other than with a score."""

    MISSING_BAND = "missing_band"
    """The row names no file for a band, or the tile lacks its mosaic."""
    MISSING_FILE = "missing_file"
    MISSING_EXTENSION = "missing_extension"
    """The file has no HDU of that name or number."""
    FITS_TRUNCATED = "fits_truncated"
    FITS_UNREADABLE = "fits_unreadable"
    """Not FITS, or damaged beyond the header; a checksum that does not match counts."""
    IO_ERROR = "io_error"
    """The store failed: worth another try."""
    WRONG_SHAPE = "wrong_shape"
    """Not a two-dimensional image, or too small to hold a galaxy."""
    TOO_LARGE = "too_large"
    """The header asks for more pixels than a cutout may have."""
    NO_PIXEL_SCALE = "no_pixel_scale"
    """Neither the manifest nor the header states the pixel scale, or the stated one is impossible."""
    BAD_WCS = "bad_wcs"
    """The mosaic's header does not say where a position on the sky lies, or whoever asks it dies."""
    NO_ZERO_POINT = "no_zero_point"
    """The header states no MAGZERO, where fluxes are needed."""
    NOT_FINITE = "not_finite"
    """More NaN or infinite pixels than can be filled with sky."""
    CONSTANT = "constant"
    """All pixels equal and not zero."""
    BLANK = "blank"
    """All pixels zero: no data were taken there."""
    SHARD_DAMAGED = "shard_damaged"
    """The pages of the shard do not match their checksums."""
    WORKER_CRASH = "worker_crash"
    """Whoever looks at the row dies of it."""
    OUTSIDE_TILE = "outside_tile"
    """The object's position lies outside the mosaic."""

    @property
    def retriable(self) -> bool:
        return self is RejectCode.IO_ERROR


@dataclass
class Rejection(Exception):
    """Raised where a row turns out to be unusable, and kept as that row's outcome."""

    code: RejectCode
    detail: str

    def __post_init__(self) -> None:
        super().__init__(self.code, self.detail)
        self.detail = " ".join(self.detail.split())[:MAX_DETAIL]

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    @property
    def status(self) -> str:
        """The catalogue's `status` column."""
        return f"rejected:{self.code}"
