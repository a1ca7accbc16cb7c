"""Prove that no row is lost or stored twice, with set algebra over ids that are read again from storage."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import computed_field

from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from infra.provenance import sha256_bytes
from infra.read_ahead import map_ahead
from infra.store.storage import StorageError, arrow_source, exists, join, list_files, read_bytes, read_many
from scanner.catalogue.audit.id_sets import Difference, IdSets, id_sets
from scanner.catalogue.audit.no_files import no_files
from scanner.catalogue.candidates import candidates_of, encode_candidates, file_schema, groups_of, open_candidates
from scanner.catalogue.columns import candidate_schema, network_names
from scanner.catalogue.known_plan import left_out_by_plan
from scanner.catalogue.maps import with_map_digests
from scanner.catalogue.outcomes import SCORED, SKIPPED, count_statuses
from scanner.catalogue.paths import sealed_path, unit_id_of, unit_uri, units_uri
from scanner.catalogue.plan import Plan, load_plan, plan_ids
from scanner.catalogue.seal import Seal, SealError, load_seal
from scanner.catalogue.unit_inputs import SHARD, InputChangedError, n_catalogues_ahead, planned_ids
from scanner.catalogue.unitfile import (
    UnitFileError,
    is_as_written,
    read_unit,
    unit_files,
)
from scanner.catalogue.units import MAX_EXAMPLES, Ids, LeftOut, PlanError, Unit
from scanner.sources.survey import Survey
from scanner.sources.tiles import CATALOGUE

_BATCH_ROWS = 256
"""Candidates read at once: with maps, Arrow takes half a gigabyte for this number."""


class Reconciliation(Frozen):
    """Comparison of the plan with storage; every `Difference` but the last is an error."""

    plan_id: str
    night: str | None
    n_units: int
    n_rows: int
    """Number of planned rows."""
    rows_by_status: dict[str, int]
    """Number of rows by status in the readable files."""
    n_scored: int
    n_rejected: int
    n_skipped: int
    """Number of rows that the plan's selection of sources leaves out."""
    n_candidates: int
    n_owned_elsewhere: int
    """Number of input rows that another unit owns, as for objects where tiles overlap."""
    is_sealed: bool
    missing_ids: Difference
    extra_ids: Difference
    duplicate_ids: Difference
    missing_units: Difference
    extra_files: Difference
    damaged_files: Difference
    missing_candidates: Difference
    extra_candidates: Difference
    seal_fields: Difference
    """Fields of the seal that differ from the plan or the files."""
    tiles_left_out: Difference
    """Tiles of the input that could not be planned, so that no plan of the night holds their rows, with the reasons."""
    inputs_unavailable: Difference
    """Units whose input is gone or changed, so that only the counts and digests of their ids are compared."""

    @property
    def differences(self) -> dict[str, Difference]:
        """Differences that must be empty, by name."""
        found = {name: value for name, value in self if isinstance(value, Difference)}
        return {name: value for name, value in found.items() if name != "inputs_unavailable"}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def n_unaccounted(self) -> int:
        """Number of planned rows minus the scored, rejected and skipped ones."""
        return self.n_rows - self.n_scored - self.n_rejected - self.n_skipped

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_equal(self) -> bool:
        """Whether storage holds every row of the input once, with an outcome, and nothing else."""
        return not self.n_unaccounted and not any(difference.n for difference in self.differences.values())


def reconcile(
    plan: Plan, root_uri: str, progress: Progress | None = None, left_out: Mapping[str, tuple[LeftOut, ...]] | None = None
) -> Reconciliation:
    """Read the planned ids from the input again and compare them with those in the unit files, exactly and both ways.

    Also compare the candidate file with the candidates in the units, and the seal with all files, and name the tiles of the
    input that the plan left out. Memory holds a few units. `progress` counts units. `left_out` is the result of
    `left_out_by_plan`, if it was read already.

    Raises:
        UnitFileError: a link that leads nowhere or a folder has the name of a unit, so the others cannot be listed.
        StorageError: the store failed, so the state of the files is unknown.
        ScratchError: there is no space for temporary files.
    """
    if found := no_files(root_uri, plan.plan_id):
        wrong = "; ".join(f"{uri}: {why}" for uri, why in list(found.items())[:MAX_EXAMPLES])
        raise UnitFileError(f"plan {plan.plan_id[:12]}: {wrong}; `lensscan repair` moves it away")
    tiles = (left_out_by_plan(root_uri) if left_out is None else left_out).get(plan.plan_id, ())
    with id_sets([unit.unit_id for unit in plan.units]) as sets:
        return _Reconciler(plan, root_uri, sets, tiles).run(progress or no_progress)


