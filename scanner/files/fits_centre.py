"""The sky position of the middle of a cutout."""

import numpy as np
from astropy.io.fits import Header


def centre_position(header: Header, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Return right ascension and declination, in deg (ICRS), of the middle of an image of this shape, `[y, x]`.

    Return None unless the header has a gnomonic projection (TAN) without distortion, in degrees. Only its numbers go to wcslib,
    after a check that they are finite, because wcslib has crashed on malformed headers.
    """
    try:
        if not _is_plain(header):
            return None
        # Imported here: workers read no cutouts' positions, and `astropy.wcs` takes a quarter of a second.
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [float(header[f"CRVAL{axis}"]) for axis in (1, 2)]
        wcs.wcs.crpix = [float(header[f"CRPIX{axis}"]) for axis in (1, 2)]
        wcs.wcs.cd = _matrix(header)
        middle = [(n - 1) / 2 for n in reversed(shape)]
        if not np.isfinite([*wcs.wcs.crval, *wcs.wcs.crpix, *wcs.wcs.cd.ravel()]).all() or np.linalg.det(wcs.wcs.cd) == 0:
            return None
        ra, dec = (float(value) for value in wcs.all_pix2world(*middle, 0))
    except Exception:  # noqa: BLE001 - cards that are no numbers raise many types; a position is an extra, not a condition
        return None
    return (ra, dec) if np.isfinite([ra, dec]).all() else None


def _is_plain(header: Header) -> bool:
    types = [str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)]
    units = {str(header.get(f"CUNIT{axis}", "deg")).strip().lower() for axis in (1, 2)}
    frame, equinox = str(header.get("RADESYS", "ICRS")).strip(), float(header.get("EQUINOX", 2000))
    pole = float(header.get("LONPOLE", 180))
    # FK5 of 2000 and ICRS agree within 0.03 arcsec.
    return (
        types == ["RA---TAN", "DEC--TAN"]
        and units <= {"deg", ""}
        and frame in {"ICRS", "FK5"}
        and (equinox, pole) == (2000, 180)
    )


def _matrix(header: Header) -> list[list[float]]:
    """Return the matrix from pixels to degrees (Greisen & Calabretta 2002, equation 1)."""
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        return [[float(header.get(f"CD{i}_{j}", 0)) for j in (1, 2)] for i in (1, 2)]
    return [[float(header[f"CDELT{i}"]) * float(header.get(f"PC{i}_{j}", i == j)) for j in (1, 2)] for i in (1, 2)]
