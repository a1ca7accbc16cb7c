"""The scale of a FITS image: how its stored values become physical ones."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from scanner.vocabulary.geometry import Image


@dataclass(frozen=True)
class StoredScale:
    """BSCALE, BZERO and BLANK of a header, looked up once: a mosaic is read in hundreds of pieces."""

    scale: float
    zero: float
    blank: int | None

    @classmethod
    def of(cls, header: fits.Header) -> "StoredScale":
        """Read the scale of a header."""
        blank = int(header["BLANK"]) if "BLANK" in header else None
        return cls(float(header.get("BSCALE", 1)), float(header.get("BZERO", 0)), blank)

    @property
    def is_plain(self) -> bool:
        """True if stored values are physical ones."""
        return (self.scale, self.zero) == (1, 0)

    def write(self, stored: NDArray, out: Image) -> None:
        """Write the physical values of stored ones to `out`, native float32: `BZERO + BSCALE * stored`, NaN for BLANK."""
        if self.is_plain:
            out[...] = stored
        elif (self.scale, self.zero, stored.dtype.str) == (1, 2**63, ">i8"):
            # Unsigned integers (FITS Standard 4.0, section 5.2.5): float64 would lose values below 1024.
            out[...] = stored.astype(np.int64).view(np.uint64) ^ np.uint64(2**63)
        else:
            out[...] = stored * np.float64(self.scale) + self.zero
        if self.blank is not None and stored.dtype.kind in "iu":
            out[stored == self.blank] = np.nan
