"""Known lenses: a table of them, such as lenscat's, and the columns that it fills for candidates nearby."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import sha256_bytes
from scanner.catalogue.nearest import NONE, NearestPositions
from scanner.sources.object_tables import ID_NAMES
from scanner.sources.positions import SkyPositions, positions_bytes, positions_in

LIMIT_ARCSEC = 3.0
"""Largest distance of a candidate from a known lens.

Tables give the place of the lens or of one of its images, some of them rounded to an arcsec. In lenscat 1.1.3, nearly all of
the 102 pairs of entries within 3 arcsec are one lens from two references; of the 6 pairs between 3 and 5 arcsec, some are two
galaxies. A random place on the sky has an entry within 3 arcsec with a chance of 2e-6.
"""
PACKAGE, _PACKAGED = "lenscat", "lenscat/data/catalog.csv"
"""The package whose table is used by default, and the file in it. Only the file is read: an import of the package needs many
others, which ours do not."""
_DIGITS = 12
_NAMES, _GRADES, _REFERENCES = ("NAME",), ("GRADE", "GRADING"), ("REFERENCE", "REF")
"""Names of columns, in upper case, the likeliest first."""
_IDS = tuple(name for name in ID_NAMES if name not in _NAMES)
"""Names of columns of ids: a lens may be without a name, but not without an id if the table has some."""
_IN_DEGREES = re.compile(rb"\s*\[deg\]")


class KnownLensesError(LensscanError):
    """The installed table of known lenses cannot be read."""


class KnownTable(Frozen):
    """Identity of a table of known lenses and of the match with it: equal for equal matches."""

    name: str
    """Name of the package, or of the file without its folder."""
    version: str
    """Version of the package, or the first 12 digits of the file's digest."""
    sha256: str
    limit_arcsec: float

    @property
    def label(self) -> str:
        """Return name and version."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class KnownLenses:
    """A table of known lenses, ready to be matched."""

    table: KnownTable
    positions: NearestPositions
    texts: pa.Table
    """Columns `known_name`, `known_grade` and `known_reference` of the lenses."""

    def columns_of(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> pa.Table:
        """Return `KNOWN_COLUMNS` of places on the sky: of the nearest known lens within the limit, null without one."""
        nearest, separations_arcsec = self.positions.of(ra_deg, dec_deg, self.table.limit_arcsec)
        is_far = nearest == NONE
        texts = self.texts.take(pa.array(nearest, mask=is_far))
        return texts.add_column(1, "known_separation_arcsec", pa.array(separations_arcsec, mask=is_far))


def read_known(uri: str) -> KnownLenses:
    """Read a table with columns such as `ra` and `dec`, in deg, `name`, and perhaps `grade` and `reference`.

    CSV, Parquet, FITS or VOTable. Without a name, a lens has its `object_id`, or its number in the table.

    Raises:
        ManifestError: the file cannot be read, or has no positions.
    """
    data = positions_bytes(uri)
    digest = sha256_bytes(data)
    name = " ".join(uri.rstrip("/").rpartition("/")[2].split())
    return _known(data, uri, KnownTable(name=name, version=digest[:_DIGITS], sha256=digest, limit_arcsec=LIMIT_ARCSEC))


def packaged_known() -> KnownLenses | None:
    """Read the table of the installed package lenscat; None where it is not installed.

    Raises:
        KnownLensesError: the package holds no table.
        ManifestError: the table cannot be read.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    path = package.locate_file(_PACKAGED)
    try:
        with open(str(path), "rb") as file:  # noqa: PTH123 - the path of a package need not be one of this system
            data = file.read()
    except OSError as error:
        raise KnownLensesError(
            f"{PACKAGE} {package.version} has no table {_PACKAGED} ({error.strerror}); install another version of it"
        ) from error
    table = KnownTable(name=PACKAGE, version=package.version, sha256=sha256_bytes(data), limit_arcsec=LIMIT_ARCSEC)
    return _known(data, str(path), table)


def _known(data: bytes, uri: str, table: KnownTable) -> KnownLenses:
    found = positions_in(_without_units(data) if uri.lower().endswith(".csv") else data, uri, _IDS)
    texts = {"known_name": _column(found, _NAMES, found.object_ids.cast(pa.string()))}
    empty = pa.nulls(len(found), pa.string())
    for name, names in (("known_grade", _GRADES), ("known_reference", _REFERENCES)):
        texts[name] = _column(found, names, empty)
    return KnownLenses(table, NearestPositions(found.ra, found.dec), pa.table(texts))


def _without_units(data: bytes) -> bytes:
    """Return a CSV file without the units that lenscat has in the names of its positions: `RA [deg]`."""
    header, end, rows = data.partition(b"\n")
    return _IN_DEGREES.sub(b"", header) + end + rows


def _column(found: SkyPositions, names: Sequence[str], default: pa.Array) -> pa.Array:
    """Return the texts of the column that has the likeliest of the names, in any case, and the default where it is empty."""
    by_name = {name.upper(): column for name, column in found.others.items()}
    texts = next((by_name[name] for name in names if name in by_name), default).cast(pa.string())
    is_empty = pc.equal(pc.utf8_trim_whitespace(texts.fill_null("")), "")
    return pc.if_else(is_empty, default, texts).fill_null("")
