"""Scan a unit or a manifest into a table with one row per object; actors call this module, which does not use Ray."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.progress import Progress
from infra.read_ahead import read_ahead
from infra.store.storage import StorageError, arrow_source, info
from scanner.catalogue.columns import SECOND_COLUMNS, score_schema, unit_schema
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.units import Unit
from scanner.scan.score_table import ScanError
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import CutoutBatch, batches_of
from scanner.sources.manifests import manifest_cutouts, read_manifest
from scanner.sources.shard_batches import stream_batches
from scanner.sources.shards import ShardRows, open_shard
from scanner.sources.tile_batches import read_mosaics, tile_batches
from scanner.sources.tiles import CATALOGUE, Tile, read_tile_catalogue
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection

Places = NDArray[np.int64]
Opened = tuple[dict[str, Any], Callable[[], Iterator[CutoutBatch]]]

N_AHEAD = 4
"""Number of batches that are read ahead while one is scored."""


class Reader(Protocol):
    """Iterator over batches, which reads open files until it is closed."""

    def __iter__(self) -> Iterator[CutoutBatch]: ...
    def __next__(self) -> CutoutBatch: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class OpenUnit:
    """An opened unit, whose rows are being read."""

    unit: Unit
    identity: dict[str, Any]
    """Columns of `unit_schema` that come from the unit's files, one value per row."""
    n_rows: int
    first: "Reader"
    """Reader that has begun to read."""
    begin: Callable[[], "Reader"]
    """Function that opens another reader from the start."""

    def batches(self) -> Callable[[], Iterator[CutoutBatch]]:
        """Return a function that gives `first` at its first call; later calls close the last reader and begin a new one."""
        runs: list[Reader] = []

        def run() -> Iterator[CutoutBatch]:
            if runs:
                runs[-1].close()
            runs.append(self.begin() if runs else self.first)
            return runs[-1]

        return run


def score_manifest(manifest_uri: str, scanner: CutoutScanner, progress: Progress | None = None) -> pa.Table:
    """Return one row of `score_schema` per row of the manifest, in its order.

    Raises:
        ManifestError: the manifest itself cannot be used; unusable rows are rejected in the table instead.
    """
    manifest = read_manifest(manifest_uri)

    def begin() -> Iterator[CutoutBatch]:
        return batches_of(manifest_cutouts(manifest, scanner.geometry), scanner.geometry, scanner.batch_size)

    scores = scanner.score_batches(lambda: _counted(read_ahead(begin, N_AHEAD), len(manifest), progress))
    schema = score_schema(manifest.object_ids.type, scanner.network_names)
    return pa.Table.from_arrays([manifest.object_ids, *scores.columns], schema=schema)


def open_unit(unit: Unit, geometry: Geometry, batch_size: int, only: Places | None = None) -> OpenUnit:
    """Check that a unit is as planned, and begin to read all its rows, or only those whose numbers are in `only`, `[n]`.

    Raises:
        ScanError: a file is missing or changed since the plan was made, or is not a shard.
        StorageError: the store failed.
        TileError: the tile's catalogue cannot be read.
    """
    _check_unchanged(unit)
    opener = _open_tile if unit.kind == "tile" else _open_shard
    identity, begin = opener(unit, geometry, batch_size, only)
    n_rows = len(identity["object_id"])
    if n_rows != unit.n_rows:
        raise ScanError(f"unit {unit.unit_id}: the plan has {unit.n_rows} rows, its files {n_rows}")

    def ahead() -> Reader:
        return read_ahead(begin, N_AHEAD)

    return OpenUnit(unit, identity, n_rows if only is None else len(only), ahead(), ahead)


def read_whole(unit: Unit, geometry: Geometry, batch_size: int) -> None:
    """Read every pixel of a unit's files and discard it, to test whether the files themselves crash the reader.

    Raises:
        Rejection: a file is missing or damaged.
        Exception: the exceptions of `open_unit`.
    """
    if unit.kind == "tile":
        open_unit(unit, geometry, batch_size, np.empty(0, np.int64))
        read_mosaics({role: file.uri for role, file in unit.files.items() if role != CATALOGUE}, geometry)
    else:
        _check_unchanged(unit)
        with _damage_is_told():
            for _ in _shard_rows(unit).pieces(batch_size):
                pass


