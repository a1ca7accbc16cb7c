"""Record the metrics of a run in the catalogue and, if a folder is set, in a text file; neither can fail the scan."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from infra.errors import LensscanError
from infra.progress import NamingProgress
from infra.store.files import StorageError
from infra.store.retries import take_retries
from infra.store.storage import read_many
from scanner.catalogue.outcomes import candidate_mask, count_statuses
from scanner.catalogue.paths import night_label
from scanner.catalogue.plan import Plan
from scanner.catalogue.runs import RunRecord, record_run
from scanner.catalogue.seal import Seal, load_seal
from scanner.catalogue.unitfile import UnitFileError, read_back, unit_files
from scanner.catalogue.units import Unit
from scanner.catalogue.unpromoted import oldest_unpromoted_s
from scanner.workers.metrics_text import metrics_text, samples_of, write_metrics
from scanner.workers.run_tally import RunTally

WRITE_EVERY_S = 15.0
"""Interval at which the text file is written during a run: the usual interval of a Prometheus scrape."""

_LOG = logging.getLogger(__name__)


def new_run_id() -> str:
    """Return a new id of a run."""
    return uuid4().hex[:16]


class Recording:
    """Record of one run of a plan."""

    def __init__(
        self, plan: Plan, root_uri: str, todo: Sequence[Unit], n_workers: int, run_id: str, metrics_dir: Path | None = None
    ) -> None:
        self.tally = RunTally()
        self.tally.n_workers = n_workers
        self._plan, self._root = plan, root_uri
        self._run_id, self._folder = run_id, metrics_dir
        self._n_todo, self._has_begun = len(todo), False
        self._started_at, self._begun = datetime.now(UTC), time.monotonic()
        self._write_at = self._begun
        self.tally.progressed(plan.n_selected - sum(unit.n_selected for unit in todo), plan.n_selected)
        if metrics_dir is not None:
            self.tally.listen(self._write_sometimes)

    def begin(self) -> None:
        """Note that workers are there for the units to scan."""
        self._has_begun = True

    def progress(self, progress: NamingProgress) -> NamingProgress:
        """Return a callback that calls `progress` too."""

        def report(done: int, total: int, at_work: Sequence[str] = (), /) -> None:
            self.tally.progressed(done, total)
            progress(done, total, at_work)

        return report

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Write the record and the text file at the end of the `with` block, also if it raises or is interrupted.

        A run that has not begun writes the text file only: it changes nothing in the catalogue.
        """
        try:
            yield
        except BaseException as error:
            # Ctrl-C and a cancelled flow, too.
            self._finish(error)
            raise
        self._finish(None)

    def _finish(self, error: BaseException | None) -> None:
        try:
            held = self._held(error)
        except (LensscanError, FileNotFoundError) as problem:
            held = None
            _LOG.warning("the rows of this run cannot be counted: %s", problem)
        self.tally.n_store_retries += take_retries()
        record = self._record(held, error)
        about = "the run ends after %.1f s (%s): %d units committed, %d given up, %d workers died"
        counts = (record.units_committed_here, record.units_failed, record.worker_deaths)
        _LOG.info(about, record.seconds, record.error or "complete", *counts)
        if self._has_begun:
            try:
                record_run(record, self._root)
            except StorageError as problem:
                # That of a store that fails is told already.
                if not isinstance(error, StorageError):
                    _LOG.warning("the metrics of this run are not in the catalogue: %s", problem)
        if self._folder is not None:
            try:
                oldest_s = oldest_unpromoted_s(self._root, datetime.now(UTC))
            except LensscanError as problem:
                oldest_s = None
                _LOG.warning("the oldest night that is not promoted is unknown: %s", problem)
            self._write(record, oldest_s)

    def _held(self, error: BaseException | None) -> "_Held | None":
        """Count what the catalogue holds of the plan; None if the store failed or the run was interrupted."""
        # An interrupted process has no time to read every unit.
        if isinstance(error, StorageError) or not isinstance(error, Exception | None):
            return None
        if (sealed := load_seal(self._root, self._plan.plan_id)) is not None:
            return _Held.of_seal(sealed)
        return _Held.of_files(self._plan, self._root)

    def _record(self, held: "_Held | None", error: BaseException | None = None) -> RunRecord:
        tally, plan = self.tally, self._plan
        return RunRecord(
            run_id=self._run_id,
            night=plan.night,
            plan_id=plan.plan_id,
            code_version=plan.code_version,
            started_at=self._started_at,
            seconds=time.monotonic() - self._begun,
            error=type(error).__name__ if error else "",
            n_workers=tally.n_workers,
            n_units=len(plan.units),
            units_committed=held.n_units if held else None,
            units_committed_here=tally.n_units_committed,
            units_failed=tally.n_units_failed,
            rows_by_status=dict(sorted(held.rows_by_status.items())) if held else None,
            candidates=held.n_candidates if held else None,
            stage_seconds=dict(tally.stage_seconds),
            store_retries=tally.n_store_retries,
            worker_deaths=tally.n_worker_deaths,
        )

    def _write_sometimes(self, tally: RunTally) -> None:
        if time.monotonic() >= self._write_at:
            self._write_at = time.monotonic() + WRITE_EVERY_S
            is_first = self._n_todo == len(self._plan.units)
            # What an earlier run committed is counted at the end.
            so_far = _Held(tally.n_units_committed, tally.rows_by_status, tally.n_candidates) if is_first else None
            self._write(self._record(so_far), None)

    def _write(self, record: RunRecord, oldest_s: float | None) -> None:
        if self._folder is not None:
            text = metrics_text(samples_of(record, oldest_s, self.tally.progress), night_label(record.night))
            try:
                write_metrics(self._folder, text)
            except OSError as problem:
                _LOG.warning("the metrics of this run cannot be written: %s", problem)


class _Held:
    """Numbers of units, rows and candidates that the catalogue holds of a plan."""

    def __init__(self, n_units: int, rows_by_status: Counter[str], n_candidates: int) -> None:
        self.n_units, self.rows_by_status, self.n_candidates = n_units, rows_by_status, n_candidates

    @classmethod
    def of_seal(cls, sealed: Seal) -> "_Held":
        return cls(sealed.n_units, Counter(sealed.rows_by_status), sealed.n_candidates)

    @classmethod
    def of_files(cls, plan: Plan, root_uri: str) -> "_Held":
        """Count the rows of an unfinished plan in its unit files, so that each unit counts once, whichever run committed it.

        A file that is damaged, or not the unit's result, is left out.
        """
        statuses: Counter[str] = Counter()
        n_units = n_candidates = 0
        files = unit_files(root_uri, plan.plan_id)
        kept = [files[unit.unit_id] for unit in plan.units if unit.unit_id in files]
        for file, data in zip(kept, read_many(kept), strict=True):
            with suppress(UnitFileError):
                table = read_back(data or b"", file.uri).table
                statuses.update(count_statuses(table))
                n_units += 1
                n_candidates += candidate_mask(table, plan.config.candidate_threshold).to_pylist().count(True)
        return cls(n_units, statuses, n_candidates)
