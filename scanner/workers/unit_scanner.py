"""Scan units in a worker: it handles a unit from its first byte to its commit and returns a receipt."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from uuid import uuid4

from infra.errors import LensscanError
from infra.json_logs import set_run
from infra.private_apis import arrow_without_pandas
from infra.progress import Progress
from infra.provenance import code_version
from infra.stopwatch import Stopwatch
from infra.store.retries import take_retries
from scanner.catalogue.ledger import Outcome, Receipt, committed, publish
from scanner.catalogue.plan import Plan, ScanConfig
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.scan.open_unit import open_unit, prepare_for, read_whole
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.unit import scan_unit
from scanner.vocabulary.metrics import WorkStage
from scanner.vocabulary.rejections import Rejection
from scanner.workers.retry_state import Task

_LOG = logging.getLogger(__name__)


class WorkerMismatchError(LensscanError):
    """The code or the ensemble of a worker is not the one in the plan."""


class UnitScanner:
    """Scans units of one plan with an ensemble that stays loaded; pixels never leave its process."""

    def __init__(self, plan: Plan, package: Path, root_uri: str, threads: int, run_id: str = "") -> None:
        """Load the ensemble once, and set the thread count once, so that workers on one machine do not compete for cores.

        The logs of this process belong to the run `run_id`.
        """
        arrow_without_pandas()
        set_run(run_id, plan.night)
        if code_version() != plan.code_version:
            raise WorkerMismatchError(
                f"plan {plan.plan_id[:12]} needs code {plan.code_version}, this worker has {code_version()}"
            )
        prepare_for(plan.units)
        self._plan = plan
        self._units = {unit.unit_id: unit for unit in plan.units}
        self._root_uri = root_uri
        self._scanner = self._open(package, plan.ensemble_sha256, plan.config, threads)
        self._computing = Lock()
        self._rows_done: dict[str, int] = {}

    def _open(self, package: Path, sha256: str, config: ScanConfig, threads: int) -> CutoutScanner:
        self._check_ensemble(package, sha256)
        scanner = open_scanner(package, config, threads)
        # The package may have been replaced while it was loaded.
        self._check_ensemble(package, sha256)
        return scanner

    def _check_ensemble(self, package: Path, sha256: str) -> None:
        found = read_card(package).sha256
        if found != sha256:
            raise WorkerMismatchError(
                f"plan {self._plan.plan_id[:12]} needs ensemble {sha256[:12]}, {package} holds {found[:12]}"
            )

    def scan(self, task: Task) -> Receipt:
        """Score one unit and publish it, unless another attempt has done so.

        The pool calls this for the next unit while the current one is scored: the call reads ahead and waits for its turn. It
        scores while the maps of the last one are made.
        """
        unit, watch = self._units[task.unit_id], Stopwatch()
        done = committed(unit, self._plan, self._root_uri)
        if done is not None:
            return replace(done, n_store_retries=take_retries())
        scanner = self._scanner.with_batch_size(task.batch_size)
        opened = open_unit(
            unit,
            scanner.geometry,
            scanner.batch_size,
            task.rows,
            self._progress_of(unit),
            self._plan.described,
            self._plan.columns,
            watch,
        )
        with closing(opened.batches), self._at_work(unit) as turn:
            table = scan_unit(opened, scanner, self._plan.night or "", turn)
        with watch.timed(WorkStage.WRITE):
            receipt = publish(table, unit, self._plan, self._root_uri, attempt=uuid4().hex)
        about = "%s: %d rows, %d scored, %d candidates"
        counts = (receipt.outcome, receipt.n_rows, receipt.n_scored, receipt.n_candidates)
        _LOG.info(about, *counts, extra={"unit": unit.unit_id})
        seconds = {str(stage): watch.of(stage) for stage in WorkStage} if receipt.outcome is Outcome.COMMITTED else {}
        return replace(receipt, seconds=seconds, n_store_retries=take_retries())

    def rows_done(self) -> dict[str, int]:
        """Return the number of rows scored so far of the unit that is being scored, by its id; another thread may call this."""
        return dict(self._rows_done)

    @contextmanager
    def _at_work(self, unit: Unit) -> Iterator[AbstractContextManager[None]]:
        """Yield the unit's turn to be scored; from then to the end of the `with` block, `rows_done` names the unit."""

        @contextmanager
        def turn() -> Iterator[None]:
            with self._computing:
                self._rows_done[unit.unit_id] = 0
                yield

        try:
            yield turn()
        finally:
            self._rows_done.pop(unit.unit_id, None)

    def _progress_of(self, unit: Unit) -> Progress:
        def report(done: int, _total: int) -> None:
            self._rows_done[unit.unit_id] = done

        return report

    def try_rows(self, task: Task) -> None:
        """Score the rows of a trial and discard the scores, to test whether the worker survives.

        A trial without rows reads all pixels of the files.
        """
        unit = self._units[task.unit_id]
        scanner = self._scanner.with_batch_size(task.batch_size)
        if task.rows.read == ():
            with suppress(Rejection):
                read_whole(unit, scanner.geometry, scanner.batch_size, self._plan.described)
            return
        opened = open_unit(unit, scanner.geometry, scanner.batch_size, task.rows, survey=self._plan.described)
        # Other faults of the rows are reported when they are scanned.
        with closing(opened.batches), self._computing, suppress(Rejection):
            scanner.score_batches(opened.batches)
