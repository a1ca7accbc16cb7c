"""Score rows that have images in different bands: each group of rows by the networks that can read them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.progress import Progress, part_of
from infra.store.files import StorageError
from scanner.catalogue.columns import score_fields
from scanner.networks.card import EnsembleCard
from scanner.networks.ensemble import Ensemble
from scanner.networks.partial import PartialEnsemble, ensembles_reading, networks_reading
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection
from scanner.vocabulary.stages import NO_STAGE

BY_SOME_NETWORKS = "alone: less reliable, not calibrated"
"""End of the note in `detail` of rows that some networks of the ensemble scored without the others."""
_MISSING_BAND = f"rejected:{RejectCode.MISSING_BAND}"


@dataclass(frozen=True)
class RowGroup:
    """Rows of a table of objects that have images in the same bands."""

    rows: Sequence[int]
    """Numbers of the rows in the table."""
    bands: frozenset[str]
    begin: Callable[[Geometry, int], Iterator[CutoutBatch]]
    """Function that reads the rows in a geometry, in batches of a size; it numbers them from 0."""


class MissingBands:
    """Lets objects that lack a band be scored by the networks of an ensemble that read the other bands."""

    def __init__(self, ensemble: Ensemble, batch_size: int, known: Sequence[EnsembleCard] = ()) -> None:
        """Keep the ensemble, and the cards of all known ensembles, of which a rejected row names those that can score it."""
        self._ensemble, self._batch_size, self._known = ensemble, batch_size, known

    def scanner(self, bands: frozenset[str]) -> CutoutScanner | None:
        """Return a scanner for objects with these bands only; None if no network of the ensemble reads only these."""
        networks = networks_reading(self._ensemble.card, bands)
        return CutoutScanner(PartialEnsemble(self._ensemble, networks), self._batch_size) if networks else None

    def warning(self, scanner: CutoutScanner, bands: frozenset[str]) -> str:
        """Return the note of rows that some networks scored alone."""
        missing = [band for band in self._ensemble.geometry.grids if band not in bands]
        names = ", ".join(scanner.network_names)
        return f"scored without {', '.join(missing)} by {names} {BY_SOME_NETWORKS}"

    def advice(self, bands: frozenset[str]) -> str:
        """Return which ensembles can score objects with these bands only; empty if none can."""
        able = ensembles_reading(self._known, bands)
        here = ", ".join(band for band in self._ensemble.geometry.grids if band in bands)
        have = f"{' and '.join(able)} {'has' if len(able) == 1 else 'have'} networks that read {here} alone"
        return f"{have} (--ensemble {able[0]})" if able else ""


def score_groups(
    groups: Sequence[RowGroup], scanner: CutoutScanner, progress: Progress, missing: MissingBands | None = None
) -> pa.Table:
    """Return one row of `score_fields` per row of the groups, which together have every row of a table once, in its order.

    A group that lacks bands is scored by the networks that `missing` finds for it, with null for the others; without any, its
    rows are rejected. Damage that is found while a group is read rejects the whole group, as in a scan.

    Raises:
        StorageError: the store failed while a group as a whole was read.
    """
    n_rows = sum(len(group.rows) for group in groups)
    tables = [pa.schema(score_fields(scanner.network_names)).empty_table()]
    n_done = 0
    for group in groups:
        tables.append(_scored(group, scanner, part_of(progress, n_done, n_rows), missing))
        n_done += len(group.rows)
    rows = np.concatenate([np.empty(0, np.int64), *(np.asarray(group.rows, np.int64) for group in groups)])
    return pa.concat_tables(tables).take(pa.array(rows.argsort())).combine_chunks()


def _scored(group: RowGroup, scanner: CutoutScanner, progress: Progress, missing: MissingBands | None) -> pa.Table:
    if missing is None or group.bands >= scanner.geometry.grids.keys():
        return _read_and_scored(group, scanner, progress)
    partial = missing.scanner(group.bands)
    if partial is None:
        return _explained(_read_and_scored(group, scanner, progress), _MISSING_BAND, missing.advice(group.bands))
    table = _read_and_scored(group, partial, progress)
    if partial.network_names == scanner.network_names:
        # No network reads the bands that are missing.
        return table
    table = _explained(table, "scored", missing.warning(partial, group.bands))
    at = table.column_names.index("stage")
    table = table.set_column(at, table.schema.field("stage"), pa.array([NO_STAGE] * table.num_rows, pa.int16()))
    if len(partial.network_names) == 1:
        # One network has no spread.
        table = table.drop_columns("disagreement")
    fields = score_fields(scanner.network_names)
    have = set(table.column_names)
    columns = [table[field.name] if field.name in have else pa.nulls(table.num_rows, field.type) for field in fields]
    return pa.table(columns, schema=pa.schema(fields))


def _read_and_scored(group: RowGroup, scanner: CutoutScanner, progress: Progress) -> pa.Table:
    reader = BatchReader(lambda: group.begin(scanner.geometry, scanner.batch_size), progress=progress, n_rows=len(group.rows))
    try:
        return scanner.score_batches(reader)
    except Rejection as rejection:
        if rejection.code.retriable:
            raise StorageError(rejection.detail) from rejection
        return scanner.refused(len(group.rows), rejection).table
    finally:
        reader.close()


def _explained(table: pa.Table, status: str, text: str) -> pa.Table:
    """Return the table with a text at the end of the details of all rows with a status."""
    if not text:
        return table
    details = table["detail"]
    longer = pc.if_else(pc.equal(details, ""), text, pc.binary_join_element_wise(details, pa.scalar(text), "; "))
    details = pc.if_else(pc.equal(table["status"], status), longer, details)
    at = table.column_names.index("detail")
    return table.set_column(at, table.schema.field("detail"), details)
