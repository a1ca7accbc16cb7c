"""The worker process that passes headers to wcslib, which has crashed on malformed ones: `python -m scanner.files.wcs_worker`.

It answers requests on its standard input until that ends. `wcs_client` documents request and answer.
"""

import contextlib
import os
import resource
import signal
import sys
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from scanner.files.wcs_messages import READY, read_message, write_message

MAX_MEMORY_BYTES = 2**31
"""Largest address space: a header may declare any number of axes or coefficients, and must not exhaust the memory."""
MAX_SECONDS = 600
"""Longest time for one header: a process whose parent has exited must not run forever."""

MAX_CONDITION = 1e6
"""Largest condition number of the matrix from pixels to degrees: pixels are nearly square."""


class WcsError(ValueError):
    """The header does not define positions on the sky."""


def positions(cards: bytes, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `[n, 2]`: x and y of ICRS positions in deg; 0 at the centre of the first pixel, NaN if not in front of the camera.

    Raises:
        WcsError: the WCS is not celestial, is singular, or is not in right ascension and declination of the equinox 2000.
        Exception: wcslib raises many types.
    """
    header = fits.Header.fromstring(cards)
    for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
        # wcslib ignores a text value, and so uses zero.
        if isinstance(header.get(key, 0), str):
            raise WcsError(f"{key} must be a number, got {header[key]!r}")
    wcs = WCS(header, naxis=2)
    if not wcs.has_celestial:
        raise WcsError("the header has no celestial WCS")
    _check_frame(wcs)
    if not np.linalg.cond(wcs.pixel_scale_matrix) < MAX_CONDITION:
        raise WcsError("the matrix of the WCS is singular")
    if not len(ra):
        return np.empty((0, 2))
    # A header may have declination as its first axis.
    return np.stack(wcs.all_world2pix(ra, dec, 0, ra_dec_order=True, quiet=True), axis=1)


def _check_frame(wcs: WCS) -> None:
    axes = wcs.wcs.lngtyp.strip(), wcs.wcs.lattyp.strip()
    if axes != ("RA", "DEC"):
        raise WcsError(f"the WCS must be of RA and DEC, got {' and '.join(axes)}")
    system, equinox = wcs.wcs.radesys.strip(), wcs.wcs.equinox
    # FK5 of 2000 and ICRS agree within 0.03 arcsec.
    if system not in {"", "ICRS", "FK5"} or (system != "ICRS" and np.isfinite(equinox) and equinox != 2000):
        raise WcsError(f"the WCS must be ICRS or FK5 of 2000, got {system or 'equinox'} {equinox:g}")


def _answer(cards: bytes, ra: bytes, dec: bytes) -> tuple[bytes, bytes]:
    """Return an error message, or an empty one and the positions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            xy = positions(cards, np.frombuffer(ra), np.frombuffer(dec))
    except Exception as error:  # noqa: BLE001 - wcslib raises many types for malformed headers
        return (" ".join(str(error).split()) or type(error).__name__).encode(), b""
    return b"", xy.tobytes()


def main() -> None:
    """Answer requests until the standard input ends."""
    # Redirect standard output: printed text must not be read as an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Ignore interrupts: this process ends when its parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    with contextlib.suppress(EOFError, BrokenPipeError):
        write_message(answers, READY)
        while True:
            request = read_message(sys.stdin.buffer, 3, MAX_MEMORY_BYTES)
            signal.alarm(MAX_SECONDS)
            write_message(answers, *_answer(*request))
            signal.alarm(0)


if __name__ == "__main__":
    main()
