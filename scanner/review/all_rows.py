"""Read some columns of all rows of plans, unit by unit: each object once in a night, scored or not."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, StorageError, open_read
from scanner.catalogue.outcomes import skipped_mask
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import VisibleError, unit_files_of

_ID, _KEY = "object_id", ("object_id", "status")


def all_rows(
    root_uri: str, plans: Iterable[ShownPlan], names: Sequence[str], progress: Progress = no_progress
) -> Iterator[pa.Table]:
    """Yield columns of the rows that readers see of each unit; memory holds a few units.

    Args:
        root_uri: The catalogue's root.
        plans: The plans.
        names: Columns of unit files.
        progress: Called with (units read, units in all).

    Raises:
        VisibleError: a unit file cannot be read.
        StorageError: the store failed.
    """
    files = {shown: unit_files_of(root_uri, shown) for shown in plans}
    others, done = _OtherIds(root_uri, tuple(files)), 0
    total = sum(map(len, files.values()))
    for shown, own in files.items():
        hidden = others.hiding(shown)
        read = tuple(dict.fromkeys((*names, *(_KEY if hidden else ()))))
        for table in map_ahead(partial(_columns, names=read), own, N_AHEAD):
            rows = hidden.left_of(table) if hidden else table
            yield rows.select(list(names))
            done += 1
            progress(done, total)


def are_among(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which values `[n]` are among others, which ascend."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[at] == values)


class _Hidden(NamedTuple):
    """Ids, ascending, that a plan must not show again because other plans of its night do."""

    always: NDArray[np.int64]
    if_skipped: NDArray[np.int64]

    def left_of(self, table: pa.Table) -> pa.Table:
        """Return the rows that are shown; the table has the columns `_KEY`."""
        ids, is_skipped = table[_ID].to_numpy(), skipped_mask(table).to_numpy()
        is_hidden = np.where(is_skipped, are_among(ids, self.if_skipped), are_among(ids, self.always))
        return table.filter(pa.array(~is_hidden))


class _Ids(NamedTuple):
    """Ids of a plan's objects: those that it looked at, and those that it skipped."""

    looked_at: NDArray[np.int64]
    skipped: NDArray[np.int64]


class _OtherIds:
    """Ids that the plans of a night list, each plan's read once."""

    def __init__(self, root_uri: str, plans: tuple[ShownPlan, ...]) -> None:
        self._root_uri, self._plans = root_uri, plans
        self._ids: dict[ShownPlan, _Ids] = {}

    def hiding(self, shown: ShownPlan) -> _Hidden | None:
        """Return the ids that a plan must not show again; None if other plans hide none of its rows.

        Any newer row hides a skipped one, and so does an older one of an object that was looked at.
        """
        newer = [self._of(plan) for plan in shown.newer]
        older = [plan for plan in self._plans if shown in plan.newer]
        looked_at = [ids.looked_at for ids in newer]
        skipped = [ids.skipped for ids in newer]
        if older and len(self._of(shown).skipped):
            skipped += [self._of(plan).looked_at for plan in older]
        return _Hidden(_together(looked_at), _together(looked_at + skipped)) if looked_at or skipped else None

    def _of(self, shown: ShownPlan) -> _Ids:
        if shown not in self._ids:
            tables = map_ahead(partial(_columns, names=_KEY), unit_files_of(self._root_uri, shown), N_AHEAD)
            parts = [(table[_ID].to_numpy(), skipped_mask(table).to_numpy()) for table in tables]
            self._ids[shown] = _Ids(
                _together([ids[~is_skipped] for ids, is_skipped in parts]),
                _together([ids[is_skipped] for ids, is_skipped in parts]),
            )
        return self._ids[shown]


def _together(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the ids of all parts, ascending, each once."""
    return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))


def _columns(file: FileInfo, names: tuple[str, ...]) -> pa.Table:
    """Return some columns of a unit file.

    Raises:
        VisibleError: the file is damaged or gone.
        StorageError: the store failed.
    """
    try:
        with open_read(file.uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as opened:
            return opened.read(list(names))
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VisibleError(f"{file.uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error
