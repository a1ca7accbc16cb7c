"""The place of a cutout's pixels on the sky, by a plain WCS."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io.fits import Header

_PARAMETER = re.compile(r"PV[12]_[0-9]+")
"""Pattern of the cards that give a gnomonic projection another pole, or a distortion as SCAMP writes it."""


@dataclass(frozen=True)
class PlainWcs:
    """A gnomonic projection (TAN) without distortion, in degrees, of an image."""

    crval: tuple[float, float]
    crpix: tuple[float, float]
    matrix: tuple[tuple[float, float], tuple[float, float]]
    """Matrix from pixels to degrees (Greisen & Calabretta 2002, equation 1)."""
    shape: tuple[int, int]
    """Shape of the image, `[y, x]`."""

    @property
    def middle(self) -> tuple[float, float]:
        """Return x and y of the middle of the image, 0 at the centre of the first pixel."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    def sky(self, x: float, y: float) -> tuple[float, float]:
        """Return right ascension and declination in deg, not finite where there is none."""
        ra, dec = (float(value) for value in self._wcs().all_pix2world(x, y, 0))
        return ra, dec

    def pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """Return x and y of a position, not finite if it is not in front of the camera."""
        x, y = (float(value) for value in self._wcs().all_world2pix(ra_deg, dec_deg, 0))
        return x, y

    def turn_deg(self, other: "PlainWcs") -> float | None:
        """Return the angle, 0 to 180, by which the pixel axes of another image are turned against these; None if mirrored."""
        own, its = (np.array(wcs.matrix) / np.sqrt(abs(np.linalg.det(wcs.matrix))) for wcs in (self, other))
        turn = np.linalg.inv(own) @ its
        if np.linalg.det(turn) < 0:
            return None
        return float(np.degrees(np.abs(np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1]))))

    def _wcs(self) -> Any:
        # Imported here: workers read no cutouts' positions, and `astropy.wcs` takes a quarter of a second.
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cd = list(self.crval), list(self.crpix), np.array(self.matrix)
        return wcs


def plain_wcs(header: Header, shape: tuple[int, ...]) -> PlainWcs | None:
    """Return the WCS of an image of this shape, `[y, x]`; None unless it is a plain one.

    Only its numbers go to wcslib, after a check that they are finite, because wcslib has crashed on malformed headers.
    """
    try:
        if not _is_plain(header):
            return None
        crval, crpix = ((float(header[f"{name}1"]), float(header[f"{name}2"])) for name in ("CRVAL", "CRPIX"))
        matrix = _matrix(header)
        if not np.isfinite([*crval, *crpix, *np.ravel(matrix)]).all() or np.linalg.det(matrix) == 0 or abs(crval[1]) > 90:
            return None
    except Exception:  # noqa: BLE001 - cards that are no numbers raise many types; a position is an extra, not a condition
        return None
    return PlainWcs(crval, crpix, ((matrix[0][0], matrix[0][1]), (matrix[1][0], matrix[1][1])), (shape[0], shape[1]))


def has_unused_wcs(header: Header) -> bool:
    """Return whether a header without a plain WCS says that its axes are right ascension and declination all the same."""
    return str(header.get("CTYPE1", "")).startswith(("RA-", "DEC-"))


def centre_position(header: Header, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Return right ascension and declination, in deg (ICRS), of the middle of an image of this shape, `[y, x]`.

    Return None unless the header has a plain WCS.
    """
    wcs = plain_wcs(header, shape)
    return None if wcs is None else position_of_middle(wcs)


def position_of_middle(wcs: PlainWcs) -> tuple[float, float] | None:
    """Return right ascension and declination, in deg, of the middle of an image; None if wcslib finds none."""
    try:
        ra, dec = wcs.sky(*wcs.middle)
    except Exception:  # noqa: BLE001 - as above
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
        and not _is_turned(header)
        and not any(_PARAMETER.fullmatch(key) for key in header)
    )


def _is_turned(header: Header) -> bool:
    """Return whether CROTAi turns the axes, an older form that counts only where there is neither CDi_j nor PCi_j."""
    has_matrix = any(f"{name}{i}_{j}" in header for name in ("CD", "PC") for i in (1, 2) for j in (1, 2))
    return not has_matrix and any(float(header.get(f"CROTA{axis}", 0)) != 0 for axis in (1, 2))


def _matrix(header: Header) -> list[list[float]]:
    """Return the matrix from pixels to degrees (Greisen & Calabretta 2002, equation 1)."""
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        return [[float(header.get(f"CD{i}_{j}", 0)) for j in (1, 2)] for i in (1, 2)]
    return [[float(header[f"CDELT{i}"]) * float(header.get(f"PC{i}_{j}", i == j)) for j in (1, 2)] for i in (1, 2)]
