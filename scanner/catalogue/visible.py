"""Return the candidates that readers see: each object once in a night, whatever was scanned before."""

from collections.abc import Callable, Iterable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.errors import LensscanError
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, StorageError, exists, join, open_read
from scanner.catalogue.candidates import ORDER, with_origin
from scanner.catalogue.columns import CARRIED_PREFIX, PURITY_COLUMNS, candidate_schema, carried_fields, network_names
from scanner.catalogue.gate import waiting_plans
from scanner.catalogue.journal import Entry
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.outcomes import candidate_mask, skipped_mask
from scanner.catalogue.paths import UNDATED, sealed_path
from scanner.catalogue.plan import find_plans, load_plan
from scanner.catalogue.ranking import with_purity, with_rank
from scanner.catalogue.shown import ShownPlan, show_records, shown_plans
from scanner.catalogue.unitfile import unit_files

_PIXELS = frozenset(column.name for column in MAP_COLUMNS)


class VisibleError(LensscanError):
    """There are no candidates to read, or a file of the catalogue cannot be read."""


def visible_candidates(
    root_uri: str,
    *,
    night: str | None = None,
    plan: str | None = None,
    all_plans: bool = False,
    min_p_lens: float | None = None,
    maps: bool = False,
) -> pa.Table:
    """Return the candidates of a catalogue, best first, each object once in each night.

    Args:
        root_uri: The catalogue's root.
        night: Night of the candidates, YYYY-MM-DD, or `undated` for those of scans without a night; None for all.
        plan: First characters of a plan id: return the candidates of this plan alone, shown or not.
        all_plans: Return the candidates of every plan, so that an object comes once for each plan that lists it.
        min_p_lens: Smallest `p_lens`. Below the threshold of a plan's candidates, rows come from its unit files, and some may
            have a `p_lens` in bfloat16, as their column `precision` says. None stands for the threshold that the plan shows.
        maps: Return the pixels of the maps too, in lists of any size.

    Raises:
        VisibleError: no scan is complete, or a file cannot be read.
        PlanError: no plan, or more than one, begins with `plan`, or a plan cannot be read.
        StorageError: the store failed.
    """
    sources = selected_plans(root_uri, night=night, plan=plan, all_plans=all_plans)
    table = rows_of(root_uri, sources, min_p_lens, maps=maps)
    wanted = None if night is None else pc.equal(table["night"], "" if night == UNDATED else night)
    return table if wanted is None else table.filter(wanted)


def selected_plans(
    root_uri: str, *, night: str | None = None, plan: str | None = None, all_plans: bool = False
) -> list[ShownPlan]:
    """Return the plans whose rows to read: those that the nights show, or one plan, or every plan.

    Raises:
        VisibleError: no scan is complete.
        PlanError: no plan, or more than one, begins with `plan`, or a plan cannot be read.
        JournalError: a record of a shown plan is damaged.
    """
    if plan is not None or all_plans:
        last = {record.plan_id: record for records in show_records(root_uri).values() for record in reversed(records)}
        return [_alone(root_uri, plan_id, last.get(plan_id)) for plan_id in find_plans(root_uri, plan)]
    return [entry for plans in plans_by_night(root_uri, night).values() for entry in plans]


def plans_by_night(root_uri: str, night: str | None = None) -> dict[str, list[ShownPlan]]:
    """Return the plans that the nights show, newest first, by the label of each night that shows some.

    Raises:
        VisibleError: no scan is complete.
        JournalError: a record of a shown plan is damaged.
    """
    shown = {label: plans for label, plans in shown_plans(root_uri, night or "").items() if plans}
    if not shown:
        raise VisibleError(f"{root_uri}: {_why_none(root_uri, night)}")
    return shown


def _why_none(root_uri: str, night: str | None) -> str:
    """Return the reason why readers see no plan of a night, or of any night."""
    if not exists(root_uri):
        return "does not exist"
    if waiting := waiting_plans(root_uri, night or ""):
        return f"night {next(iter(waiting))} waits for its quality gate: `lensscan qa` judges it, `lensscan promote` shows it"
    of_night = f" of night {night}" if night else ""
    return (
        f"no complete scan{of_night}; is it the folder or prefix given to `lensscan scan --out`? "
        "`lensscan status` shows the state of each plan, and `lensscan query --all-plans` what is there so far"
    )


def rows_of(root_uri: str, plans: Iterable[ShownPlan], min_p_lens: float | None = None, *, maps: bool = False) -> pa.Table:
    """Return the visible candidates of the plans in one table, best first; arguments as in `visible_candidates`."""
    found = {shown: _rows(root_uri, shown, min_p_lens, maps=maps) for shown in plans}
    parts = [with_purity(table, shown.purity) for shown, table in _shown_once(root_uri, found).items()]
    table = together(parts or [with_purity(candidate_schema(()).empty_table(), None)])
    return with_rank(table.take(pc.sort_indices(table.select([name for name, _ in ORDER]), sort_keys=ORDER)))


