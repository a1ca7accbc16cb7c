"""Seal a plan: once every unit is committed, write its candidates to one file and its totals to one record."""

from collections import Counter

import pyarrow as pa
from pydantic import Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
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
from scanner.catalogue.paths import seal_uri, sealed_path, units_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import UnitFile, UnitFileError, read_unit, unit_files
from scanner.catalogue.units import MAX_EXAMPLES


class SealError(LensscanError):
    """A plan cannot be sealed because it is unfinished or damaged, or has a seal with other content."""


class Seal(Frozen):
    """The stored record of a finished plan."""

    plan_id: str
    night: str | None
    ensemble_name: str
    ensemble_sha256: str
    code_version: str
    n_units: int
    n_rows: int
    rows_by_status: dict[str, int]
    n_candidates: int
    candidates_path: str
    """Path of the candidate file below the catalogue's root."""
    candidates_sha256: str
    units: dict[str, str]
    """SHA-256 of every unit file, by unit id."""
    units_unscored: tuple[str, ...] = Field(default=(), exclude_if=lambda units: not units)
    """Units with rejected rows and no scored row; earlier versions of the program did not record them."""


class SealReport(Seal):
    """A seal with the URI of its candidate file under the given root."""

    candidates_uri: str


class Tally:
    """Content of a plan's seal, gathered unit by unit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.candidates = Candidates()
        self.statuses: Counter[str] = Counter()
        self.sha256s: dict[str, str] = {}
        """SHA-256 of each unit file added so far, by unit id."""
        self.unscored: set[str] = set()
        """Units added so far with rejected rows and no scored row."""

    def add(self, stored: UnitFile) -> None:
        """Add a unit to the counts.

        Raises:
            SealError: the unit has other columns than the first.
        """
        if not self.candidates.add(candidates_of(stored.table, self._plan)):
            raise SealError(f"unit {stored.footer.unit_id}: the unit files of a plan must have the same columns")
        self.statuses.update(count_statuses(stored.table))
        footer = stored.footer
        self.sha256s[footer.unit_id] = stored.sha256
        if footer.n_rejected and not footer.n_scored:
            self.unscored.add(footer.unit_id)

    def record(self, n_candidates: int, candidates_sha256: str) -> Seal:
        """Return the seal, once all units are added."""
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
            candidates_path=sealed_path(plan.plan_id),
            candidates_sha256=candidates_sha256,
            units=self.sha256s,
            units_unscored=tuple(sorted(self.unscored)),
        )


def seal(plan: Plan, root_uri: str) -> SealReport:
    """Check every unit file against the plan, then write the candidate file and, last, the seal.

    Sealing is deterministic and safe to repeat: the next call leaves a sealed plan as it is or finishes an interrupted seal.

    Raises:
        SealError: units are missing or damaged, row counts do not add up, or a file with other content has the seal's name.
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
            raise SealError(f"{uri}: disappeared while the plan was sealed")
        try:
            tally.add(read_unit(root_uri, unit, plan, data))
        except UnitFileError as error:
            raise SealError(str(error)) from error
    if tally.statuses.total() != plan.n_rows:
        raise SealError(f"plan {plan.plan_id[:12]}: {plan.n_rows} rows planned, {tally.statuses.total()} have an outcome")
    _sync_folders(units_uri(root_uri, plan.plan_id))
    sha256 = _write_candidates(tally.candidates, join(root_uri, sealed_path(plan.plan_id)), plan.plan_id)
    record = tally.record(tally.candidates.n_rows, sha256)
    uri = seal_uri(root_uri, plan.plan_id)
    if create_if_absent(uri, canonical_json(record.model_dump()), plan.plan_id) is CreateOutcome.EXISTS:
        raise SealError(f"{uri}: another seal with other content was written meanwhile")
    return _report(record, root_uri)


def load_seal(root_uri: str, plan_id: str) -> SealReport | None:
    """Return the seal of a plan, or None if the plan is not sealed.

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


def _sync_folders(folder_uri: str) -> None:
    """Sync the unit folders before sealing: a writer may have been killed between link() and fsync()."""
    if not is_s3(folder_uri):
        folder = local_path(folder_uri)
        try:
            for level in (folder, *folder.parents[:3]):
                sync_folder(level)
        except OSError as error:
            raise StorageError(f"{folder_uri}: cannot be synced to disk: {error.strerror or error}") from error


def _write_candidates(candidates: Candidates, uri: str, attempt: str) -> str:
    """Create the file, or accept one with equal rows, which another version of the Parquet writer may encode differently."""
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
