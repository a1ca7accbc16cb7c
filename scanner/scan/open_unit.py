"""Open a unit: check that its files are as planned, read the ids and positions of its rows, and begin to read their pixels."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from infra.steps import Step, reached
from infra.stopwatch import Stopwatch
from infra.store.storage import FileInfo, arrow_source
from scanner.catalogue.carried import CarriedColumn, carried_arrays
from scanner.catalogue.unit_inputs import SHARD, check_unchanged
from scanner.catalogue.units import Unit, id_digest
from scanner.scan.batch_reader import BatchReader
from scanner.scan.errors import ScanError
from scanner.scan.row_selection import ALL_ROWS, Rows, RowSelection
from scanner.sources.batches import CutoutBatch
from scanner.sources.shard_batches import stream_batches
from scanner.sources.shards import ShardRows, open_shard
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.sources.tile_batches import read_mosaics, tile_batches
from scanner.sources.tiles import CATALOGUE, Tile, read_tile_catalogue, start_locating
from scanner.vocabulary.candidate_name import candidate_name
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.metrics import WorkStage
from scanner.vocabulary.rejections import RejectCode, Rejection

_BeginRows = Callable[[Rows], Iterator[CutoutBatch]]


@dataclass(frozen=True)
class OpenUnit:
    """An opened unit, whose selected rows are being read."""

    unit: Unit
    identity: dict[str, Any]
    """Columns of `unit_schema` that come from the unit's files, one value per row that the unit owns."""
    is_selected: NDArray[np.bool_]
    """Which of these rows the plan scores, `[n]`; the others are skipped."""
    n_rows: int
    """Number of rows that are being read or rejected unread."""
    batches: BatchReader
    carried: tuple[pa.Field, ...] = ()
    """Fields of those columns that come from the tile's catalogue."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    """Stopwatch of the work on the unit."""


def prepare_for(units: Sequence[Unit]) -> None:
    """Start the process that the first tile would wait for; meanwhile, this process may load its networks."""
    if any(unit.kind != SHARD for unit in units):
        start_locating()


def open_unit(
    unit: Unit,
    geometry: Geometry,
    batch_size: int,
    selection: RowSelection = ALL_ROWS,
    progress: Progress = no_progress,
    survey: Survey = EUCLID_MER,
    columns: Sequence[CarriedColumn] = (),
    watch: Stopwatch | None = None,
) -> OpenUnit:
    """Check that a unit is as planned, and begin to read some of its rows; rows of other units are left out here.

    Args:
        unit: The unit.
        geometry: Geometry of the stamps.
        batch_size: Largest number of rows of a batch.
        selection: Rows to read, among those that the plan scores.
        progress: Callback that gets the number of these rows whose batch was used.
        survey: Survey of the plan, which tells how to read a tile.
        columns: Columns of the tiles' catalogues to carry.
        watch: Gets the seconds of reading and cutting, by `WorkStage`.

    Raises:
        InputChangedError: a file is missing or changed since the plan was made.
        ScanError: a file is not a shard, or holds another number of rows than the plan says.
        StorageError: the store failed, or the tile's catalogue was replaced just now.
        TileError: the tile's catalogue cannot be read.
    """
    watch = watch or Stopwatch()
    with watch.timed(WorkStage.READ):
        check_unchanged(unit)
        if unit.kind == "tile":
            identity, is_selected, begin = _open_tile(unit, geometry, batch_size, survey, columns, watch)
        else:
            identity, is_selected, begin = _open_shard(unit, geometry, batch_size, watch)
    n_read = selection.n_selected(unit.n_selected)

    def timed(rows: Rows) -> Iterator[CutoutBatch]:
        return _timed(begin(rows), watch)

    reader = BatchReader(
        partial(selection.batches, timed, unit.n_selected, geometry), progress=progress, n_rows=n_read, watch=watch
    )
    reached(Step.OPENED, unit.unit_id)
    return OpenUnit(unit, identity, is_selected, n_read, reader, tuple(column.field for column in columns), watch)


def _timed(batches: Iterator[CutoutBatch], watch: Stopwatch) -> Iterator[CutoutBatch]:
    """Yield batches, and add the time that each takes to the stages of reading and, where the reader says so, of cutting."""
    while True:
        with watch.timed(WorkStage.READ, without=WorkStage.CUT):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def read_whole(unit: Unit, geometry: Geometry, batch_size: int, survey: Survey = EUCLID_MER) -> None:
    """Read every pixel of a unit's files and discard it, to test whether the files themselves crash the reader.

    Raises:
        Rejection: a file is missing or damaged.
        Exception: the exceptions of `open_unit`.
    """
    if unit.kind == "tile":
        open_unit(unit, geometry, batch_size, RowSelection(read=()), survey=survey).batches.close()
        read_mosaics(_tile(unit, survey), geometry)
    else:
        check_unchanged(unit)
        with _damage_as_rejection():
            for _ in _shard_rows(unit).pieces(batch_size):
                pass


def _open_tile(
    unit: Unit, geometry: Geometry, batch_size: int, survey: Survey, columns: Sequence[CarriedColumn], watch: Stopwatch
) -> tuple[dict[str, Any], NDArray[np.bool_], _BeginRows]:
    tile = _tile(unit, survey)
    names = [column.name for column in columns]
    catalogue = read_tile_catalogue(tile.catalogue, survey, wanted=names, listed=tile.files[CATALOGUE])
    catalogue = catalogue.without(unit.owned_elsewhere)
    is_selected = _selected(unit, catalogue.object_ids)
    # A name takes as long as a thousandth of a score, and only selected rows with a position can become candidates.
    is_named = is_selected & catalogue.has_position
    ra, dec = catalogue.ra[is_named], catalogue.dec[is_named]
    names_of_rows = np.full(len(is_named), "", object)
    names_of_rows[is_named] = [candidate_name(*position, survey.acronym_of_names) for position in zip(ra, dec, strict=True)]
    identity: dict[str, Any] = {
        "object_id": catalogue.object_ids,
        "candidate_id": names_of_rows,
        "ra": pa.array(catalogue.ra, mask=~catalogue.has_position),
        "dec": pa.array(catalogue.dec, mask=~catalogue.has_position),
        **carried_arrays(columns, catalogue.others, pa.array(is_selected)),
    }
    to_score = catalogue.rows(np.flatnonzero(is_selected))
    return identity, is_selected, lambda rows: tile_batches(tile, to_score.rows(rows), geometry, batch_size, watch)


def _selected(unit: Unit, object_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows of a unit the plan scores, after a check that they are the planned ones."""
    if len(object_ids) != unit.n_rows:
        raise ScanError(f"unit {unit.unit_id}: the plan has {unit.n_rows} rows, its files {len(object_ids)}")
    if unit.selected is None:
        return np.ones(unit.n_rows, bool)
    is_selected = unit.selected.mask(unit.n_rows)
    if id_digest(object_ids[is_selected]) != unit.selected.id_digest:
        raise ScanError(f"unit {unit.unit_id}: the rows that its plan selects are not in the planned order")
    return is_selected


