"""The maps of the candidates that a night shows, read from the sealed files; memory holds those of one row group."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.storage import StorageError, join, open_read
from scanner.catalogue.columns import has_maps
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.paths import sealed_path
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.spool import Spool
from scanner.catalogue.visible import VisibleError

_NAMES = [column.name for column in MAP_COLUMNS]
_FIELDS = pa.schema([column.field(column.fixed) for column in MAP_COLUMNS])


class NightMaps:
    """Maps of the rows of a night, which wait in a file without a name until their rows are written."""

    def __init__(self, root_uri: str, plans: Iterable[ShownPlan], rows: pa.Table) -> None:
        """Read the maps of `rows`, which are the visible candidates of the plans without their maps.

        Raises:
            VisibleError: a candidate file cannot be read.
            StorageError: the store failed.
        """
        self._spool, self._place = Spool(), np.full(rows.num_rows, -1)
        self.are_there = False
        """Whether any of the plans has maps."""
        plan_ids, object_ids = (rows[name].to_numpy(zero_copy_only=False) for name in ("plan_id", "object_id"))
        for shown in plans:
            of_plan = np.flatnonzero(plan_ids == shown.plan_id)
            own = of_plan[np.argsort(object_ids[of_plan])]
            for group in _sealed_groups(join(root_uri, sealed_path(shown.plan_id))):
                self.are_there = True
                self._add(group, own, object_ids[own])

    def columns(self, start: int, stop: int) -> pa.Table:
        """Return the maps of the rows from `start` to `stop`, in lists of fixed size, null where a row has none."""
        places = self._place[start:stop]
        has_map = places >= 0
        at = pa.array(np.cumsum(has_map) - 1, pa.int64(), mask=~has_map)
        if not has_map.any():
            return pa.table([pa.nulls(len(places), field.type) for field in _FIELDS], schema=_FIELDS)
        return next(self._spool.groups(places[has_map], len(places), _FIELDS)).take(at)

    def _add(self, group: pa.Table, rows: np.ndarray, ids: np.ndarray) -> None:
        """Keep the maps of those rows of a group whose ids are among `ids`, sorted, which are those of the rows `rows`."""
        mapped = group.filter(group[_NAMES[0]].is_valid())
        asked = mapped["object_id"].to_numpy()
        at = np.minimum(np.searchsorted(ids, asked), max(len(ids) - 1, 0))
        is_shown = ids[at] == asked if len(ids) else np.zeros(len(asked), bool)
        if not is_shown.any():
            return
        self._place[rows[at[is_shown]]] = self._spool.n_rows + np.arange(int(is_shown.sum()))
        self._spool.add(mapped.filter(pa.array(is_shown)))


def _sealed_groups(uri: str) -> Iterator[pa.Table]:
    """Yield ids and maps of a candidate file, a row group at a time; nothing if its plan has no maps."""
    try:
        with open_read(uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            if has_maps(file.schema_arrow):
                names = ["object_id", *(name for name in _NAMES if name in file.schema_arrow.names)]
                yield from (file.read_row_group(i, names) for i in range(file.num_row_groups))
    except FileNotFoundError:
        # The plan was forgotten a moment ago.
        return
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VisibleError(f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error
