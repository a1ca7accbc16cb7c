"""HEALPix pixels of positions, and the area of the sky that a scan looked at."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanner.hats.paths import ORDER

FOOTPRINT_ORDER = 10
"""HEALPix order of the footprint's cells, 3.4 arcmin: a cell of a survey of that depth holds hundreds of objects."""
_ORDER = 29


def healpix_29(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the pixels of order 29, nested, of positions `[n]`."""
    return _pixels(ra_deg, dec_deg, _ORDER)


def partition_of(healpix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the partitions of pixels of order 29."""
    return healpix >> 2 * (_ORDER - ORDER)


def footprint_of(positions: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> str:
    """Return the cells in which objects lie, as a MOC in its ASCII form; positions are pairs of RA and Dec in degrees."""
    from mocpy import MOC

    cells = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.unique(_cells(*pair)) for pair in positions)]))
    if not len(cells):
        return ""
    moc = MOC.from_healpix_cells(cells.astype(np.uint64), np.uint8(FOOTPRINT_ORDER), FOOTPRINT_ORDER)
    return str(moc.to_string("ascii"))


def write_moc(footprints: Iterable[str], path: Path) -> float:
    """Write the area of all footprints as a FITS file, and return its fraction of the sky."""
    from mocpy import MOC

    union = MOC.new_empty(FOOTPRINT_ORDER)
    for text in filter(None, footprints):
        union = union.union(MOC.from_string(text, "ascii"))
    union.save(str(path), format="fits")
    return float(union.sky_fraction)


def _cells(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    return _pixels(ra_deg, dec_deg, FOOTPRINT_ORDER)


def _pixels(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], order: int) -> NDArray[np.int64]:
    # Imported here: they take a second, and only a publication needs them.
    from astropy import units
    from astropy.coordinates import Latitude, Longitude
    from cdshealpix import nested

    if not len(ra_deg):
        return np.zeros(0, np.int64)
    place = Longitude(ra_deg, units.deg), Latitude(dec_deg, units.deg)
    return np.asarray(nested.lonlat_to_healpix(*place, order, num_threads=1)).astype(np.int64)
