"""Find the units of work, the tiles or shards of an input folder, and the rows that each unit owns and scores."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, exists, info, is_s3, list_files, local_path
from scanner.catalogue.carried import CarriedColumn, near_names, planned_columns
from scanner.catalogue.data_sets import check_data_sets
from scanner.catalogue.paths import CANDIDATES
from scanner.catalogue.releases import RELEASES
from scanner.catalogue.selection import EVERYTHING, Circle, Selection
from scanner.catalogue.source_choice import (
    EVERY_SOURCE,
    Chosen,
    SourceChooser,
    SourceSelection,
    UnmatchedTargets,
    lacking,
)
from scanner.catalogue.unit_inputs import SHARD, n_catalogues_ahead, shard_file_objects
from scanner.catalogue.units import (
    MAX_EXAMPLES,
    Ids,
    InputFile,
    LeftOut,
    LeftOutReason,
    PlanError,
    SelectedRows,
    Unit,
    id_digest,
)
from scanner.sources.shards import NumberedObjects
from scanner.sources.shared_ids import check_ids_in_overlaps
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.sources.tiles import (
    CATALOGUE,
    FoundTiles,
    LacksColumnsError,
    Tile,
    find_tiles,
    no_catalogue,
    no_mosaics,
    no_tiles,
    other_names,
    read_tile_catalogue,
)
from scanner.vocabulary.rejections import Rejection

_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")


class FoundUnits(NamedTuple):
    """Units of an input, sorted by name, and the tiles that are no units."""

    units: list[Unit]
    left_out: tuple[LeftOut, ...]
    """Tiles that lack their catalogue or all mosaics, or whose catalogue cannot be read, sorted by name."""
    sources: SourceSelection | None = None
    """Selection of the tiles' sources; None if all are scored."""
    columns: tuple[CarriedColumn, ...] = ()
    """Columns of the tiles' catalogues that the unit files carry."""
    unmatched: UnmatchedTargets | None = None
    """Targets without a source; None if there are no targets."""


def find_units(input_uri: str, selection: Selection = EVERYTHING, survey: Survey = EUCLID_MER) -> list[Unit]:
    """Return the units of `find_input`."""
    return find_input(input_uri, selection, survey).units


def list_tiles(input_uri: str, selection: Selection = EVERYTHING, survey: Survey = EUCLID_MER) -> FoundTiles:
    """List the selected tiles under `input_uri` without reading a file.

    Raises:
        PlanError: a selected tile is not there, or the survey's description names no catalogue.
        TileError: two tiles would have one name.
    """
    return _tiles(input_uri, selection, survey)


def find_input(
    input_uri: str, selection: Selection = EVERYTHING, survey: Survey = EUCLID_MER, listed: FoundTiles | None = None
) -> FoundUnits:
    """Find the selected tiles under `input_uri`, or, for the default survey, the shards if there are no tiles.

    A tile that lacks its catalogue or all mosaics, or whose catalogue cannot be used, is left out and named: it does not stop
    the scan of the others. An object that several units hold (tiles overlap) belongs to one that has its position, if any has;
    among these to one with the mosaics of most bands; and among these to the first. `listed` is the result of `list_tiles`, if
    there is one already.

    Raises:
        PlanError: there is no unit, a selected tile is not there, a shard repeats an id or cannot be read, shards of different
            data sets share an id, the store failed, or the survey's ids are not those of its objects; no tile has a column that
            the selection names, or a source near a target.
        TileError: two tiles would have one name.
        ConditionError: the condition on sources is none, or does not fit the types of the columns.
        MocError: the area's file is no MOC, or covers nothing.
        ManifestError: the area or the targets cannot be read.
    """
    chooser = SourceChooser.of(selection)
    found = listed or list_tiles(input_uri, selection, survey)
    if found.tiles or found.without_catalogue:
        inputs, left_out = _usable(found, selection.circle, chooser, survey)
    elif survey != EUCLID_MER and exists(input_uri):
        raise PlanError(no_tiles(input_uri, survey))
    elif (selection.is_partial or selection.reads_sources) and exists(input_uri):
        raise PlanError(f"{input_uri}: holds no Euclid MER tiles, so neither tiles nor sources of them can be selected")
    else:
        inputs, left_out = _shards(input_uri), ()
    if not inputs:
        raise PlanError(_why_nothing(input_uri, left_out, selection.place, survey))
    inputs = _with_targets(input_uri, inputs, chooser)
    columns = _columns(input_uri, inputs, chooser)
    is_own = _owned(inputs)
    if survey != EUCLID_MER:
        check_ids_in_overlaps([unit.files[CATALOGUE].uri for unit in inputs], [unit.ids for unit in inputs], is_own, survey)
    try:
        units = [_unit(unit, own) for unit, own in zip(inputs, is_own, strict=True)]
    except ValidationError as error:
        raise PlanError(f"{input_uri}: {error.errors()[0]['msg']}") from error
    return FoundUnits(units, left_out, chooser.record, columns, chooser.unmatched([unit.chosen for unit in inputs]))


