"""Sealing a plan: when every unit is committed, its candidates become one file and its totals one record, once."""

import io
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from infra.errors import LensscanError
from infra.provenance import canonical_json, sha256_bytes
from infra.storage import CreateOutcome, create_if_absent, join, read_bytes
from scanner.catalogue.columns import candidate_schema, network_names
from scanner.catalogue.ledger import pending
from scanner.catalogue.outcomes import candidate_mask, count_statuses
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import UnitFile, UnitFileError, read_unit
from scanner.catalogue.units import MAX_EXAMPLES, Frozen


class SealError(LensscanError):
    """A plan that cannot be sealed: unfinished, damaged, or sealed otherwise before."""


class Seal(Frozen):
    """The record of a finished plan, as stored."""

    plan_id: str
    night: str
    ensemble_name: str
    ensemble_sha256: str
    code_version: str
    n_units: int
    n_rows: int
    rows_by_status: dict[str, int]
    n_candidates: int
    candidates_path: str
    """Of the candidate file, below the catalogue's root."""
    candidates_sha256: str
    units: dict[str, str]
    """SHA-256 of every unit file."""


class SealReport(Seal):
    """A seal, with where its candidates lie as seen from here."""

    candidates_uri: str


def seal(plan: Plan, root_uri: str) -> SealReport:
    """Check every unit file against the plan, then write the candidate file and, last, the seal.

    Deterministic and safe to repeat: a sealed plan is left as it is, and a sealing cut short is finished by the next.

    Raises:
        SealError: units are missing or damaged, rows do not add up, or other content has the seal's name.
    """
    if (sealed := load_seal(root_uri, plan.plan_id)) is not None:
        return sealed
    if missing := pending(plan, root_uri):
        names = ", ".join(unit.unit_id for unit in missing[:MAX_EXAMPLES])
        raise SealError(f"plan {plan.plan_id[:12]}: {len(missing)} of {len(plan.units)} units not committed, such as {names}")
    statuses: Counter[str] = Counter()
    sha256s: dict[str, str] = {}
    parts: list[pa.Table] = []
    for unit in plan.units:
        try:
            found = read_unit(root_uri, unit, plan)
        except UnitFileError as error:
            raise SealError(str(error)) from error
        statuses.update(count_statuses(found.table))
        sha256s[unit.unit_id] = found.sha256
        parts.append(_candidates(found, plan))
    if statuses.total() != plan.n_rows:
        raise SealError(f"plan {plan.plan_id[:12]}: {plan.n_rows} rows planned, {statuses.total()} have an outcome")
    table = _merge(parts)
    path = f"candidates/night={plan.night}/{plan.plan_id[:16]}.parquet"
    record = Seal(
        plan_id=plan.plan_id,
        night=plan.night,
        ensemble_name=plan.ensemble_name,
        ensemble_sha256=plan.ensemble_sha256,
        code_version=plan.code_version,
        n_units=len(plan.units),
        n_rows=plan.n_rows,
        rows_by_status=dict(sorted(statuses.items())),
        n_candidates=table.num_rows,
        candidates_path=path,
        candidates_sha256=_write_candidates(table, join(root_uri, path), plan.plan_id),
        units=sha256s,
    )
    uri = seal_uri(root_uri, plan.plan_id)
    if create_if_absent(uri, canonical_json(record.model_dump()), plan.plan_id) is CreateOutcome.EXISTS:
        raise SealError(f"{uri}: another seal with other content was written meanwhile")
    return _report(record, root_uri)


def seal_uri(root_uri: str, plan_id: str) -> str:
    """Where the seal of a plan lies."""
    return join(root_uri, "seals", f"{plan_id}.json")


def load_seal(root_uri: str, plan_id: str) -> SealReport | None:
    """The seal of a plan, or None when it is not sealed.

    Raises:
        SealError: the record is damaged.
    """
    uri = seal_uri(root_uri, plan_id)
    try:
        record = Seal.model_validate_json(read_bytes(uri))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise SealError(f"{uri}: not a seal: {error.errors()[0]['msg']}") from error
    return _report(record, root_uri)


def _report(record: Seal, root_uri: str) -> SealReport:
    return SealReport(**record.model_dump(), candidates_uri=join(root_uri, record.candidates_path))


def _candidates(found: UnitFile, plan: Plan) -> pa.Table:
    table = found.table.filter(candidate_mask(found.table, plan.config.candidate_threshold))
    origin = [pa.array([value] * table.num_rows, pa.string()) for value in (plan.ensemble_name, plan.plan_id)]
    schema = candidate_schema(network_names(table.schema))
    return pa.Table.from_arrays([*table.columns, *origin], schema=schema)


def _merge(parts: list[pa.Table]) -> pa.Table:
    if any(not part.schema.equals(parts[0].schema) for part in parts):
        raise SealError("the unit files of a plan must have the same columns")
    merged = pa.concat_tables(parts).sort_by([("p_lens", "descending"), ("object_id", "ascending")])
    return merged.combine_chunks()


def _write_candidates(table: pa.Table, uri: str, attempt: str) -> str:
    """Create the file, or accept one of equal rows (another version of Parquet's writer may spell them otherwise)."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue()
    if create_if_absent(uri, data, attempt) is CreateOutcome.EXISTS:
        data = read_bytes(uri)
        try:
            same = pq.read_table(pa.BufferReader(data), page_checksum_verification=True).equals(table)
        except (pa.ArrowException, OSError):
            same = False
        if not same:
            raise SealError(f"{uri}: exists and does not hold the candidates of this plan")
    return sha256_bytes(data)
