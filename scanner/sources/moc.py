"""Areas of the sky: MOCs (Multi-Order Coverage maps), which list HEALPix cells of several sizes (IVOA Recommendation MOC 2.0).

The parsers are strict: mocpy reads a cell that does not exist, a text in place of a number or a cut file as another area.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.provenance import sha256_bytes
from infra.store.files import one_line
from scanner.sources.object_tables import FITS_MAGIC, table_bytes
from scanner.vocabulary.rejections import Rejection

MAX_ORDER = 29
"""Order of the smallest cells, 0.4 milliarcseconds."""
_N_CELLS = 12 << 2 * MAX_ORDER
_SKY_SQUARE_DEGREES = 129600 / np.pi
_WORD = re.compile(r"(?:(?P<order>\d{1,2})/)?(?:(?P<first>\d{1,19})(?:-(?P<last>\d{1,19}))?)?")
"""Word of a MOC as text: an order, a cell or a range of cells, or an order with the first of these."""
_CARDS = {"MOCDIM": ("SPACE",), "COORDSYS": ("C",), "ORDERING": ("NUNIQ", "RANGE")}
"""Values of the cards that say how to read a MOC in FITS."""
_TYPES = {"J": ">i4", "1J": ">i4", "K": ">i8", "1K": ">i8"}

_Ranges = NDArray[np.uint64]
_Cells = tuple[int, int, int]
"""Order, first and last cell."""


class MocError(LensscanError):
    """A file is no MOC of the sky, or one of an empty area."""


@dataclass(frozen=True)
class Moc:
    """An area of the sky."""

    ranges: _Ranges
    """First cell of order 29, nested, and the one after the last, of each part of the area, `[n, 2]`: sorted, disjoint."""

    def contains(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which positions `[n]`, ICRS and finite, lie in the area."""
        # Imported here: they take half a second, and only a MOC needs them.
        from astropy import units
        from astropy.coordinates import Latitude, Longitude
        from cdshealpix import nested

        if not len(ra_deg):
            return np.zeros(0, bool)
        place = Longitude(ra_deg, units.deg), Latitude(dec_deg, units.deg)
        cells = np.asarray(nested.lonlat_to_healpix(*place, MAX_ORDER, num_threads=1))
        part = np.searchsorted(self.ranges[:, 0], cells, side="right")
        return (part > 0) & (cells < self.ranges[part - 1, 1])

    @property
    def sha256(self) -> str:
        """SHA-256 of the ranges, little endian: files of any format and order that cover the same area give the same."""
        return sha256_bytes(self.ranges.astype("<u8").tobytes())

    @property
    def square_degrees(self) -> float:
        """Size of the area."""
        return sum(stop - start for start, stop in self.ranges.tolist()) / _N_CELLS * _SKY_SQUARE_DEGREES


def read_moc(uri: str) -> Moc:
    """Read a MOC from a FITS file, or from its JSON or ASCII form.

    Raises:
        ManifestError: the file is missing or too large, or the store failed.
        MocError: it is no MOC of the sky in equatorial coordinates, or covers nothing.
    """
    label = f"MOC {uri}"
    data = table_bytes(label, uri)
    try:
        ranges = _of_fits(label, data) if data.startswith(FITS_MAGIC) else _of_cells(_of_text(data))
    except Rejection as rejection:
        raise MocError(rejection.detail) from rejection
    except Exception as error:  # astropy raises many types for cards that are not FITS
        raise MocError(f"{label}: {one_line(error)}") from error
    if not len(ranges):
        raise MocError(f"{label}: covers no part of the sky")
    return Moc(_merged(ranges))


def _of_fits(label: str, data: bytes) -> _Ranges:
    """Return the ranges in the first table; raise Rejection or ValueError if it holds no MOC."""
    # Imported here: it imports astropy, and every command that reads a catalogue imports this file.
    from scanner.files.fits_file import FitsFile

    file = FitsFile.parse(label, data)
    file.check_whole()
    table = next((hdu for hdu in file.hdus if hdu.header.get("XTENSION") == "BINTABLE"), None)
    if table is None:
        raise ValueError("holds no table, and so no MOC")
    file.check_sums(table)
    header = table.header
    cards = {"MOCDIM": "SPACE"} | {name: str(header[name]).strip() for name in _CARDS if name in header}
    for name, allowed in _CARDS.items():
        if cards.get(name) not in allowed:
            raise ValueError(f"{name} must be {' or '.join(allowed)}, got {cards.get(name, 'none')}")
    form = _TYPES.get(str(header.get("TFORM1")).strip())
    is_plain = form and header.get("TFIELDS") == 1 and header.get("NAXIS1") == int(form[-1])
    if not is_plain or (header.get("TSCAL1", 1), header.get("TZERO1", 0)) != (1, 0):
        raise ValueError("must have one column of integers, TFORM1 1J or 1K")
    values = np.frombuffer(data, form, header["NAXIS2"], table.data_start).astype(np.int64)
    return _of_pairs(values) if cards["ORDERING"] == "RANGE" else _of_uniq(values)


