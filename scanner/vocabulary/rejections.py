"""Reasons why a row has no score: a closed list of names, never a sentinel value."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MAX_DETAIL = 200
"""Largest number of characters of a detail; longer ones are cut, so that a catalogue column stays narrow."""


class RejectCode(StrEnum):
    """Every reason why an input row has no score; the note of each code states what is wrong with the row."""

    MISSING_BAND = "missing_band"
    """The row names no file for a band that the networks need, or the tile has no mosaic in that band."""
    MISSING_FILE = "missing_file"
    """The file that the row names does not exist."""
    MISSING_EXTENSION = "missing_extension"
    """The file has no HDU with the name or number that the row gives."""
    FITS_TRUNCATED = "fits_truncated"
    """The FITS file ends before its last HDU is complete."""
    FITS_UNREADABLE = "fits_unreadable"
    """The file is not FITS, is damaged, does not match its checksums, or uses a compression that is not supported."""
    IO_ERROR = "io_error"
    """The store failed while the file was read, so another try may succeed."""
    WRONG_SHAPE = "wrong_shape"
    """The image is not two-dimensional, or is too small to hold a galaxy."""
    TOO_LARGE = "too_large"
    """The file, its headers or its image are larger than the reader accepts."""
    NO_PIXEL_SCALE = "no_pixel_scale"
    """Neither the manifest nor the header states the pixel scale, or the stated scale is impossible."""
    BAD_WCS = "bad_wcs"
    """The mosaic's header does not define sky positions, or computing them crashes or takes too long; or the cutout of a band
    does not hold the place on the sky that is in the middle of another band's."""
    NO_ZERO_POINT = "no_zero_point"
    """The header states no usable MAGZERO, although fluxes are needed."""
    NOT_FINITE = "not_finite"
    """Too many pixels are NaN or infinite to be filled with sky, or pixel values overflow float32 arithmetic."""
    CONSTANT = "constant"
    """All pixels have the same value within rounding, and that value is not zero."""
    BLANK = "blank"
    """All pixels are zero, so no data were taken there."""
    SHARD_DAMAGED = "shard_damaged"
    """The pages of the shard do not match their checksums."""
    WORKER_CRASH = "worker_crash"
    """Scoring this row crashed the worker process repeatedly."""
    OUTSIDE_TILE = "outside_tile"
    """The object's position lies outside the mosaic, or the catalogue gives none on the sky."""

    @property
    def retriable(self) -> bool:
        return self is RejectCode.IO_ERROR


ADVICE: Mapping[RejectCode, str] = MappingProxyType(
    {
        RejectCode.MISSING_BAND: "Name a file for the band, or score with an ensemble that the row's `detail` names.",
        RejectCode.MISSING_FILE: "Check the path or URI; relative paths start at the manifest.",
        RejectCode.MISSING_EXTENSION: "Name an extension that the file has, as in `file.fits#VIS`.",
        RejectCode.FITS_TRUNCATED: "Copy the file again.",
        RejectCode.FITS_UNREADABLE: "Copy the file again; compress images with RICE_1, GZIP_1 or GZIP_2 only.",
        RejectCode.IO_ERROR: "Run the same command again.",
        RejectCode.WRONG_SHAPE: "Name an extension with a two-dimensional image of at least 16 pixels a side.",
        RejectCode.TOO_LARGE: "Cut the image down before it is scored; scan mosaics as tiles.",
        RejectCode.NO_PIXEL_SCALE: "Give `pixel_scale_arcsec` in the manifest, or a WCS or PIXSCALE in the header.",
        RejectCode.BAD_WCS: "Correct the WCS of the header.",
        RejectCode.NO_ZERO_POINT: "Write MAGZERO, an AB magnitude, into the header.",
        RejectCode.NOT_FINITE: "Nothing, if the object lies in a masked region; else check the image.",
        RejectCode.CONSTANT: "Check the image: it holds no signal.",
        RejectCode.BLANK: "Nothing: the survey has no data there.",
        RejectCode.SHARD_DAMAGED: "Copy the shard again, or write it again.",
        RejectCode.WORKER_CRASH: "Look at the row's files, and report the crash with them.",
        RejectCode.OUTSIDE_TILE: "Nothing, if another tile holds the object; else check its position.",
    }
)
"""Advice to the user for each code."""


@dataclass
class Rejection(Exception):
    """An unusable row: raised where the reader finds it, and kept as the outcome of that row."""

    code: RejectCode
    detail: str

    def __post_init__(self) -> None:
        super().__init__(self.code, self.detail)
        self.detail = " ".join(self.detail.split())[:MAX_DETAIL]

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    @property
    def status(self) -> str:
        """Value of the catalogue's `status` column."""
        return f"rejected:{self.code}"
