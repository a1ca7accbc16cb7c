"""Read some columns of all rows of plans, unit by unit: each object once in a night, scored or not."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, StorageError, open_read
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import VisibleError, unit_files_of

_ID = "object_id"


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
    newer, done = _NewerIds(root_uri), 0
    files = {shown: unit_files_of(root_uri, shown) for shown in plans}
    total = sum(map(len, files.values()))
    for shown, own in files.items():
        hidden = newer.of(shown)
        read = tuple(names) if hidden is None or _ID in names else (*names, _ID)
        for table in map_ahead(partial(_columns, names=read), own, N_AHEAD):
            rows = table if hidden is None else table.filter(pa.array(~are_among(table[_ID].to_numpy(), hidden)))
            yield rows.select(list(names))
            done += 1
            progress(done, total)


def are_among(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which values `[n]` are among others, which ascend."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[at] == values)


class _NewerIds:
    """Ids that newer plans of a night list, each plan's read once."""

    def __init__(self, root_uri: str) -> None:
        self._root_uri = root_uri
        self._ids: dict[ShownPlan, NDArray[np.int64]] = {}

    def of(self, shown: ShownPlan) -> NDArray[np.int64] | None:
        """Return the ids, ascending, that a plan must not show again; None if there are no newer plans."""
        if not shown.newer:
            return None
        return np.unique(np.concatenate([self._all(plan) for plan in shown.newer]))

    def _all(self, shown: ShownPlan) -> NDArray[np.int64]:
        if shown not in self._ids:
            tables = map_ahead(partial(_columns, names=(_ID,)), unit_files_of(self._root_uri, shown), N_AHEAD)
            self._ids[shown] = np.concatenate([np.zeros(0, np.int64), *(table[_ID].to_numpy() for table in tables)])
        return self._ids[shown]


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
