"""Look up what a scan says about objects that are not among its candidates: a low score, a rejection, or nothing."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.nearest import NONE, NearestPositions
from scanner.catalogue.shown import ShownPlan
from scanner.review.all_rows import all_rows
from scanner.review.diff.matching import RADIUS_ARCSEC, SAME_ID_ARCSEC, Objects, separations

ABSENT = "absent"
"""Status of an object that no row of a scan is about."""
SCHEMA = pa.schema(
    [
        ("object_id", pa.int64()),
        ("candidate_id", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("status", pa.string()),
        ("detail", pa.string()),
        ("p_lens", pa.float32()),
        ("subclass", pa.string()),
        ("tile", pa.string()),
        ("night", pa.string()),
    ]
)
"""Columns that a comparison needs of a row."""


_NO_IDS = np.empty(0, np.int64)


class _Matcher(Protocol):
    def of(self, rows: Objects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return numbers of rows, and numbers of the wanted objects that they are about."""
        ...


def elsewhere(
    root_uri: str,
    plans: Iterable[ShownPlan],
    wanted: Objects,
    radius_arcsec: float = RADIUS_ARCSEC,
    paired: NDArray[np.int64] = _NO_IDS,
) -> pa.Table:
    """Return what the rows of some plans say of each wanted object, found by id, else by position; the best score of several.

    Args:
        root_uri: The catalogue's root.
        plans: The plans.
        wanted: The objects.
        radius_arcsec: Largest separation of a row of another id.
        paired: Ids of the plans' objects that are known to be others, `[object]`: a duplicate may lie near one of them.

    Returns:
        A row with the columns of `SCHEMA` for each object; one that no row is about has the status `absent` and nulls.

    Raises:
        VisibleError: a unit file cannot be read.
        StorageError: the store failed.
    """
    plans = list(plans)
    found = _best(root_uri, plans, _ById(wanted), len(wanted)) if len(wanted) else _absent(0)
    left = np.flatnonzero(np.asarray(found["status"]) == ABSENT)
    if not np.isfinite(wanted.ra_deg[left]).any():
        return found
    near = _best(root_uri, plans, _ByPlace(wanted.take(left), radius_arcsec, paired), len(left))
    place = np.arange(len(wanted))
    place[left] = len(wanted) + np.arange(len(left))
    return pa.concat_tables([found, near]).take(pa.array(place))


class _ById:
    """Rows with the id of a wanted object, and near it where both have a position."""

    def __init__(self, wanted: Objects) -> None:
        self._order = np.argsort(wanted.ids)
        self._sorted = wanted.take(self._order)

    def of(self, rows: Objects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        at = np.minimum(np.searchsorted(self._sorted.ids, rows.ids), len(self._sorted) - 1)
        here = np.flatnonzero(self._sorted.ids[at] == rows.ids)
        apart = separations(rows.take(here), self._sorted.take(at[here]))
        here = here[~(apart > SAME_ID_ARCSEC)]
        return here, self._order[at[here]]


class _ByPlace:
    """Rows within a radius of a wanted object, without those of objects that are paired with others."""

    def __init__(self, wanted: Objects, radius_arcsec: float, paired: NDArray[np.int64]) -> None:
        self._radius_arcsec, self._paired = radius_arcsec, paired
        self._places = NearestPositions(wanted.ra_deg, wanted.dec_deg)

    def of(self, rows: Objects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        nearest, _ = self._places.of(rows.ra_deg, rows.dec_deg, self._radius_arcsec)
        here = np.flatnonzero((nearest != NONE) & ~np.isin(rows.ids, self._paired))
        return here, nearest[here]


def _best(root_uri: str, plans: list[ShownPlan], matcher: _Matcher, n: int) -> pa.Table:
    """Return the best row about each of `n` wanted objects, absent ones included."""
    parts, numbers = [_absent(n)], [np.arange(n)]
    for table in all_rows(root_uri, plans, SCHEMA.names):
        here, about = matcher.of(Objects.of(table))
        if len(here):
            parts.append(table.take(pa.array(here)).cast(SCHEMA))
            numbers.append(about)
    rows, number = pa.concat_tables(parts), np.concatenate(numbers)
    score = np.nan_to_num(rows["p_lens"].to_numpy(), nan=-1)
    score[:n] = -2
    order = np.lexsort((-score, number))
    _, first = np.unique(number[order], return_index=True)
    return rows.take(pa.array(order[first]))


def _absent(n: int) -> pa.Table:
    values = {field.name: pa.nulls(n, field.type) for field in SCHEMA} | {"status": pa.array([ABSENT] * n, pa.string())}
    return pa.table([values[field.name] for field in SCHEMA], schema=SCHEMA)
