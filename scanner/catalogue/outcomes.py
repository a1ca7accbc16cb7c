"""Check the outcome of each row: `scored`, or `rejected:` or `skipped:` with a code of the closed lists, and never a NaN."""

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from scanner.catalogue.columns import network_names
from scanner.vocabulary.network_columns import KIND_P, P_PREFIX, network_column_name
from scanner.vocabulary.rejections import RejectCode
from scanner.vocabulary.skips import SKIPPED_PREFIX, SkipCode
from scanner.vocabulary.stages import COMMITTEE, FIRST, NO_STAGE

SCORED = "scored"
SKIPPED = SkipCode.SELECTION.status
STATUSES = frozenset({SCORED, *(f"rejected:{code}" for code in RejectCode), *(code.status for code in SkipCode)})
RETRIABLE_STATUSES = frozenset(f"rejected:{code}" for code in RejectCode if code.retriable)
_ROUNDING = 1e-6
"""More than the rounding errors of a sum of three float32 numbers in 0-1."""


class OutcomeError(LensscanError):
    """A table has a row that is not properly scored, rejected or skipped."""


class TransientError(LensscanError):
    """Rows failed because of the infrastructure, so another try may succeed."""


def check_outcomes(table: pa.Table) -> None:
    """Check every row of a table with `score_fields`.

    A failure of the infrastructure is not a property of a row, so a table with a retriable status is refused as well.

    Raises:
        TransientError: a status is retriable.
        OutcomeError: a status is unknown; a scored row lacks `p_lens` or the probabilities of its stage, or a rejected
            row has one;
            a probability lies outside 0-1; any column has a NaN or infinite number; the probabilities of the kinds of lens do
            not sum to 1, or contradict `p_compound`.
    """
    statuses = set(table["status"].unique().to_pylist())
    if unknown := statuses - STATUSES:
        raise OutcomeError(f"status must be one of {sorted(STATUSES)}, got {sorted(map(str, unknown))}")
    if statuses & RETRIABLE_STATUSES:
        raise TransientError(_why_transient(table))
    for field in table.schema:
        if pa.types.is_floating(field.type) and not _all(pc.is_finite(table[field.name])):
            raise OutcomeError(f"{field.name}: must be finite or null, has NaN or infinite values")
    scored = pc.equal(table["status"], SCORED)
    _check_stages(table, scored)
    for name in (name for name in table.schema.names if name.startswith(P_PREFIX)):
        _check_probabilities(name, table[name], scored, required=name == "p_lens")
    _check_kinds(table)
    _check_probabilities("disagreement", table["disagreement"], scored, required=False)
    _check_texts(table, scored)


def _check_stages(table: pa.Table, scored: pa.ChunkedArray) -> None:
    """Check that every network scored a row, or that a first stage excluded it and the committee left no trace."""
    if unknown := set(table["stage"].unique().to_pylist()) - {NO_STAGE, FIRST, COMMITTEE}:
        raise OutcomeError(f"stage: must be {NO_STAGE}, {FIRST} or {COMMITTEE}, got {sorted(map(str, unknown))}")
    if not _all(pc.equal(pc.not_equal(table["stage"], NO_STAGE), scored)):
        raise OutcomeError(f"stage: must be {NO_STAGE} in rejected rows, and only there")
    columns = [network_column_name(name) for name in network_names(table.schema)]
    if not columns:
        raise OutcomeError("a table needs the probabilities of at least one network")
    valid = [table[name].is_valid() for name in columns]
    by_some, by_all = reduce(pc.or_, valid), reduce(pc.and_, valid)
    if not _all(pc.equal(by_some, scored)):
        raise OutcomeError(f"{', '.join(columns)}: one of them at least must not be null in scored rows, and none in others")
    if not _all(pc.or_(by_all, pc.not_equal(table["stage"], COMMITTEE))):
        raise OutcomeError(f"{', '.join(columns)}: must not be null in rows of stage {COMMITTEE}")
    if not _all(pc.equal(table["disagreement"].is_valid(), by_all)):
        raise OutcomeError("disagreement: must be null where a network gave no probability, and only there")


def _check_kinds(table: pa.Table) -> None:
    single, arc, ring = (table[name] for name in KIND_P)
    compound = pc.add(arc, ring)
    if not _are_close(pc.add(single, compound), 1.0):
        raise OutcomeError(f"{', '.join(KIND_P)}: must sum to 1")
    if not _are_close(pc.multiply(table["p_lens"], compound), table["p_compound"]):
        raise OutcomeError(f"p_compound: must be p_lens times the sum of {KIND_P[1]} and {KIND_P[2]}")
    for name in KIND_P:
        if not _all(pc.equal(table[name].is_valid(), table["p_compound"].is_valid())):
            raise OutcomeError(f"{name}: must be null where p_compound is null, and only there")


def _why_transient(table: pa.Table) -> str:
    failed = table.filter(pc.is_in(table["status"], pa.array(RETRIABLE_STATUSES)))
    first = failed.slice(0, 1).to_pylist()[0]
    code = first["status"].removeprefix("rejected:")
    return f"{failed.num_rows} of {table.num_rows} rows cannot be read now, the first: {code}: {first['detail']}"


def _check_texts(table: pa.Table, scored: pa.ChunkedArray) -> None:
    for name in ("status", "detail", "subclass", "precision"):
        if table[name].null_count:
            raise OutcomeError(f"{name}: must be an empty string, not null, in rows without a value")
    for name in ("subclass", "precision"):
        if not _all(pc.or_(scored, pc.equal(table[name], ""))):
            raise OutcomeError(f"{name}: must be empty in rejected rows")


def count_statuses(table: pa.Table) -> dict[str, int]:
    """Return the number of rows by status, sorted by status."""
    counts = {entry["values"]: entry["counts"] for entry in table["status"].value_counts().to_pylist()}
    return dict(sorted(counts.items()))


def candidate_mask(table: pa.Table, threshold: float) -> pa.ChunkedArray:
    """Return a mask `[n]`: true where `p_lens` is at or above the threshold, false in rejected rows."""
    return pc.fill_null(pc.greater_equal(pc.cast(table["p_lens"], pa.float64()), threshold), False)  # noqa: FBT003


def skipped_mask(table: pa.Table) -> pa.ChunkedArray:
    """Return a mask `[n]`: true where the scan did not look at the object."""
    return pc.starts_with(table["status"], SKIPPED_PREFIX)


def _check_probabilities(name: str, values: pa.ChunkedArray, scored: pa.ChunkedArray, *, required: bool) -> None:
    if required and not _all(pc.or_(pc.invert(scored), values.is_valid())):
        raise OutcomeError(f"{name}: must not be null in scored rows")
    if not _all(pc.or_(scored, values.is_null())):
        raise OutcomeError(f"{name}: must be null in rejected rows")
    if not _all(pc.and_(pc.greater_equal(values, 0.0), pc.less_equal(values, 1.0))):
        raise OutcomeError(f"{name}: a probability must lie in 0-1, got {pc.min_max(values)}")


def _are_close(values: pa.ChunkedArray, expected: pa.ChunkedArray | float) -> bool:
    return _all(pc.less_equal(pc.abs(pc.subtract(values, expected)), _ROUNDING))


def _all(mask: pa.ChunkedArray) -> bool:
    """Return whether no entry is false; nulls and an empty mask count as true."""
    return bool(pc.all(mask, min_count=0).as_py() is not False)
