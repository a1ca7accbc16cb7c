"""CHECKSUM and DATASUM (FITS Standard 4.0, appendix J)."""

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from scanner.vocabulary.rejections import RejectCode, Rejection


def check_sums(label: str, header: fits.Header, header_sum: int, data_sum: int) -> None:
    """Raise FITS_UNREADABLE if the sums do not match those in the header (FITS Standard 4.0, appendix J)."""
    stated = str(header.get("DATASUM", "")).strip()
    if stated and stated != str(data_sum):
        raise Rejection(RejectCode.FITS_UNREADABLE, f"{label}: DATASUM is {data_sum}, the header states {stated}")
    total = folded(header_sum + data_sum)
    if str(header.get("CHECKSUM", "")).strip() and total not in {0, 0xFFFFFFFF}:
        raise Rejection(RejectCode.FITS_UNREADABLE, f"{label}: CHECKSUM does not match")


def ones_complement_sum(words: NDArray) -> int:
    """Return the ones'-complement sum of 32-bit words, as FITS defines it."""
    return folded(int(words.sum(dtype=np.uint64)))


def folded(total: int) -> int:
    """Return a sum of 32-bit words with its carries added back to the low bits."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
