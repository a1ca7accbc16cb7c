"""Sealing a plan: when every unit is committed, its candidates become one file and its totals one record, once."""

from collections import Counter

import pyarrow as pa
from pydantic import ValidationError

from infra.errors import LensscanError
from infra.provenance import canonical_json, sha256_bytes
from infra.store.posix import sync_folder
from infra.store.storage import CreateOutcome, StorageError, create_if_absent, is_s3, join, local_path, read_bytes, read_many
from scanner.catalogue.candidates import (
    Candidates,
    are_equal,
    candidates_of,
    encode_candidates,
    groups_of,
    open_candidates,
)
from scanner.catalogue.outcomes import count_statuses
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import UnitFile, UnitFileError, decode_unit, unit_files, units_uri
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


class Tally:
    """What the seal of a plan says, gathered unit by unit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.candidates = Candidates()
        self.statuses: Counter[str] = Counter()
        self.sha256s: dict[str, str] = {}
        """Of the unit files so far, by unit."""

    def add(self, found: UnitFile) -> None:
        """Count a unit in.

        Raises:
            SealError: it has other columns than the first.
        """
        if not self.candidates.add(candidates_of(found.table, self._plan)):
            raise SealError(f"unit {found.footer.unit_id}: the unit files of a plan must have the same columns")
        self.statuses.update(count_statuses(found.table))
        self.sha256s[found.footer.unit_id] = found.sha256

    def record(self, n_candidates: int, candidates_sha256: str) -> Seal:
        """The seal, when all units are in."""
        plan = self._plan
        return Seal(
            plan_id=plan.plan_id,
            night=plan.night,
            ensemble_name=plan.ensemble_name,
            ensemble_sha256=plan.ensemble_sha256,
            code_version=plan.code_version,
            n_units=len(plan.units),
            n_rows=plan.n_rows,
            rows_by_status=dict(sorted(self.statuses.items())),
            n_candidates=n_candidates,
            candidates_path=candidates_path(plan),
            candidates_sha256=candidates_sha256,
            units=self.sha256s,
        )


def seal(plan: Plan, root_uri: str) -> SealReport:
    """Check every unit file against the plan, then write the candidate file and, last, the seal.

    Deterministic and safe to repeat: a sealed plan is left as it is, and a sealing cut short is finished by the next.

    Raises:
        SealError: units are missing or damaged, rows do not add up, or other content has the seal's name.
        StorageError: the store failed; seal again.
    """
    if (sealed := load_seal(root_uri, plan.plan_id)) is not None:
        return sealed
    tally = Tally(plan)
    files = unit_files(root_uri, plan.plan_id)
    if missing := [unit.unit_id for unit in plan.units if unit.unit_id not in files]:
        names = ", ".join(missing[:MAX_EXAMPLES])
        raise SealError(f"plan {plan.plan_id[:12]}: {len(missing)} of {len(plan.units)} units not committed, such as {names}")
    for unit, data in zip(plan.units, read_many(files[unit.unit_id] for unit in plan.units), strict=True):
        uri = files[unit.unit_id].uri
        if data is None:
            raise SealError(f"{uri}: went away while the plan was sealed")
        try:
            tally.add(decode_unit(data, unit, plan, uri))
        except UnitFileError as error:
            raise SealError(str(error)) from error
    if tally.statuses.total() != plan.n_rows:
        raise SealError(f"plan {plan.plan_id[:12]}: {plan.n_rows} rows planned, {tally.statuses.total()} have an outcome")
    _settle(units_uri(root_uri, plan.plan_id))
    sha256 = _write_candidates(tally.candidates, join(root_uri, candidates_path(plan)), plan.plan_id)
    record = tally.record(tally.candidates.n_rows, sha256)
    uri = seal_uri(root_uri, plan.plan_id)
    if create_if_absent(uri, canonical_json(record.model_dump()), plan.plan_id) is CreateOutcome.EXISTS:
        raise SealError(f"{uri}: another seal with other content was written meanwhile")
    return _report(record, root_uri)


def seal_uri(root_uri: str, plan_id: str) -> str:
    """Where the seal of a plan lies."""
    return join(root_uri, "seals", f"{plan_id}.json")


def candidates_path(plan: Plan) -> str:
    """Of the candidate file of a plan, below the catalogue's root."""
    return f"candidates/night={plan.night}/{plan.plan_id[:16]}.parquet"


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


def _settle(folder_uri: str) -> None:
    """A seal must outlive no unit: who linked one may have been killed before its name was safe from a power cut."""
    if not is_s3(folder_uri):
        folder = local_path(folder_uri)
        try:
            for level in (folder, *folder.parents[:2]):
                sync_folder(level)
        except OSError as error:
            raise StorageError(f"{folder_uri}: cannot be made safe from a power cut: {error.strerror or error}") from error


def _write_candidates(candidates: Candidates, uri: str, attempt: str) -> str:
    """Create the file, or accept one of equal rows (another version of Parquet's writer may spell them otherwise)."""
    data = encode_candidates(candidates.groups())
    if create_if_absent(uri, data, attempt) is CreateOutcome.EXISTS:
        data = read_bytes(uri)
        try:
            same = are_equal(groups_of(open_candidates(data)), candidates.groups())
        except (pa.ArrowException, OSError):
            same = False
        if not same:
            raise SealError(f"{uri}: exists and does not hold the candidates of this plan")
    return sha256_bytes(data)