def _of_pairs(values: NDArray[np.int64]) -> _Ranges:
    """Return the ranges that values list one after the other."""
    if len(values) % 2:
        raise ValueError(f"must have two numbers for each range, got {len(values)} numbers")
    ranges = values.reshape(-1, 2)
    bad = (ranges[:, 0] < 0) | (ranges[:, 1] > _N_CELLS) | (ranges[:, 0] >= ranges[:, 1])
    if bad.any():
        raise ValueError(f"a range must ascend and lie within 0 and {_N_CELLS}, got {ranges[bad][0].tolist()}")
    return ranges.astype(np.uint64)


def _of_uniq(values: NDArray[np.int64]) -> _Ranges:
    """Return the ranges of cells in the numbering NUNIQ, in which cell i of an order has the number 4^(order + 1) + i."""
    if len(bad := values[(values < 4) | (values >= 16 << 2 * MAX_ORDER)]):
        raise ValueError(f"a cell must have a NUNIQ number of 4 to {(16 << 2 * MAX_ORDER) - 1}, got {bad[0]}")
    # Order k has the numbers from 4^(k + 1) to 4^(k + 2) - 1.
    order = np.searchsorted(4 ** np.arange(1, MAX_ORDER + 2), values, side="right") - 1
    shift = 2 * (MAX_ORDER - order)
    first = values - (4 << 2 * order)
    return np.stack([first << shift, (first + 1) << shift], axis=1).astype(np.uint64)


def _of_text(data: bytes) -> Iterable[_Cells]:
    """Return the cells of a MOC as text; raise ValueError if it is none."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is neither FITS nor text") from error
    return _of_json(text) if text.lstrip().startswith("{") else _of_ascii(text)


def _of_json(text: str) -> Iterator[_Cells]:
    """Yield the cells of an object whose keys are orders, such as `{"3": [5, 6], "4": [100]}`."""
    try:
        # Pairs instead of a dictionary, which would drop a repeated order.
        found = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {str(error)[:100]}") from error
    for order, cells in found:
        if not re.fullmatch(r"\d{1,2}", order) or not isinstance(cells, list):
            raise ValueError(f"must map orders to lists of cells, got {order[:20]!r}")
        for cell in cells:
            if type(cell) is not int:
                raise ValueError(f"cells of order {order} must be integers, got {str(cell)[:20]!r}")
            yield int(order), cell, cell


def _of_ascii(text: str) -> Iterator[_Cells]:
    """Yield the cells of a text such as `3/5-7 4/100 102 6/`, with spaces or commas."""
    order = None
    for word in text.replace(",", " ").split():
        match = _WORD.fullmatch(word)
        order = int(match["order"]) if match and match["order"] else order
        if not match or order is None:
            raise ValueError(f"cannot be read at {word[:20]!r}; a MOC as text is such as 3/5-7 4/100")
        if match["first"]:
            yield order, int(match["first"]), int(match["last"] or match["first"])


def _of_cells(cells: Iterable[_Cells]) -> _Ranges:
    ranges = []
    for order, first, last in cells:
        if order > MAX_ORDER:
            raise ValueError(f"orders are 0 to {MAX_ORDER}, got {order}")
        if not 0 <= first <= last < 12 << 2 * order:
            got = str(first) if first == last else f"{first}-{last}"
            raise ValueError(f"order {order} has the cells 0 to {(12 << 2 * order) - 1}, got {got}")
        shift = 2 * (MAX_ORDER - order)
        ranges.append((first << shift, (last + 1) << shift))
    return np.array(ranges, np.uint64).reshape(-1, 2)


def _merged(ranges: _Ranges) -> _Ranges:
    """Return sorted ranges that neither overlap nor touch, of the same cells."""
    start, stop = ranges[np.argsort(ranges[:, 0], kind="stable")].T
    reach = np.maximum.accumulate(stop)
    begins = np.append(True, start[1:] > reach[:-1])
    return np.stack([start[begins], reach[np.append(begins[1:], True)]], axis=1)
