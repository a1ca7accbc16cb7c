"""The candidates of a catalogue that can be graded: those with pixels, each object once, best first."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scanner.catalogue.calibration import calibration_warning
from scanner.catalogue.query import find, query
from scanner.catalogue.wanted import NONE_MEETS, Wanted
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldSet
from scanner.review.vetting.order import Subject
from scanner.review.votes.vote import subject_of

Row = Mapping[str, Any]
_HAS_PIXELS = ("cutout_step", "occlusion_step")
"""Numbers that a candidate has if and only if it has pixels; older catalogues lack the first."""
_MORE = 4
"""Factor by which more rows are read while too few have pixels."""


def gradable_rows(root_uri: str, wanted: Wanted) -> list[Row]:
    """Return the best candidates with pixels, without these: each object once, although a catalogue may have it in many nights.

    Args:
        root_uri: The catalogue's root.
        wanted: Conditions, and the largest number of objects.

    Raises:
        VettingError: there is none.
        LensscanError: the catalogue cannot be read.
    """
    limit, table = wanted.limit, None
    n_read = limit
    while True:
        found = find(root_uri, _limited(wanted, n_read))
        table = _once(_with_pixels(found.rows))
        if limit is None or n_read is None or table.num_rows >= limit or found.rows.num_rows < n_read:
            break
        n_read *= _MORE
    if not table.num_rows:
        lacks = f"none of its {found.n_all} candidates has pixels: `lensscan scan --maps` stores them" if found.n_all else ""
        raise VettingError(f"{root_uri}: {lacks or NONE_MEETS}")
    return _with_caveats(root_uri, table.slice(0, limit).to_pylist())


def _with_caveats(root_uri: str, rows: list[Row]) -> list[Row]:
    """Put a warning, `calibration`, in place of the purity of rows whose survey `p_lens` is not calibrated for."""
    warnings = {plan_id: calibration_warning(root_uri, [plan_id]) for plan_id in {row["plan_id"] for row in rows}}
    return [
        {**row, "expected_purity": None, "calibration": warnings[row["plan_id"]]} if warnings[row["plan_id"]] else row
        for row in rows
    ]


def subject_of_row(row: Row) -> Subject:
    """Return the subject of a row."""
    return Subject(subject_of(row["object_id"]), "candidate", row["object_id"])


def every_subject(root_uri: str, gold: GoldSet) -> list[Subject]:
    """Return the subjects of all candidates that readers see, and the gold subjects.

    Raises:
        LensscanError: the catalogue cannot be read.
    """
    ids = query(root_uri, sql="SELECT DISTINCT object_id FROM candidates")["object_id"].to_pylist()
    return [*(Subject(subject_of(i), "candidate", i) for i in ids), *(known.subject for known in gold.subjects)]


def _limited(wanted: Wanted, limit: int | None) -> Wanted:
    return Wanted(**{**vars(wanted), "limit": limit})


def _with_pixels(table: pa.Table) -> pa.Table:
    masks = [table[name].is_valid() for name in _HAS_PIXELS if name in table.column_names]
    if not masks:
        return table.slice(0, 0)
    return table.filter(masks[0] if len(masks) == 1 else pc.or_(*masks))


def _once(table: pa.Table) -> pa.Table:
    """Leave out rows of an object that a better row holds."""
    first = table.select(["object_id"]).append_column("row", pa.array(range(table.num_rows), pa.int64()))
    rows = first.group_by("object_id").aggregate([("row", "min")])["row_min"].sort()
    return table.take(rows)
