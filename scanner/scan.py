"""A unit or a manifest in, a table with one row per object out. No Ray here: actors call this."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.storage import info, read_bytes
from scanner.catalogue.columns import network_column, score_fields, score_schema, unit_schema
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.units import Unit
from scanner.networks.ensemble import EnsembleScores
from scanner.pixels.cutouts import BandImage, Cutout, to_cutout
from scanner.pixels.geometry import Geometry, Stamps
from scanner.pixels.manifests import Progress, manifest_cutouts, read_manifest
from scanner.pixels.rejections import Rejection
from scanner.pixels.shards import Shard, decode_shard
from scanner.pixels.tiles import CATALOGUE, Tile, read_tile_catalogue, tile_cutouts

Row = Cutout | Rejection


class ScanError(LensscanError):
    """A unit that is not what the plan says, or a network that gives no probability: never a property of one row."""


class ScoringEnsemble(Protocol):
    """What a scan needs of an ensemble."""

    @property
    def geometry(self) -> Geometry: ...
    @property
    def network_names(self) -> tuple[str, ...]: ...
    def score(self, stamps: Stamps) -> EnsembleScores: ...


class CutoutScanner:
    """Scores cutouts with one ensemble, a batch at a time; what else is in a batch never changes a row's scores."""

    def __init__(self, ensemble: ScoringEnsemble, batch_size: int = 64) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {batch_size}")
        self.geometry = ensemble.geometry
        self.network_names = ensemble.network_names
        self._ensemble = ensemble
        self._batch_size = batch_size
        self._schema = pa.schema(score_fields(self.network_names))

    def score(self, rows: Iterable[Row]) -> pa.Table:
        """One output row (`score_fields`) per input row, in order; reads `rows` no faster than it scores.

        Raises:
            ScanError: a network gave something that is no probability.
        """
        stream = iter(rows)
        batches = [self._score_batch(batch) for batch in iter(lambda: list(islice(stream, self._batch_size)), [])]
        return pa.concat_tables([self._schema.empty_table(), *batches]).combine_chunks()

    def _score_batch(self, batch: Sequence[Row]) -> pa.Table:
        cutouts = [row for row in batch if isinstance(row, Cutout)]
        columns: dict[str, pa.Array] = {
            "status": pa.array([SCORED if isinstance(row, Cutout) else row.status for row in batch], pa.string()),
            "detail": pa.array([_detail(row) for row in batch], pa.string()),
        }
        if cutouts:
            is_scored = np.array([isinstance(row, Cutout) for row in batch])
            columns |= self._score_columns(cutouts, is_scored)
        columns.setdefault("subclass", pa.array([""] * len(batch), pa.string()))
        arrays = [columns.get(field.name, pa.nulls(len(batch), field.type)) for field in self._schema]
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _score_columns(self, cutouts: Sequence[Cutout], is_scored: NDArray[np.bool_]) -> dict[str, pa.Array]:
        stamps = {band: np.stack([cutout.stamps[band] for cutout in cutouts]) for band in self.geometry.grids}
        scores = self._ensemble.score(stamps)
        probabilities = {network_column(name).name: scores.p_networks[name] for name in self.network_names}
        probabilities["p_lens"] = scores.p_lens
        if scores.p_compound is not None:
            probabilities["p_compound"] = scores.p_compound
        probabilities["disagreement"] = scores.disagreement
        columns = {name: _probability_column(name, values, is_scored) for name, values in probabilities.items()}
        if scores.subclass is not None:
            subclasses = iter(scores.subclass)
            columns["subclass"] = pa.array([next(subclasses) if scored else "" for scored in is_scored], pa.string())
        return columns


def score_manifest(manifest_uri: str, scanner: CutoutScanner, progress: Progress | None = None) -> pa.Table:
    """One row of `score_schema` per row of the manifest, in its order.

    Raises:
        ManifestError: the manifest itself cannot be used; a row that cannot is rejected in the table.
    """
    manifest = read_manifest(manifest_uri)
    scores = scanner.score(_counted(manifest_cutouts(manifest, scanner.geometry), len(manifest), progress))
    schema = score_schema(manifest.object_ids.type, scanner.network_names)
    return pa.Table.from_arrays([manifest.object_ids, *scores.columns], schema=schema)


def scan_unit(unit: Unit, scanner: CutoutScanner, night: str, progress: Progress | None = None) -> pa.Table:
    """One row of `unit_schema` per object that the unit owns, in the order of its files.

    Raises:
        ScanError: files changed since the plan was made, or a shard that cannot be read.
        TileError: the tile's catalogue cannot be read.
    """
    _check_unchanged(unit)
    identity, rows = _tile_rows(unit, scanner.geometry) if unit.kind == "tile" else _shard_rows(unit, scanner.geometry)
    n_rows = len(identity["object_id"])
    if n_rows != unit.n_rows:
        raise ScanError(f"unit {unit.unit_id}: the plan has {unit.n_rows} rows, its files {n_rows}")
    scores = scanner.score(_counted(rows, n_rows, progress))
    schema = unit_schema(scanner.network_names)
    constants = {"tile": [unit.unit_id] * n_rows, "night": [night] * n_rows}
    columns = [
        pa.array({**identity, **constants}[field.name], field.type) for field in schema if field.name not in scores.column_names
    ]
    return pa.Table.from_arrays([*columns, *scores.columns], schema=schema)