def open_unit_without(unit: Unit, geometry: Geometry, batch_size: int, left_out: Mapping[int, Rejection]) -> OpenUnit:
    """Open a unit and reject the rows with the numbers in `left_out` without reading them; raises as `open_unit` does."""
    if not left_out:
        return open_unit(unit, geometry, batch_size)
    kept = np.delete(np.arange(unit.n_rows), list(left_out))
    opened = open_unit(unit, geometry, batch_size, kept)
    nothing = {band: np.empty((0, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}

    def with_left_out(batches: Reader) -> Generator[CutoutBatch]:
        with contextlib.closing(batches):
            yield CutoutBatch(np.empty(0, np.int64), nothing, (), sorted(left_out.items()))
            for batch in batches:
                rejected = [(int(kept[place]), rejection) for place, rejection in batch.rejected]
                yield replace(batch, places=kept[batch.places], rejected=rejected)

    return replace(opened, n_rows=unit.n_rows, first=with_left_out(opened.first), begin=lambda: with_left_out(opened.begin()))


def scan_unit(unit: Unit, scanner: CutoutScanner, night: str, progress: Progress | None = None) -> pa.Table:
    """Open a unit and scan it with `scan_open_unit`; also raises the exceptions of `open_unit`."""
    return scan_open_unit(open_unit(unit, scanner.geometry, scanner.batch_size), scanner, night, progress)


def scan_open_unit(opened: OpenUnit, scanner: CutoutScanner, night: str, progress: Progress | None = None) -> pa.Table:
    """Return one row of `unit_schema` per object that the unit owns, in the order of its files.

    Every row of a tile with a damaged mosaic, or of a damaged shard, is rejected, but only after a second read, because the
    damage may come from the transfer.

    Raises:
        ScanError: a network output a value that is not a probability.
    """
    n_rows, begin = opened.n_rows, opened.batches()

    def score() -> pa.Table:
        return scanner.score_batches(lambda: _counted(begin(), n_rows, progress))

    try:
        scores = _twice_if_damaged(score)
    except Rejection as rejection:
        # A file that was changed or removed since the unit was opened is not a property of its rows.
        _check_unchanged(opened.unit)
        scores = scanner.refuse(n_rows, rejection)
    if scores.num_rows != n_rows:
        raise ScanError(f"unit {opened.unit.unit_id}: {n_rows} rows went in, {scores.num_rows} came out")
    schema = unit_schema(scanner.network_names, maps=scanner.has_maps)
    nothing = [None] * n_rows
    known = {
        **opened.identity,
        **{column.name: nothing for column in SECOND_COLUMNS},
        "tile": [opened.unit.unit_id] * n_rows,
        "night": [night] * n_rows,
    }
    columns = {field.name: pa.array(known[field.name], field.type) for field in schema if field.name in known}
    columns |= {name: scores[name] for name in scores.column_names}
    return pa.table([columns[field.name] for field in schema], schema=schema)


def with_second_opinion(table: pa.Table, unit: Unit, scanner: CutoutScanner, above: float) -> pa.Table:
    """Add a second ensemble's scores to a table of `scan_unit`, for the rows with `p_lens` at or above `above`.

    The files are read once more, because the second ensemble may use another field of view around an object. If it cannot
    score a row, the row's second columns stay null.

    Raises:
        ScanError: as `open_unit`, or the store failed.
    """
    places = np.flatnonzero(candidate_mask(table, above).to_numpy(zero_copy_only=False))
    if not len(places):
        return table
    opened = open_unit(unit, scanner.geometry, scanner.batch_size, places)
    try:
        scores = scanner.score_batches(opened.batches())
    except Rejection as rejection:
        _check_unchanged(unit)
        if rejection.code.retriable:
            raise ScanError(f"unit {unit.unit_id}: no scores from the second ensemble: {rejection}") from rejection
        return table
    for column, said in zip(SECOND_COLUMNS, ("p_lens", "disagreement"), strict=True):
        values = scores[said].to_numpy(zero_copy_only=False)
        everywhere, is_null = np.zeros(table.num_rows, np.float32), np.ones(table.num_rows, bool)
        everywhere[places], is_null[places] = np.nan_to_num(values), np.isnan(values)
        place = table.column_names.index(column.name)
        table = table.set_column(place, column.field(), pa.array(everywhere, mask=is_null))
    return table


def candidate_name(ra_deg: float, dec_deg: float) -> str:
    """Return the name for a position: `EUCL J174517.55+655612.5`, digits truncated and not rounded (IAU recommendation)."""
    # The small term undoes binary rounding of decimal positions; it is below a micro-arcsecond.
    ra_centiseconds = int((ra_deg % 360) / 15 * 360_000 + 1e-6) % (24 * 360_000)
    dec_deciseconds = int(abs(dec_deg) * 36_000 + 1e-6)
    seconds, centi = divmod(ra_centiseconds, 100)
    arcseconds, deci = divmod(dec_deciseconds, 10)
    sign = "-" if dec_deg < 0 else "+"
    return f"EUCL J{_sexagesimal(seconds)}.{centi:02d}{sign}{_sexagesimal(arcseconds)}.{deci:d}"


def _sexagesimal(seconds: int) -> str:
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def _open_tile(unit: Unit, geometry: Geometry, batch_size: int, only: Places | None) -> Opened:
    mosaics = {role: file.uri for role, file in unit.files.items() if role != CATALOGUE}
    tile = Tile(unit.unit_id, mosaics, unit.files[CATALOGUE].uri)
    catalogue = read_tile_catalogue(tile.catalogue).without(unit.owned_elsewhere)
    identity: dict[str, Any] = {
        "object_id": catalogue.object_ids,
        "candidate_id": [candidate_name(ra, dec) for ra, dec in zip(catalogue.ra, catalogue.dec, strict=True)],
        "ra": catalogue.ra,
        "dec": catalogue.dec,
    }
    wanted = catalogue if only is None else catalogue.rows(only)
    return identity, lambda: tile_batches(tile, wanted, geometry, batch_size)


def _open_shard(unit: Unit, geometry: Geometry, batch_size: int, only: Places | None) -> Opened:
    shard = _shard_rows(unit)
    kept = np.flatnonzero(~np.isin(shard.object_ids, np.array(unit.owned_elsewhere, np.int64)))
    ids = shard.object_ids[kept]
    names = [
        f"SIM {object_id if shard.indices[i] is None else shard.indices[i]}" for i, object_id in zip(kept, ids, strict=True)
    ]
    nulls = [None] * len(kept)
    identity = {"object_id": ids, "candidate_id": names, "ra": nulls, "dec": nulls}
    wanted = kept if only is None else kept[only]

    def begin() -> Iterator[CutoutBatch]:
        with _damage_is_told():
            yield from stream_batches(shard, wanted, geometry, batch_size)

    return identity, begin


def _shard_rows(unit: Unit) -> ShardRows:
    try:
        return open_shard(partial(arrow_source, unit.files["shard"].uri))
    except ValueError as error:
        raise ScanError(f"unit {unit.unit_id}: {error}") from error


@contextlib.contextmanager
def _damage_is_told() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Rejection(RejectCode.SHARD_DAMAGED, str(error)) from error


def _twice_if_damaged(score: Callable[[], pa.Table]) -> pa.Table:
    try:
        return score()
    except Rejection:
        pass
    # Score outside the handler, whose traceback would keep the first reader and its pixels in memory.
    return score()


def _check_unchanged(unit: Unit) -> None:
    for role, planned in unit.files.items():
        try:
            now = info(planned.uri)
        except FileNotFoundError as error:
            raise ScanError(f"unit {unit.unit_id}: {role} {planned.uri} is gone") from error
        except OSError as error:
            raise StorageError(f"unit {unit.unit_id}: {role} {planned.uri} cannot be read: {error}") from error
        if (now.size, now.etag) != (planned.size, planned.etag):
            raise ScanError(f"unit {unit.unit_id}: {role} {planned.uri} changed since the plan was made; plan again")


def _counted(batches: Iterator[CutoutBatch], total: int, progress: Progress | None) -> Iterator[CutoutBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.n_rows
        if progress is not None:
            progress(done, total)