def unit_files_of(root_uri: str, shown: ShownPlan) -> list[FileInfo]:
    """Return the unit files of a plan that readers see."""
    files = unit_files(root_uri, shown.plan_id)
    return [file for name, file in files.items() if shown.units is None or name in shown.units]


def _alone(root_uri: str, plan_id: str, last: Entry | None) -> ShownPlan:
    """Return a plan with all its rows; its threshold and purity are those of its last record, if it was ever shown."""
    plan = load_plan(root_uri, plan_id)
    if last is None:
        return ShownPlan(plan_id, plan.config.candidate_threshold)
    return ShownPlan(plan_id, last.threshold, last.number, purity=last.purity)


def _shown_once(root_uri: str, found: dict[ShownPlan, pa.Table]) -> dict[ShownPlan, pa.Table]:
    """Leave out of the rows of each plan the objects that newer plans looked at; the ids of each newer plan are read once."""
    ids = [table["object_id"] for shown, table in found.items() if shown.newer and table.num_rows]
    asked = pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.int64())
    newer = {plan for shown, table in found.items() if table.num_rows for plan in shown.newer}
    held = {plan: _ids_among(asked, root_uri, plan) for plan in newer}
    once = {}
    for shown, table in found.items():
        hidden = pa.chunked_array([chunk for plan in shown.newer if plan in held for chunk in held[plan].chunks], pa.int64())
        once[shown] = table.filter(pc.invert(pc.is_in(table["object_id"], hidden))) if len(hidden) else table
    return once


def _ids_among(asked: pa.ChunkedArray, root_uri: str, shown: ShownPlan) -> pa.ChunkedArray:
    """Return those of the asked ids that a plan looked at in the units that readers see; memory holds a few units."""
    files = map_ahead(_ids_in, unit_files_of(root_uri, shown), N_AHEAD)
    found = [ids.filter(pc.is_in(ids, asked)) for ids in files]
    return pa.chunked_array([chunk for ids in found for chunk in ids.chunks], pa.int64())


def _rows(root_uri: str, shown: ShownPlan, min_p_lens: float | None, *, maps: bool) -> pa.Table:
    least = shown.threshold if min_p_lens is None else min_p_lens
    table = _sealed_rows(root_uri, shown, least, maps=maps)
    if shown.units is not None:
        table = table.filter(pc.is_in(table["tile"], pa.array(sorted(shown.units), pa.string())))
    return table


def _sealed_rows(root_uri: str, shown: ShownPlan, least: float, *, maps: bool) -> pa.Table:
    """Return a plan's rows with at least this `p_lens`, from its candidate file or, where that holds too few, its units."""
    if least >= shown.threshold or least >= load_plan(root_uri, shown.plan_id).config.candidate_threshold:
        try:
            return _candidates(join(root_uri, sealed_path(shown.plan_id)), least, maps=maps)
        except FileNotFoundError:
            # The plan is not sealed.
            pass
    plan, files = load_plan(root_uri, shown.plan_id), list(unit_files(root_uri, shown.plan_id).values())
    tables = map_ahead(partial(_candidates_in, least=least, maps=maps), files, N_AHEAD)
    found = [with_origin(table, plan) for table in tables]
    return together(found or [candidate_schema(()).empty_table()])


def _candidates_in(file: FileInfo, least: float, *, maps: bool) -> pa.Table:
    return _candidates(file.uri, least, maps=maps)


def _candidates(uri: str, least: float, *, maps: bool) -> pa.Table:
    """Return the rows of a file with at least this `p_lens`; raises as `read_columns`."""
    table = read_columns(uri, lambda name: maps or name not in _PIXELS)
    return with_maps_as("large", table.filter(candidate_mask(table, least)))


def _ids_in(file: FileInfo) -> pa.ChunkedArray:
    """Return the ids of a unit that the scan looked at: it says nothing about the others, so these hide no other row."""
    table = read_columns(file.uri, lambda name: name in {"object_id", "status"})
    return table["object_id"].filter(pc.invert(skipped_mask(table)))


def read_columns(uri: str, is_wanted: Callable[[str], bool]) -> pa.Table:
    """Return some columns of a Parquet file.

    Raises:
        FileNotFoundError: there is no such file.
        VisibleError: the file is damaged.
        StorageError: the store failed.
    """
    try:
        with open_read(uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            return file.read([name for name in file.schema_arrow.names if is_wanted(name)]).replace_schema_metadata(None)
    except (FileNotFoundError, StorageError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VisibleError(f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def together(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all tables; a column that only some tables have is null in the rows of the others."""
    try:
        joined = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        # A survey has changed a column from numbers to texts.
        joined = pa.concat_tables([_with_carried_texts(table) for table in tables], promote_options="default")
    carried = carried_fields(joined.schema)
    schema = candidate_schema(network_names(joined.schema), maps=True, carried=carried, embeddings=True)
    order = [*schema.names, *(column.name for column in PURITY_COLUMNS)]
    return joined.select([name for name in order if name in joined.column_names])


def _with_carried_texts(table: pa.Table) -> pa.Table:
    fields = [field.with_type(pa.string()) if field.name.startswith(CARRIED_PREFIX) else field for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))