class _UnitInput(NamedTuple):
    """Files of one unit, and the ids in them."""

    unit_id: str
    kind: Literal["tile", "shard"]
    files: dict[str, InputFile]
    ids: Ids
    has_position: npt.NDArray[np.bool_] | None = None
    """Flags `[n]` of the objects with a position; None if all have one, or the unit is no tile."""
    chosen: Chosen = EVERY_SOURCE
    schema: pa.Schema | None = None
    """Columns of a tile's catalogue that were read."""
    lacks: Mapping[str, str] = MappingProxyType({})
    """Columns that were asked for and that a tile's catalogue lacks, with a hint at like names."""


def _with_targets(input_uri: str, inputs: list[_UnitInput], chooser: SourceChooser) -> list[_UnitInput]:
    """Return the tiles that hold the nearest source of a target; all of them without targets."""
    if chooser.targets is None:
        return inputs
    chosen = chooser.among_tiles([unit.chosen for unit in inputs], _owned(inputs))
    kept = [unit._replace(chosen=one) for unit, one in zip(inputs, chosen, strict=True) if one.has_target]
    if not kept:
        raise PlanError(f"{input_uri}: --targets: {chooser.without_source}")
    return kept


def _columns(input_uri: str, inputs: Sequence[_UnitInput], chooser: SourceChooser) -> tuple[CarriedColumn, ...]:
    """Return the columns that the unit files carry; each column that was asked for must be in some tile."""
    columns = planned_columns(chooser.columns, {unit.unit_id: unit.schema for unit in inputs if unit.schema is not None})
    if absent := set.intersection(*(set(unit.lacks) for unit in inputs)):
        name = min(absent)
        raise PlanError(f"{input_uri}: --columns: no tile's catalogue has a column {name}{inputs[0].lacks[name]}")
    return columns


def _unit(files: _UnitInput, is_own: npt.NDArray[np.bool_]) -> Unit:
    own, elsewhere = files.ids[is_own], files.ids[~is_own]
    mask = files.chosen.mask(len(files.ids))
    return Unit(
        unit_id=files.unit_id,
        kind=files.kind,
        files=files.files,
        n_rows=len(own),
        id_digest=id_digest(own),
        owned_elsewhere=tuple(sorted(elsewhere.tolist())),
        selected=None if mask is None else SelectedRows.of(mask[is_own], own),
    )


def _owned(inputs: Sequence[_UnitInput]) -> list[npt.NDArray[np.bool_]]:
    """Mask the objects `[n]` that each unit owns; in one pass, because a survey has 56 000 tiles."""
    ids = np.concatenate([unit.ids for unit in inputs])
    is_own = np.zeros(len(ids), dtype=bool)
    all_files = {role for unit in inputs for role in unit.files}
    if all(unit.has_position is None and len(unit.files) == len(all_files) for unit in inputs):
        is_own[np.unique(ids, return_index=True)[1]] = True
    else:
        # An object that cannot be scored in one tile may be in another, which has its position or more bands. This needs
        # another copy of the ids.
        order = np.argsort(np.concatenate([_hindrances(unit, len(all_files)) for unit in inputs]), kind="stable")
        is_own[order[np.unique(ids[order], return_index=True)[1]]] = True
    return np.split(is_own, np.cumsum([len(unit.ids) for unit in inputs])[:-1])


def _hindrances(unit: _UnitInput, n_files: int) -> npt.NDArray[np.int8]:
    """Return a number `[n]` for each object of a unit, larger if it has no position, and for each file that others have."""
    has_position = np.ones(len(unit.ids), bool) if unit.has_position is None else unit.has_position
    return np.where(has_position, 0, n_files).astype(np.int8) + np.int8(n_files - len(unit.files))


