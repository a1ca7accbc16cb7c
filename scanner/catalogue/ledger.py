"""Which units of a plan are done, decided from storage alone, and the one way to make another one done."""

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from infra.provenance import sha256_bytes
from infra.store.storage import CreateOutcome, create_if_absent
from scanner.catalogue.columns import MAP_COLUMNS, has_maps, network_names, unit_schema
from scanner.catalogue.maps import MapError, check_maps
from scanner.catalogue.outcomes import OutcomeError, candidate_mask, check_outcomes
from scanner.catalogue.plan import Plan, Unit
from scanner.catalogue.unitfile import (
    Footer,
    UnitFileError,
    decode_unit,
    encode_unit,
    make_footer,
    read_unit,
    unit_files,
    unit_uri,
)


class PublishError(LensscanError):
    """A table that is not the complete and correct result of its unit; nothing was written."""


class ConflictError(LensscanError):
    """A unit's name is taken by a file that is not its result; it was left alone."""


class Outcome(StrEnum):
    """How a publication ended; the unit is committed in every case."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already_committed"
    LOST_RACE = "lost_race"
    """Another attempt was first; this one's result was dropped."""


@dataclass(frozen=True)
class Receipt:
    """What lies in storage for a unit; `attempt` is the one whose file it is. A log entry: the truth is the listing."""

    unit_id: str
    attempt: str
    outcome: Outcome
    n_rows: int
    n_scored: int
    n_rejected: int
    n_candidates: int
    sha256: str


def pending(plan: Plan, root_uri: str) -> list[Unit]:
    """The units that storage does not hold, in the plan's order: always a fresh listing."""
    there = unit_files(root_uri, plan.plan_id)
    return [unit for unit in plan.units if unit.unit_id not in there]


def committed(unit: Unit, plan: Plan, root_uri: str) -> Receipt | None:
    """The receipt of a unit that storage holds, or None.

    Raises:
        ConflictError: the name is taken by something that is not this unit's result.
    """
    try:
        return _receipt_of_existing(unit, plan, root_uri, Outcome.ALREADY_COMMITTED)
    except FileNotFoundError:
        return None


def publish(table: pa.Table, unit: Unit, plan: Plan, root_uri: str, attempt: str) -> Receipt:
    """Commit a unit's rows: all of them, once, unless another attempt already did.

    Rows are put in a fixed order: candidates by falling `p_lens`, of equals those with maps first, then the rest by
    `object_id`. Rows that an earlier unit owns (`unit.owned_elsewhere`) are left out.

    Args:
        table: One row per row of the unit's files, of `unit_schema`.
        unit: The unit of `plan` that was scanned.
        plan: A frozen plan.
        root_uri: The catalogue's root.
        attempt: Id of this try, unique to it.

    Raises:
        PublishError: the rows are not exactly the planned ones, or one of them has no proper outcome.
        TransientError: rows failed for a reason that may pass; scan the unit again.
        ConflictError: the name is taken by something that is not this unit's result.
        StorageError: it is unknown whether the file was written; the unit is pending or committed, and safe to try again.
    """
    done = committed(unit, plan, root_uri)
    if done is not None:
        return done
    rows = _in_order(_owned(table, unit), plan.config.candidate_threshold)
    _check(rows, unit, plan)
    footer = make_footer(rows, unit, plan, attempt)
    data = encode_unit(rows, footer)
    uri = unit_uri(root_uri, plan.plan_id, unit.unit_id)
    if not decode_unit(data, unit, plan, uri).table.equals(rows):
        raise PublishError(f"unit {unit.unit_id}: Parquet did not give back the rows it was given")
    if create_if_absent(uri, data, attempt) is CreateOutcome.EXISTS:
        return _receipt_of_existing(unit, plan, root_uri, Outcome.LOST_RACE)
    return _receipt(footer, Outcome.COMMITTED, sha256_bytes(data))


def _receipt_of_existing(unit: Unit, plan: Plan, root_uri: str, outcome: Outcome) -> Receipt:
    try:
        found = read_unit(root_uri, unit, plan)
    except UnitFileError as error:
        raise ConflictError(str(error)) from error
    return _receipt(found.footer, outcome, found.sha256)


def _receipt(footer: Footer, outcome: Outcome, sha256: str) -> Receipt:
    return Receipt(
        footer.unit_id,
        footer.attempt,
        outcome,
        footer.n_rows,
        footer.n_scored,
        footer.n_rejected,
        footer.n_candidates,
        sha256,
    )


def _owned(table: pa.Table, unit: Unit) -> pa.Table:
    expected = unit_schema(network_names(table.schema), maps=has_maps(table.schema))
    if not table.schema.equals(expected):
        raise PublishError(f"unit {unit.unit_id}: columns must be {expected.names}, got {table.schema.names} or other types")
    elsewhere = pa.array(unit.owned_elsewhere, pa.int64())
    return table.filter(pc.invert(pc.is_in(table["object_id"], elsewhere))).cast(expected)


def _in_order(table: pa.Table, threshold: float) -> pa.Table:
    mask = candidate_mask(table, threshold)
    candidates = table.filter(mask)
    ranks = candidates.select(["p_lens", "object_id"])
    mapped = candidates[MAP_COLUMNS[0].name].is_valid() if has_maps(table.schema) else pa.repeat(pa.scalar(0), len(ranks))
    keys = [("p_lens", "descending"), ("is_mapped", "descending"), ("object_id", "ascending")]
    first = candidates.take(pc.sort_indices(ranks.append_column("is_mapped", pc.cast(mapped, pa.int8())), sort_keys=keys))
    return pa.concat_tables([first, table.filter(pc.invert(mask)).sort_by("object_id")]).combine_chunks()


def _check(rows: pa.Table, unit: Unit, plan: Plan) -> None:
    if plan.unit(unit.unit_id) != unit:
        raise PublishError(f"unit {unit.unit_id}: not a unit of plan {plan.plan_id[:12]}")
    footer = make_footer(rows, unit, plan, "")
    if footer.n_rows != unit.n_rows:
        raise PublishError(f"unit {unit.unit_id}: must have the {unit.n_rows} planned rows, got {footer.n_rows}")
    if footer.id_digest != unit.id_digest:
        raise PublishError(f"unit {unit.unit_id}: its object ids are not the planned ones")
    if set(rows["night"].unique().to_pylist()) - {plan.night}:
        raise PublishError(f"unit {unit.unit_id}: night must be {plan.night} in every row")
    try:
        check_outcomes(rows)
        check_maps(rows, plan.config)
    except (OutcomeError, MapError) as error:
        raise PublishError(f"unit {unit.unit_id}: {error}") from error