class _Reconciler:
    def __init__(self, plan: Plan, root_uri: str, sets: IdSets, left_out: Sequence[LeftOut]) -> None:
        self._plan, self._root, self._sets, self._left_out = plan, root_uri, sets, left_out
        self._statuses: Counter[str] = Counter()
        self._sha256s: dict[str, str] = {}
        self._n_candidates = 0
        self._missing: list[str] = []
        self._damaged: list[str] = []
        self._unavailable: list[str] = []
        self._wrong_digests: list[str] = []
        self._schema: pa.Schema | None = None
        """Schema of the candidate file."""
        # Read these before the units: if a seal or candidates exist, all units existed before.
        self._seal = self._load_seal()
        self._has_candidates = exists(join(root_uri, sealed_path(plan.plan_id)))

    def run(self, progress: Progress) -> Reconciliation:
        plan, sets = self._plan, self._sets
        there = unit_files(self._root, plan.plan_id)
        contents = read_many(there[unit.unit_id] for unit in plan.units if unit.unit_id in there)
        n_ahead = n_catalogues_ahead(unit.files[CATALOGUE if unit.kind == "tile" else SHARD].size for unit in plan.units)
        read = map_ahead(partial(_planned, survey=plan.described), plan.units, n_ahead)
        for i, (unit, planned) in enumerate(zip(plan.units, read, strict=True)):
            self._add_planned(i, planned)
            self._add_found(i, unit, next(contents) if unit.unit_id in there else None)
            progress(i + 1, len(plan.units))
        missing_candidates, extra_candidates = self._compare_candidates()
        n_scored, n_skipped = self._statuses[SCORED], self._statuses[SKIPPED]
        return Reconciliation(
            plan_id=plan.plan_id,
            night=plan.night,
            n_units=len(plan.units),
            n_rows=plan.n_rows,
            rows_by_status=dict(sorted(self._statuses.items())),
            n_scored=n_scored,
            n_rejected=self._statuses.total() - n_scored - n_skipped,
            n_skipped=n_skipped,
            n_candidates=self._n_candidates,
            n_owned_elsewhere=sum(len(unit.owned_elsewhere) for unit in plan.units),
            is_sealed=self._seal is not None,
            missing_ids=sets.missing(),
            extra_ids=sets.extra(),
            duplicate_ids=sets.duplicate(),
            missing_units=_difference(self._missing),
            extra_files=_difference(self._extra_files()),
            damaged_files=_difference(self._damaged),
            missing_candidates=missing_candidates,
            extra_candidates=extra_candidates,
            seal_fields=_difference(self._seal_fields()),
            tiles_left_out=_difference(self._tiles_left_out()),
            inputs_unavailable=_difference(self._unavailable),
        )

    def _load_seal(self) -> Seal | None:
        try:
            return load_seal(self._root, self._plan.plan_id)
        except SealError as error:
            self._damaged.append(str(error))
            return None

    def _add_planned(self, i: int, planned: Ids | InputChangedError) -> None:
        if isinstance(planned, InputChangedError):
            self._unavailable.append(str(planned))
        else:
            self._sets.add_planned(i, planned)

    def _add_found(self, i: int, unit: Unit, data: bytes | None) -> None:
        uri = unit_uri(self._root, self._plan.plan_id, unit.unit_id)
        if data is None:
            self._missing.append(unit.unit_id)
            return
        self._sha256s[unit.unit_id] = sha256_bytes(data)
        try:
            stored = read_unit(self._root, unit, self._plan, data)
        except UnitFileError as error:
            self._damaged.append(str(error))
            self._add_what_is_readable(i, data)
            return
        self._sha256s[unit.unit_id], table = stored.sha256, stored.table
        self._statuses.update(count_statuses(table))
        self._sets.add_found(i, table["object_id"].to_numpy())
        candidates = candidates_of(table, self._plan)
        schema = file_schema(candidates.schema)
        self._schema = self._schema or schema
        if not schema.equals(self._schema):
            self._damaged.append(f"{uri}: has other columns than the units before it")
            return
        self._n_candidates += candidates.num_rows
        self._sets.add_rows("in_units", with_map_digests(candidates))

    def _add_what_is_readable(self, i: int, data: bytes) -> None:
        """Add the ids and outcomes of a damaged file, which show the wrong rows."""
        try:
            table = pq.read_table(pa.BufferReader(data), columns=["object_id", "status"], page_checksum_verification=True)
            # A row without id or outcome counts as missing.
            table = table.cast(pa.schema([("object_id", pa.int64()), ("status", pa.string())])).drop_null()
            ids = table["object_id"].to_numpy()
        except (pa.ArrowException, OSError, ValueError, KeyError):
            return
        self._sets.add_found(i, ids)
        self._statuses.update(count_statuses(table))

    def _extra_files(self) -> list[str]:
        unit_ids, plan_id = {unit.unit_id for unit in self._plan.units}, self._plan.plan_id
        files = list_files(units_uri(self._root, plan_id))
        return [file.uri for file in files if unit_id_of(file.uri, plan_id) not in unit_ids]

    def _tiles_left_out(self) -> list[str]:
        """Return the tiles that the plan left out and no other plan of its night holds, with the reasons."""
        if not self._left_out:
            return []
        held: set[str] = set()
        for plan_id in plan_ids(self._root):
            with suppress(PlanError):
                if load_plan(self._root, plan_id).night == self._plan.night:
                    held |= unit_files(self._root, plan_id).keys()
        return [str(tile) for tile in self._left_out if tile.tile not in held]

    def _compare_candidates(self) -> tuple[Difference, Difference]:
        uri = join(self._root, sealed_path(self._plan.plan_id))
        schema = self._schema or candidate_schema(())
        for rows in ("in_units", "in_file"):
            self._sets.add_rows(rows, with_map_digests(schema.empty_table()))
        if not self._has_candidates and self._seal is None:
            return Difference(), Difference()
        has_file = True
        try:
            for rows in _rows(uri, schema):
                self._sets.add_rows("in_file", with_map_digests(rows))
        except FileNotFoundError:
            if self._seal is None:
                return Difference(), Difference()
            self._damaged.append(f"{uri}: is missing, though the plan is sealed")
            has_file = False
        except UnitFileError as error:
            self._damaged.append(str(error))
            has_file = False
        missing, extra = self._sets.rows_lacking("in_units", "in_file"), self._sets.rows_lacking("in_file", "in_units")
        if has_file and self._seal and self._seal.candidates_sha256 != sha256_bytes(data := read_bytes(uri)):
            self._report_digest_mismatch(uri, data, are_right=not missing.n and not extra.n)
        return missing, extra

    def _report_digest_mismatch(self, uri: str, data: bytes, *, are_right: bool) -> None:
        """Report the candidate file or the seal as wrong, because their digests differ and the file is readable.

        The seal is wrong if the file holds the candidates of the units (`are_right`) and its rows encode to the same bytes.
        """
        again = encode_candidates(groups_of(open_candidates(data)))
        if are_right and is_as_written(data, again, self._plan.code_version):
            self._wrong_digests.append("candidates_sha256")
        else:
            self._damaged.append(f"{uri}: its SHA-256 is not the one in the seal")

    def _seal_fields(self) -> list[str]:
        if self._seal is None:
            return []
        counted = {
            "plan_id": self._plan.plan_id,
            "night": self._plan.night,
            "ensemble_name": self._plan.ensemble_name,
            "ensemble_sha256": self._plan.ensemble_sha256,
            "code_version": self._plan.code_version,
            "n_units": len(self._plan.units),
            "n_rows": self._plan.n_rows,
            "rows_by_status": dict(self._statuses),
            "n_candidates": self._n_candidates,
            "candidates_path": sealed_path(self._plan.plan_id),
            "units": self._sha256s,
        }
        return [name for name, value in counted.items() if getattr(self._seal, name) != value] + self._wrong_digests


def _planned(unit: Unit, survey: Survey) -> Ids | InputChangedError:
    try:
        return planned_ids(unit, survey)
    except InputChangedError as error:
        return error


def _rows(uri: str, schema: pa.Schema) -> Iterable[pa.Table]:
    """Yield the rows of a candidate file in pieces.

    Raises:
        FileNotFoundError: the file does not exist.
        UnitFileError: the file is damaged or has other columns.
    """
    try:
        with pq.ParquetFile(arrow_source(uri), page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema):
                raise UnitFileError(f"{uri}: has other columns than the units: networks {network_names(file.schema_arrow)}")
            for batch in file.iter_batches(_BATCH_ROWS):
                yield pa.Table.from_batches([batch])
    except (FileNotFoundError, StorageError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnitFileError(f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def _difference(names: list[str]) -> Difference:
    return Difference(n=len(names), examples=tuple(names[:MAX_EXAMPLES]))
