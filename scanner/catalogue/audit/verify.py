"""Verify that the files of a plan are as they were written, and name every file that is not."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa
import pyarrow.parquet as pq

from infra.progress import Progress, no_progress
from infra.provenance import sha256_bytes
from infra.store.storage import join, list_files, read_bytes, read_many
from scanner.catalogue.audit.no_files import no_files
from scanner.catalogue.audit.quarantine import QuarantineIndex
from scanner.catalogue.candidates import Candidates, are_equal, encode_candidates, file_schema, groups_of, open_candidates
from scanner.catalogue.journal import NOT_AN_ENTRY, damaged_entries
from scanner.catalogue.paths import (
    CANDIDATES,
    SEALED,
    SEALS,
    UNITS,
    label_of_night_file,
    path_below,
    plan_id_of,
    plan_id_of_sealed,
    plan_id_of_unit,
    plan_uri,
    seal_uri,
    sealed_path,
    unit_id_of,
    unit_uri,
    units_uri,
)
from scanner.catalogue.plan import Plan, PlanVersionError, load_plan, plan_ids
from scanner.catalogue.seal import Seal, SealError, Tally, load_seal
from scanner.catalogue.shown import show_records
from scanner.catalogue.unitfile import (
    UnitFileError,
    decode_unit,
    encode_again,
    is_as_written,
    unit_files,
)
from scanner.catalogue.units import PlanError, Unit

_IN_QUARANTINE = "is damaged: an interrupted repair has copied it to quarantine"


class Part(StrEnum):
    """Role of a file in its plan."""

    SEAL = "seal"
    CANDIDATES = "candidates"
    UNIT = "unit"
    STRAY = "stray"
    """A file in the folder of the plan's units that is not a unit of the plan."""
    PLAN = "plan"
    ENTRY = "entry"
    """An entry of a night's journal."""


@dataclass(frozen=True)
class Fault:
    """A file that is missing, damaged or out of place."""

    part: Part
    uri: str
    why: str
    sha256: str | None
    """SHA-256 of the content that was checked; None for a missing file."""


@dataclass
class Verification:
    """The files that were checked, and their faults."""

    plan_id: str
    candidates_uri: str | None = None
    """URI of the candidate file; None if neither plan nor seal can be read."""
    n_files: int = 0
    n_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)


def verify_plan(plan_id: str, root_uri: str, *, deep: bool = False, progress: Progress | None = None) -> Verification:
    """Check the plan's name against its content, and the files of a sealed plan against the digests in its seal.

    If the plan is not sealed, count the rows of its units. With `deep`, also read every row of every file, verify page
    checksums, and recompute the footers, the candidates and the seal. Memory holds a few units and the candidates.
    `progress` counts units. Where a link that leads nowhere or a folder has the name of a unit, only those are named: the
    others cannot be listed.

    Raises:
        StorageError: the store failed, so the state of the files is unknown.
    """
    if found := no_files(root_uri, plan_id):
        return Verification(plan_id, faults=[Fault(Part.UNIT, uri, why, None) for uri, why in found.items()])
    return _PlanVerifier(plan_id, root_uri, deep=deep).run(progress)


def verify_journal(root_uri: str, label: str = "") -> list[Fault]:
    """Return the damaged entries of the journals of all nights, or of one night if its label is given.

    Raises:
        StorageError: the store failed.
    """
    damaged = damaged_entries(root_uri, label)
    return [Fault(Part.ENTRY, uri, NOT_AN_ENTRY, sha256_bytes(data)) for uri, data in damaged.items()]


def files_of_no_plan(root_uri: str) -> list[str]:
    """Return the files of units, candidates and seals that belong to no plan of the catalogue, although readers see them.

    Raises:
        JournalError: an entry of a night's journal is damaged.
        StorageError: the store failed.
    """
    plans, nights = set(plan_ids(root_uri)), set(show_records(root_uri))
    known = {
        UNITS: lambda uri: plan_id_of_unit(uri) in plans,
        SEALED: lambda uri: plan_id_of_sealed(uri) in plans,
        SEALS: lambda uri: plan_id_of(uri) in plans,
        CANDIDATES: lambda uri: label_of_night_file(uri) in nights,
    }
    return [file.uri for folder, owned in known.items() for file in list_files(join(root_uri, folder)) if not owned(file.uri)]