def candidate_name(ra_deg: float, dec_deg: float) -> str:
    """Name from the position: `EUCL J174517.55+655612.5`, digits truncated and not rounded (IAU recommendation)."""
    # The small term undoes binary rounding of decimal positions; it is below a micro-arcsecond.
    ra_centiseconds = int((ra_deg % 360) / 15 * 360_000 + 1e-6) % (24 * 360_000)
    dec_deciseconds = int(abs(dec_deg) * 36_000 + 1e-6)
    seconds, centi = divmod(ra_centiseconds, 100)
    arcseconds, deci = divmod(dec_deciseconds, 10)
    sign = "-" if dec_deg < 0 else "+"
    return f"EUCL J{_sexagesimal(seconds)}.{centi:02d}{sign}{_sexagesimal(arcseconds)}.{deci:d}"


def _sexagesimal(seconds: int) -> str:
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def _tile_rows(unit: Unit, geometry: Geometry) -> tuple[dict[str, Any], Iterator[Row]]:
    mosaics = {role: file.uri for role, file in unit.files.items() if role != CATALOGUE}
    tile = Tile(unit.unit_id, mosaics, unit.files[CATALOGUE].uri)
    catalogue = read_tile_catalogue(tile.catalogue).without(unit.owned_elsewhere)
    identity: dict[str, Any] = {
        "object_id": catalogue.object_ids,
        "candidate_id": [candidate_name(ra, dec) for ra, dec in zip(catalogue.ra, catalogue.dec, strict=True)],
        "ra": catalogue.ra,
        "dec": catalogue.dec,
    }
    return identity, tile_cutouts(tile, catalogue, geometry)


def _shard_rows(unit: Unit, geometry: Geometry) -> tuple[dict[str, Any], Iterator[Row]]:
    try:
        shard = decode_shard(read_bytes(unit.files["shard"].uri))
    except (OSError, ValueError) as error:
        raise ScanError(f"unit {unit.unit_id}: {error}") from error
    kept = np.flatnonzero(~np.isin(shard.object_ids, np.array(unit.owned_elsewhere, np.int64)))
    indices = shard.truth["index"].to_pylist()
    ids = shard.object_ids[kept]
    names = [f"SIM {object_id if indices[i] is None else indices[i]}" for i, object_id in zip(kept, ids, strict=True)]
    nulls = [None] * len(kept)
    return {"object_id": ids, "candidate_id": names, "ra": nulls, "dec": nulls}, shard_cutouts(shard, kept, geometry)


def shard_cutouts(shard: Shard, kept: NDArray[np.int64], geometry: Geometry) -> Iterator[Row]:
    """Through the same checks as any other pixels; in the shard's own geometry they come out as they went in."""
    grids = shard.geometry.grids
    for i in kept:
        images = {band: BandImage(stamps[i], grids[band].pixel_scale_arcsec) for band, stamps in shard.stamps.items()}
        try:
            yield to_cutout(images, geometry)
        except Rejection as rejection:
            yield rejection


def _check_unchanged(unit: Unit) -> None:
    for role, planned in unit.files.items():
        try:
            now = info(planned.uri)
        except OSError as error:
            raise ScanError(f"unit {unit.unit_id}: {role} {planned.uri} cannot be read: {error}") from error
        if (now.size, now.etag) != (planned.size, planned.etag):
            raise ScanError(f"unit {unit.unit_id}: {role} {planned.uri} changed since the plan was made; plan again")


def _counted(rows: Iterator[Row], total: int, progress: Progress | None) -> Iterator[Row]:
    for done, row in enumerate(rows, start=1):
        yield row
        if progress is not None:
            progress(done, total)


def _detail(row: Row) -> str:
    """Empty where there is nothing to say: some readers stumble over a null in a text column."""
    return "; ".join(row.notes) if isinstance(row, Cutout) else row.detail


def _probability_column(name: str, values: NDArray[np.float32], is_scored: NDArray[np.bool_]) -> pa.Array:
    if values.shape != (int(is_scored.sum()),) or not np.all((values >= 0) & (values <= 1)):
        raise ScanError(f"{name}: a network must give one probability in 0-1 per cutout, got {values}")
    column = np.zeros(len(is_scored), np.float32)
    column[is_scored] = values
    return pa.array(column, pa.float32(), mask=~is_scored)