def _tiles(input_uri: str, selection: Selection, survey: Survey) -> FoundTiles:
    if not is_s3(input_uri) and _is_file(input_uri):
        raise PlanError(_why_nothing(input_uri, ()))
    if survey.catalogue is None:
        raise PlanError(f"survey {survey.name}: its description has no [catalogue], so no tile can be scanned; score positions")
    found = find_tiles(input_uri, *([selection.catalogues_uri] if selection.catalogues_uri else []), survey=survey)
    if not selection.tiles or not (found.tiles or found.without_catalogue):
        return found
    selection.check_known([*(tile.tile_id for tile in found.tiles), *found.without_catalogue])
    chosen = set(selection.tiles)
    return FoundTiles(
        [tile for tile in found.tiles if tile.tile_id in chosen],
        {tile: bands for tile, bands in found.without_catalogue.items() if tile in chosen},
    )


def _usable(
    found: FoundTiles, circle: Circle | None, chooser: SourceChooser, survey: Survey
) -> tuple[list[_UnitInput], tuple[LeftOut, ...]]:
    """Return the tiles that can be scanned, with their ids, and the others with the reasons.

    The positions of a tile without a usable catalogue are unknown, so it is named whatever the circle and the area.
    """
    without = LeftOutReason.NO_CATALOGUE
    left_out = [LeftOut(tile=tile, reason=without, detail=no_catalogue(tile, survey)) for tile in found.without_catalogue]
    left_out += [LeftOut(tile=tile.tile_id, reason=LeftOutReason.NO_MOSAIC) for tile in found.tiles if not tile.mosaics]
    usable = []
    with_mosaics = [tile for tile in found.tiles if tile.mosaics]
    n_ahead = n_catalogues_ahead(tile.files[CATALOGUE].size for tile in with_mosaics)
    for read in map_ahead(partial(_tile_input, circle=circle, chooser=chooser), with_mosaics, n_ahead):
        if isinstance(read, LeftOut):
            left_out.append(read)
        elif read is not None:
            usable.append(read)
    return usable, tuple(sorted(left_out, key=lambda tile: tile.tile))


def _tile_input(tile: Tile, circle: Circle | None, chooser: SourceChooser) -> _UnitInput | LeftOut | None:
    """Return the files and ids of a tile; None if no source of the tile lies in the circle, or none in the area."""
    files = tile_files(tile)
    try:
        sources = read_tile_catalogue(tile.catalogue, tile.survey, chooser.needed, chooser.columns, tile.files[CATALOGUE])
        ids = np.asarray(sources.object_ids, np.int64)
        _check_unique(ids)
    except OSError as error:
        raise PlanError(f"tile {tile.tile_id}: its catalogue cannot be read: {error}") from error
    except LacksColumnsError as error:
        _check_as_listed(tile)
        return LeftOut(tile=tile.tile_id, reason=LeftOutReason.LACKS_COLUMNS, detail=lacking(error))
    except (ValueError, Rejection) as error:
        _check_as_listed(tile)
        return LeftOut(tile=tile.tile_id, reason=LeftOutReason.UNREADABLE_CATALOGUE, detail=str(error))
    if circle is not None and not circle.contains(sources.ra, sources.dec).any():
        return None
    chosen = chooser.of_tile(sources)
    if chosen is None:
        return None
    schema = pa.schema([]) if sources.others is None else sources.others.schema
    lacks = {name: _why_lacking(name, sources.known) for name in chooser.asked if name not in schema.names}
    has_position = None if sources.has_position.all() else sources.has_position
    return _UnitInput(tile.tile_id, "tile", files, ids, has_position, chosen, schema, lacks)


def _check_as_listed(tile: Tile) -> None:
    """Check that a catalogue that cannot be used is still the listed file: while it is replaced, a reader may see parts."""
    listed = tile.files[CATALOGUE]
    try:
        is_same = info(listed.uri) == listed
    except OSError as error:
        raise PlanError(f"tile {tile.tile_id}: its catalogue cannot be read: {error}") from error
    if not is_same:
        raise PlanError(f"tile {tile.tile_id}: its catalogue {listed.uri} was replaced while the input was planned; plan again")


def _why_lacking(name: str, known: Sequence[str]) -> str:
    return " with one value a row" if name in known else near_names(name, known)