class _PlanVerifier:
    """One check of a plan's files, in an order in which a concurrent scan or sealing causes no false alarm."""

    def __init__(self, plan_id: str, root_uri: str, *, deep: bool) -> None:
        self._root = root_uri
        self._report = Verification(plan_id)
        self._plan = self._read_plan()
        self._quarantine = QuarantineIndex(root_uri)
        # Read these before the units: if a seal or candidates exist, all units existed before.
        self._seal = self._read_seal()
        uri = self._report.candidates_uri = self._candidates_uri()
        self._candidates = self._read(uri) if uri else None
        self._tally = Tally(self._plan) if self._plan and deep else None
        self._is_complete = True
        """Whether every unit exists and has no fault."""

    def run(self, progress: Progress | None) -> Verification:
        self._check_units(progress or no_progress)
        candidates = self._tally.candidates if self._tally and self._is_complete else None
        self._check_candidates(candidates)
        self._check_seal(candidates)
        self._check_strays()
        return self._report

    def _read_plan(self) -> Plan | None:
        uri = plan_uri(self._root, self._report.plan_id)
        data = self._read(uri)
        try:
            return load_plan(self._root, self._report.plan_id)
        except PlanVersionError:
            # The file has the digest that it is named for: only the version that wrote it can read more of it.
            return None
        except PlanError as error:
            self._add(Part.PLAN, uri, str(error), data)
            return None

    def _read_seal(self) -> Seal | None:
        uri = seal_uri(self._root, self._report.plan_id)
        data = self._read(uri)
        try:
            return load_seal(self._root, self._report.plan_id)
        except SealError as error:
            self._add(Part.SEAL, uri, str(error), data)
            return None

    def _candidates_uri(self) -> str | None:
        if self._plan:
            return join(self._root, sealed_path(self._plan.plan_id))
        return join(self._root, self._seal.candidates_path) if self._seal else None

    def _check_units(self, progress: Progress) -> None:
        sealed = self._seal.units if self._seal else {}
        names = [unit.unit_id for unit in self._plan.units] if self._plan else list(sealed)
        units = self._plan.units if self._plan else [None] * len(names)
        there = unit_files(self._root, self._report.plan_id)
        contents = read_many(there[name] for name in names if name in there)
        for i, (name, unit) in enumerate(zip(names, units, strict=True)):
            uri = unit_uri(self._root, self._report.plan_id, name)
            data = self._counted(next(contents)) if name in there else None
            why = self._wrong_with_unit(data, unit, sealed.get(name), uri)
            if why is not None:
                self._add(Part.UNIT, uri, why, data)
            self._is_complete &= why is None and data is not None
            progress(i + 1, len(names))

    def _wrong_with_unit(self, data: bytes | None, unit: Unit | None, sealed: str | None, uri: str) -> str | None:
        if data is None:
            return "is missing, though the plan was sealed" if self._seal or self._candidates else None
        if self._quarantine.holds_damaged(uri, sha256_bytes(data)):
            return _IN_QUARANTINE
        if self._tally is None or self._plan is None or unit is None:
            why = _wrong_bytes(data, sealed, lambda: None)
            return why if sealed or unit is None else _wrong_count(data, unit)
        try:
            found = decode_unit(data, unit, self._plan, uri)
            why = _wrong_bytes(data, sealed, lambda: is_as_written(data, encode_again(found), found.footer.code_version))
            if why is None:
                self._tally.add(found)
        except (UnitFileError, SealError) as error:
            return str(error)
        return why

    def _check_candidates(self, candidates: Candidates | None) -> None:
        uri, data = self._report.candidates_uri, self._candidates
        if uri is None or (data is None and self._seal is None):
            return
        if (why := self._wrong_with_candidates(data, candidates)) is not None:
            self._add(Part.CANDIDATES, uri, why, data)

    def _wrong_with_candidates(self, data: bytes | None, candidates: Candidates | None) -> str | None:
        if data is None:
            return "is missing, though the plan is sealed"
        if self._quarantine.holds_damaged(self._report.candidates_uri or "", sha256_bytes(data)):
            return _IN_QUARANTINE
        sealed = self._seal.candidates_sha256 if self._seal else None
        if self._tally is None or self._plan is None:
            return _wrong_bytes(data, sealed, lambda: None)
        return _wrong_when_read(data, candidates, sealed, self._plan.code_version)

    def _check_seal(self, candidates: Candidates | None) -> None:
        """Check the seal against the plan and, if all files were read, against the seal that they give now."""
        if self._seal is None or self._plan is None:
            return
        seal, tally = self._seal, Tally(self._plan)
        n_candidates, sha256, unknown = seal.n_candidates, seal.candidates_sha256, {"rows_by_status", "units"}
        if candidates is not None and self._tally:
            tally, n_candidates, unknown = self._tally, candidates.n_rows, set()
        if self._tally and self._candidates and not any(fault.part is Part.CANDIDATES for fault in self._report.faults):
            sha256 = sha256_bytes(self._candidates)
        expected = tally.record(n_candidates, sha256).model_dump(exclude={*unknown, "units_unscored"})
        wrong = {name for name, value in expected.items() if getattr(seal, name) != value}
        if sum(seal.rows_by_status.values()) != seal.n_rows:
            wrong.add("rows_by_status")
        if set(seal.units) != {unit.unit_id for unit in self._plan.units}:
            wrong.add("units")
        # A seal of an earlier version of the program names none.
        if not unknown and seal.units_unscored and set(seal.units_unscored) != tally.unscored:
            wrong.add("units_unscored")
        if wrong:
            # The URI does not come from the plan id in the seal, which may be that of another plan with a good seal.
            uri = seal_uri(self._root, self._report.plan_id)
            self._add(Part.SEAL, uri, f"does not fit the plan or its files: {', '.join(sorted(wrong))}", self._read(uri))

    def _check_strays(self) -> None:
        if self._plan is None:
            return
        unit_ids = {unit.unit_id for unit in self._plan.units}
        folder = units_uri(self._root, self._plan.plan_id)
        for file in list_files(folder):
            if unit_id_of(file.uri, self._plan.plan_id) not in unit_ids:
                uri = join(folder, path_below(file.uri, units_uri("", self._plan.plan_id)))
                self._add(Part.STRAY, uri, "is not a unit of the plan", self._read(uri))

    def _read(self, uri: str) -> bytes | None:
        try:
            return self._counted(read_bytes(uri))
        except FileNotFoundError:
            return None

    def _counted(self, data: bytes | None) -> bytes | None:
        if data is not None:
            self._report.n_files += 1
            self._report.n_bytes += len(data)
        return data

    def _add(self, part: Part, uri: str, why: str, data: bytes | None) -> None:
        sha256 = None if data is None else sha256_bytes(data)
        self._report.faults.append(Fault(part, uri, why.removeprefix(f"{uri}: "), sha256))


