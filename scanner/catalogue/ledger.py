"""List the committed units of a plan from storage alone, and commit further units: this is the only way to do so."""

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from infra.steps import Step, reached
from infra.store.storage import CreateOutcome, create_if_absent
from scanner.catalogue.columns import has_maps, unit_schema_like
from scanner.catalogue.embeddings import EmbeddingError, check_embeddings
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.maps import MapError, check_maps
from scanner.catalogue.outcomes import OutcomeError, candidate_mask, check_outcomes, count_statuses
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.skipped import SelectionError, check_source_selection
from scanner.catalogue.unitfile import (
    Footer,
    UnitFile,
    UnitFileError,
    encode_unit,
    make_footer,
    read_back,
    read_unit,
    unit_files,
)
from scanner.catalogue.units import Unit


class PublishError(LensscanError):
    """A table is not the complete and correct result of its unit; nothing was written."""


class ConflictError(LensscanError):
    """Another file has the unit's name and is not the unit's result; that file was not changed."""


class Outcome(StrEnum):
    """The way in which a unit came to be committed."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already_committed"
    """The file was there before the unit was scanned."""
    LOST_RACE = "lost_race"
    """Another attempt committed first, so the result of this one was dropped."""


@dataclass(frozen=True)
class Receipt:
    """Log entry about the stored file of a unit, written by `attempt`; only a listing shows what is committed."""

    unit_id: str
    attempt: str
    outcome: Outcome
    n_rows: int
    n_scored: int
    n_rejected: int
    n_candidates: int
    sha256: str
    rows_by_status: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds that this attempt spent in each stage; empty if another attempt committed the unit."""
    n_store_retries: int = 0
    """Requests that the worker sent to the store again since its last receipt."""


def pending(plan: Plan, root_uri: str) -> list[Unit]:
    """Return the units that storage does not hold, in the plan's order, from a fresh listing."""
    there = unit_files(root_uri, plan.plan_id)
    return [unit for unit in plan.units if unit.unit_id not in there]


def committed(unit: Unit, plan: Plan, root_uri: str) -> Receipt | None:
    """Return the receipt of a committed unit, or None.

    Raises:
        ConflictError: the file with the unit's name is not the unit's result.
    """
    reached(Step.LOOK, unit.unit_id)
    try:
        return _receipt_of_existing(unit, plan, root_uri, Outcome.ALREADY_COMMITTED)
    except FileNotFoundError:
        return None


def publish(table: pa.Table, unit: Unit, plan: Plan, root_uri: str, attempt: str) -> Receipt:
    """Commit all rows of a unit once, unless another attempt has already done so.

    Only the creation of the file asks the store, so a table that cannot be committed is refused even if another attempt has
    committed the unit; the next try finds that file. Rows are sorted: candidates by falling `p_lens`, with maps first among
    equals, then all other rows by `object_id`.

    Args:
        table: One row of `unit_schema` per row that the unit owns.
        unit: The unit of `plan` that was scanned.
        plan: A frozen plan.
        root_uri: The catalogue's root.
        attempt: Unique id of this try.

    Raises:
        PublishError: the rows are not exactly the planned ones, or a row has no proper outcome.
        TransientError: rows failed for a reason that may pass; scan the unit again.
        ConflictError: the file with the unit's name is not the unit's result.
        StorageError: the file may or may not have been written; the unit is pending or committed, and safe to try again.
    """
    _check_columns(table, unit)
    rows = _in_order(table, plan.config.candidate_threshold)
    footer = make_footer(rows, unit, plan, attempt)
    _check(rows, footer, unit, plan)
    data = encode_unit(rows, footer)
    reached(Step.ENCODED, unit.unit_id)
    uri = unit_uri(root_uri, plan.plan_id, unit.unit_id)
    try:
        stored = read_back(data, uri)
    except UnitFileError as error:
        raise PublishError(f"unit {unit.unit_id}: the encoded rows cannot be read back: {error}") from error
    if not stored.table.equals(rows) or stored.footer != footer:
        raise PublishError(f"unit {unit.unit_id}: the rows read back from Parquet differ from the rows written")
    reached(Step.CHECKED, unit.unit_id)
    if create_if_absent(uri, data, attempt) is CreateOutcome.EXISTS:
        return _receipt_of_existing(unit, plan, root_uri, Outcome.LOST_RACE)
    return _receipt(stored, Outcome.COMMITTED)


def _receipt_of_existing(unit: Unit, plan: Plan, root_uri: str, outcome: Outcome) -> Receipt:
    try:
        stored = read_unit(root_uri, unit, plan)
    except UnitFileError as error:
        raise ConflictError(str(error)) from error
    return _receipt(stored, outcome)


def _receipt(stored: UnitFile, outcome: Outcome) -> Receipt:
    footer = stored.footer
    return Receipt(
        footer.unit_id,
        footer.attempt,
        outcome,
        footer.n_rows,
        footer.n_scored,
        footer.n_rejected,
        footer.n_candidates,
        stored.sha256,
        count_statuses(stored.table),
    )


def _check_columns(table: pa.Table, unit: Unit) -> None:
    expected = unit_schema_like(table.schema)
    if not table.schema.equals(expected):
        raise PublishError(f"unit {unit.unit_id}: columns must be {expected.names}, got {table.schema.names} or other types")


def _in_order(table: pa.Table, threshold: float) -> pa.Table:
    mask = candidate_mask(table, threshold)
    candidates = table.filter(mask)
    ranks = candidates.select(["p_lens", "object_id"])
    mapped = candidates[MAP_COLUMNS[0].name].is_valid() if has_maps(table.schema) else pa.repeat(pa.scalar(0), len(ranks))
    keys = [("p_lens", "descending"), ("is_mapped", "descending"), ("object_id", "ascending")]
    first = candidates.take(pc.sort_indices(ranks.append_column("is_mapped", pc.cast(mapped, pa.int8())), sort_keys=keys))
    return pa.concat_tables([first, table.filter(pc.invert(mask)).sort_by("object_id")]).combine_chunks()


def _check(rows: pa.Table, footer: Footer, unit: Unit, plan: Plan) -> None:
    if plan.unit(unit.unit_id) != unit:
        raise PublishError(f"unit {unit.unit_id}: not a unit of plan {plan.plan_id[:12]}")
    if footer.n_rows != unit.n_rows:
        raise PublishError(f"unit {unit.unit_id}: must have the {unit.n_rows} planned rows, got {footer.n_rows}")
    if footer.id_digest != unit.id_digest:
        raise PublishError(f"unit {unit.unit_id}: its object ids are not the planned ones")
    if set(rows["night"].unique().to_pylist()) - {plan.night or ""}:
        raise PublishError(f"unit {unit.unit_id}: night must be {plan.night or 'empty'} in every row")
    try:
        check_outcomes(rows)
        check_maps(rows, plan.config)
        check_embeddings(rows, plan.config)
        check_source_selection(rows, unit, plan)
    except (OutcomeError, MapError, EmbeddingError, SelectionError) as error:
        raise PublishError(f"unit {unit.unit_id}: {error}") from error