def _shards(input_uri: str) -> list[_UnitInput]:
    files = list_files(input_uri, ".parquet")
    shards = dict(zip(files, map_ahead(partial(_shard_objects, input_uri), files, N_AHEAD), strict=True))
    check_data_sets({file.uri: shard for file, shard in shards.items()})
    return [
        _UnitInput(_shard_name(input_uri, file), "shard", {SHARD: _input_file(file)}, shard.object_ids)
        for file, shard in shards.items()
    ]


def _shard_name(input_uri: str, file: FileInfo) -> str:
    return _UNFIT.sub("-", _below(input_uri, file.uri).removesuffix(".parquet"))


def _why_nothing(input_uri: str, left_out: Sequence[LeftOut], place: str = "", survey: Survey = EUCLID_MER) -> str:
    if left_out and all(tile.reason is LeftOutReason.LACKS_COLUMNS for tile in left_out):
        return f"{input_uri}: --where: the catalogue of tile {left_out[0].tile} has {left_out[0].detail}"
    if left_out:
        examples = ", ".join(f"{tile.tile} ({tile.reason.replace('_', ' ')})" for tile in left_out[:MAX_EXAMPLES])
        first = next((f"; {tile.tile}: {tile.detail}" for tile in left_out if tile.detail), "")
        names = _names_that_fit_not(input_uri, {tile.reason for tile in left_out}, survey)
        return f"{input_uri}: none of {len(left_out)} tiles can be scanned, such as {examples}{first}{names}"
    if not exists(input_uri):
        release = next((name for name in RELEASES if name in input_uri.lower()), None)
        return f"{input_uri}: does not exist" + (f"; did you mean --release {release}?" if release else "")
    if place:
        return f"{input_uri}: no tile has a source {place}"
    if _is_file(input_uri):
        return f"{input_uri}: is a file, not a folder of tiles or shards; `lensscan score` takes manifests and images"
    return f"{input_uri}: holds neither Euclid MER tiles nor shards; `lensscan score` takes a folder of cutouts"


def _names_that_fit_not(input_uri: str, reasons: set[LeftOutReason], survey: Survey) -> str:
    """Return which files do not fit a description if all tiles lack their mosaics or their catalogue: it may be wrong."""
    if survey != EUCLID_MER and reasons == {LeftOutReason.NO_MOSAIC}:
        return f"; {no_mosaics(input_uri, survey)}"
    return f"; {other_names(input_uri, survey)}" if survey != EUCLID_MER and reasons == {LeftOutReason.NO_CATALOGUE} else ""


def _is_file(uri: str) -> bool:
    if not is_s3(uri):
        return local_path(uri).is_file()
    with suppress(FileNotFoundError):
        return bool(info(uri))
    return False


def _below(root_uri: str, uri: str) -> str:
    """Return the part of a file's URI after the root that it was listed under."""
    root = root_uri.removeprefix("file://").strip("/")
    return uri[uri.find(root) + len(root) :].strip("/") if root in uri else uri.rpartition("/")[2]


def _input_file(file: FileInfo) -> InputFile:
    return InputFile(uri=file.uri, size=file.size, etag=file.etag)


def tile_files(tile: Tile) -> dict[str, InputFile]:
    """Return the files as they were listed: to ask for each one again would take most of the time of a plan."""
    return {role: _input_file(tile.files[role]) for role in (*tile.mosaics, CATALOGUE)}


def _shard_objects(input_uri: str, file: FileInfo) -> NumberedObjects:
    uri = file.uri
    try:
        shard = shard_file_objects(uri)
        if info(uri) != file:
            raise PlanError(f"{uri}: was replaced while the input was planned; plan again")
        _check_unique(shard.object_ids)
    except (OSError, ValueError) as error:
        if _below(input_uri, uri).startswith(f"{CANDIDATES}/"):
            hint = "take the tiles that it was scanned from; `lensscan report` and `lensscan vet` show its candidates"
            raise PlanError(f"{input_uri}: is a catalogue of candidates, not tiles or shards: {hint}") from error
        raise PlanError(f"{uri}: not a readable shard: {error}") from error
    return shard


def _check_unique(ids: Ids) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        examples = ", ".join(map(str, values[counts > 1][:MAX_EXAMPLES].tolist()))
        raise ValueError(f"{len(ids) - len(values)} repeated object id(s), such as {examples}")
