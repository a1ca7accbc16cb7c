"""The pixels of a subject as the page gets them: bands in sky sigma, or colours where a catalogue holds nothing else."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.explain.map_grid import PICTURE_PIXELS
from scanner.review.candidate import BANDS

NOTHING, SKY, RGB = 0, 1, 2
"""Kinds of a record: without pixels, int16 `[band, y, x]`, uint8 `[y, x, colour]`."""
SKY_SHAPE = (len(BANDS), PICTURE_PIXELS, PICTURE_PIXELS)
RGB_SHAPE = (PICTURE_PIXELS, PICTURE_PIXELS, 3)
_HEADER = struct.Struct("<If")
"""Kind, and the size of one unit in sky sigma."""


@dataclass(frozen=True, eq=False)
class SubjectImage:
    """The middle 8 arcsec of a subject; the first row is the southernmost, the first column the easternmost."""

    values: NDArray[np.int16] | NDArray[np.uint8]
    """`[band, y, x]` of VIS, Y, J, H in units of `step`, above the sky; or `[y, x, colour]`."""
    step: float = 0.0
    """Size of one unit in sky sigma; 0 for colours."""

    def record(self) -> bytes:
        """Return the record of the page: a header of 8 bytes, then the values, little endian."""
        is_sky = self.values.dtype == np.int16
        kind, dtype = (SKY, "<i2") if is_sky else (RGB, "|u1")
        return _HEADER.pack(kind, self.step) + np.ascontiguousarray(self.values, dtype).tobytes()


def records(images: Iterable[SubjectImage | None]) -> bytes:
    """Return the records of some subjects, one after the other; one without pixels has a header alone."""
    return b"".join(_HEADER.pack(NOTHING, 0) if image is None else image.record() for image in images)


def stored_image(row: Mapping[str, Any]) -> SubjectImage | None:
    """Return the image of a row with some of the columns `cutout_sigma`, `cutout_step` and `cutout_rgb`."""
    sigma, step, rgb = (row.get(name) for name in ("cutout_sigma", "cutout_step", "cutout_rgb"))
    if sigma is not None and step is not None:
        return SubjectImage(np.asarray(sigma, np.int16).reshape(SKY_SHAPE), float(step))
    return None if rgb is None else SubjectImage(np.asarray(rgb, np.uint8).reshape(RGB_SHAPE))