def _tile(unit: Unit, survey: Survey) -> Tile:
    mosaics = {role: file.uri for role, file in unit.files.items() if role != CATALOGUE}
    planned = {role: FileInfo(file.uri, file.size, file.etag) for role, file in unit.files.items()}
    return Tile(unit.unit_id, mosaics, unit.files[CATALOGUE].uri, survey, planned)


def _open_shard(
    unit: Unit, geometry: Geometry, batch_size: int, watch: Stopwatch
) -> tuple[dict[str, Any], NDArray[np.bool_], _BeginRows]:
    shard = _shard_rows(unit)
    own = np.flatnonzero(~np.isin(shard.object_ids, np.array(unit.owned_elsewhere, np.int64)))
    ids = shard.object_ids[own]
    names = [
        f"SIM {object_id if shard.indices[i] is None else shard.indices[i]}" for i, object_id in zip(own, ids, strict=True)
    ]
    nulls = [None] * len(own)
    identity = {"object_id": ids, "candidate_id": names, "ra": nulls, "dec": nulls}

    def begin(rows: Rows) -> Iterator[CutoutBatch]:
        with _damage_as_rejection():
            yield from stream_batches(shard, own[rows], geometry, batch_size, watch)

    return identity, _selected(unit, ids), begin


def _shard_rows(unit: Unit) -> ShardRows:
    uri = unit.files[SHARD].uri
    try:
        # Over S3, a source is the whole file: that of the ids also serves the first read of pixels.
        opened = [arrow_source(uri)]
        return replace(open_shard(lambda: opened[0]), source=lambda: opened.pop() if opened else arrow_source(uri))
    except ValueError as error:
        raise ScanError(f"unit {unit.unit_id}: {error}") from error


@contextlib.contextmanager
def _damage_as_rejection() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Rejection(RejectCode.SHARD_DAMAGED, str(error)) from error
