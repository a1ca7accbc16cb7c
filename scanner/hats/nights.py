"""The rows of a night as a publication needs them: those that readers see, placed on the sky, with the code that made them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from infra.provenance import digest
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, StorageError
from scanner.catalogue.carried import published_columns
from scanner.catalogue.columns import CODE_COLUMNS, HEALPIX, KNOWN_COLUMNS, has_maps, network_names, published_schema
from scanner.catalogue.known_lenses import KnownLenses
from scanner.catalogue.night_file import open_night
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.paths import night_uri
from scanner.catalogue.seal import load_seal
from scanner.catalogue.shown import ShownPlan, shown_plans
from scanner.catalogue.spool import Spool
from scanner.catalogue.visible import read_columns, unit_files_of
from scanner.hats.errors import PublishError
from scanner.hats.leaves import conformed, leaf_schema, night_leaves
from scanner.hats.manifest import Leaf, NightEntry
from scanner.hats.sky import footprint_of, healpix_29

_FORMAT = 1
"""Version of the leaves. With a new one, every night is written again."""
_POSITION = ("ra", "dec")
_SEPARATION = "known_separation_arcsec"


def nights_of(catalogue_uri: str) -> dict[str, list[ShownPlan]]:
    """Return the plans that each night of a catalogue shows, newest first, by its label.

    Raises:
        JournalError: an entry is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    return {label: plans for label, plans in sorted(shown_plans(catalogue_uri).items()) if plans}


def source_of(plans: list[ShownPlan], known: KnownLenses | None = None) -> str:
    """Return a digest of all that the published rows of a night follow from: plans, format of the leaves, known lenses."""
    shown = [
        [plan.plan_id, plan.threshold, sorted(plan.units) if plan.units is not None else None, _purity(plan)] for plan in plans
    ]
    columns = published_schema((), maps=True)
    matched = known.table.model_dump() if known else None
    return digest([_FORMAT, [[field.name, str(field.type), _about(field)] for field in columns], shown, matched])


def write_night(
    catalogue_uri: str, label: str, plans: list[ShownPlan], folder: Path, known: KnownLenses | None = None
) -> tuple[NightEntry, list[Leaf]]:
    """Write the leaves of a night below a folder; memory holds the numbers of its rows, and the maps of one row group.

    Args:
        catalogue_uri: Root of the catalogue.
        label: Label of the night.
        plans: Plans that it shows.
        folder: Folder on this machine.
        known: Known lenses that its rows are matched with; without them, `KNOWN_COLUMNS` are empty.

    Raises:
        PublishError: the file of the night is damaged.
        VisibleError: the night shows other plans by now, or a unit file is damaged.
        StorageError: the store failed.
    """
    groups = _groups(catalogue_uri, label, plans)
    columns = next(groups).schema
    networks, maps, carried = network_names(columns), has_maps(columns), published_columns(columns)
    schema, code = leaf_schema(networks, maps=maps, carried=carried), _code_of(catalogue_uri, plans)
    n_shown = 0
    with Spool(str(folder)) as spool:
        spool.add(conformed(columns.empty_table(), schema))
        for group in groups:
            n_shown += group.num_rows
            spool.add(_placed(group, code, known, schema))
        n_rows, n_known = _counts(spool.light())
        leaves = night_leaves(spool, label, schema, folder)
    entry = NightEntry(
        source=source_of(plans, known),
        plans=tuple(plan.plan_id for plan in plans),
        networks=networks,
        has_maps=maps,
        carried=carried,
        n_rows=n_rows,
        n_without_position=n_shown - n_rows,
        n_known=n_known,
        footprint=_footprint(catalogue_uri, plans),
    )
    return entry, leaves


def _counts(rows: pa.Table) -> tuple[int, int]:
    """Return the number of rows, and of those with a known lens; the caller keeps no rows while leaves are written."""
    return rows.num_rows, rows.num_rows - rows[_SEPARATION].null_count


def _groups(catalogue_uri: str, label: str, plans: list[ShownPlan]) -> Iterator[pa.Table]:
    """Yield a table without rows, then the rows of a night a row group at a time; raises as `write_night`."""
    try:
        with open_night(catalogue_uri, label, plans) as file:
            yield file.schema_arrow.empty_table()
            yield from (file.read_row_group(i) for i in range(file.metadata.num_row_groups))
    except StorageError:
        raise
    except (pa.ArrowException, OSError) as error:
        where = night_uri(catalogue_uri, label)
        raise PublishError(f"{where}: cannot be read: {' '.join(str(error).split())[:200]}; see `lensscan verify`") from error


def _placed(rows: pa.Table, code: pa.Table, known: KnownLenses | None, schema: pa.Schema) -> pa.Table:
    """Return the rows that have a position, with their pixel, the code of their plan and the nearest known lens."""
    rows = rows.filter(pc.and_(*(rows[name].is_valid() for name in _POSITION)))
    places = tuple(rows[name].to_numpy() for name in _POSITION)
    rows = rows.append_column(HEALPIX.field(), pa.array(healpix_29(*places), HEALPIX.type))
    at = pc.index_in(rows["plan_id"], code["plan_id"])
    for column in CODE_COLUMNS:
        rows = rows.append_column(column.field(), code[column.name].take(at))
    if known:
        matches = known.columns_of(*places)
        for column in KNOWN_COLUMNS:
            rows = rows.append_column(column.field(), matches[column.name])
    return conformed(rows, schema)


def _code_of(catalogue_uri: str, plans: list[ShownPlan]) -> pa.Table:
    """Return `CODE_COLUMNS` of each plan, by its id."""
    seals = [seal for plan in plans if (seal := load_seal(catalogue_uri, plan.plan_id))]
    names = ["plan_id", *(column.name for column in CODE_COLUMNS)]
    return pa.table({name: pa.array([getattr(seal, name) for seal in seals], pa.string()) for name in names})


def _footprint(catalogue_uri: str, plans: list[ShownPlan]) -> str:
    """Return the area of the scored objects in the units that readers see, candidates or not."""
    files = [file for plan in plans for file in unit_files_of(catalogue_uri, plan)]
    tables = map_ahead(partial(_scored, names=_POSITION), files, N_AHEAD)
    return footprint_of(tuple(table[name].to_numpy() for name in _POSITION) for table in tables)


def _scored(file: FileInfo, names: tuple[str, ...]) -> pa.Table:
    table = read_columns(file.uri, lambda name: name in {*names, "status"})
    is_placed = pc.and_(*(table[name].is_valid() for name in names))
    return table.filter(pc.and_(is_placed, pc.equal(table["status"], SCORED)))


def _purity(plan: ShownPlan) -> object:
    return plan.purity.model_dump(mode="json") if plan.purity else None


def _about(field: pa.Field) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