def _wrong_count(data: bytes, unit: Unit) -> str | None:
    """Return the fault of a unit file, or None, from its Parquet footer alone."""
    try:
        n_rows = pq.read_metadata(pa.BufferReader(data)).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"not a readable unit file: {' '.join(str(error).split())[:200]}"
    return None if n_rows == unit.n_rows else f"holds {n_rows} rows, {unit.n_rows} are planned"


def _wrong_bytes(data: bytes, sealed: str | None, is_written: Callable[[], bool | None]) -> str | None:
    """Return the fault of a file whose rows, if read, are good, or None.

    If the file's SHA-256 is not in the seal but its rows encode to the same bytes again, the seal is wrong, not the file.
    """
    if sealed == sha256_bytes(data):
        return None
    as_written = is_written()
    if as_written is False:
        return "its bytes differ from those that its rows encode to"
    return None if sealed is None or as_written else "its SHA-256 is not the one in the seal"


def _wrong_when_read(data: bytes, candidates: Candidates | None, sealed: str | None, code: str) -> str | None:
    """Return the fault of a candidate file, or None; it must hold `candidates`, which are known if all units are good."""
    try:
        held = open_candidates(data)
        if not held.schema_arrow.equals(file_schema(held.schema_arrow)):
            return "does not have the columns of candidates"
        # Read the whole file, even if there is nothing to compare it with.
        deque(groups_of(held), maxlen=0)
        if candidates is not None and not are_equal(groups_of(held), candidates.groups()):
            return "does not hold the candidates of the plan's units"
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"cannot be read: {' '.join(str(error).split())[:200]}"
    return _wrong_bytes(data, sealed, lambda: is_as_written(data, encode_candidates(groups_of(held)), code))
