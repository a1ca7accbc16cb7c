"""Scan actors that are started and warmed up before they are timed, and then all begin at the same moment."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

import ray

from infra.calls import Call
from scanner.catalogue.ledger import Outcome
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.workers.actors import scanner_pool
from scanner.workers.dispatch import _Dispatch, unit_deadline_s
from scanner.workers.retry_state import Task
from scanner.workers.store_backoff import StoreBackoff
from tests.benchmarks.rates import Ends, n_units_for, rate_to_the_last_end
from tests.benchmarks.sizes import NIGHT

_LOG = logging.getLogger(__name__)


@contextmanager
def _on_one_core(process: int) -> Iterator[None]:
    """Keep all threads of a process, present and future, on one core until the block ends."""
    every = os.sched_getaffinity(process)
    _allow(process, {min(every)})
    try:
        yield
    finally:
        _allow(process, every)


def _allow(process: int, cores: set[int]) -> None:
    for thread in Path(f"/proc/{process}/task").iterdir():
        # A thread may end meanwhile.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


class Crew:
    """The actors of a scan in the running Ray session, until the `with` block ends.

    They do the same work as for `lensscan scan`: read, score, check, publish. Files come from the system's cache.
    """

    def __init__(
        self,
        package: Path,
        config: ScanConfig,
        units: Mapping[str, Sequence[Unit]],
        workers: int,
        scratch: Path,
        seconds: float,
    ) -> None:
        """Start `workers` actors and let each scan a unit of every kind.

        Args:
            package: Folder of the ensemble's package.
            config: Configuration of the scan.
            units: Maps each kind of unit, such as tiles or shards, to units of equal size.
            workers: Number of actors, as `--workers` of a scan.
            scratch: Folder for the catalogue.
            seconds: Time that a timed scan should fill; 0 to scan all units.
        """
        self._root = scratch / f"catalogue-{uuid4().hex[:8]}"
        self._plan = make_plan(
            NIGHT.isoformat(), read_card(package), config, [unit for some in units.values() for unit in some]
        )
        self._pool = scanner_pool(self._plan, package, str(self._root), workers, len(self._plan.units))
        # Wait until all actors have started, so that each warms up with a unit of its own.
        ray.get([slot.starting for slot in self._pool._slots])
        self._units = {}
        for kind, some in units.items():
            unit_s = self._warm(some[:workers])
            n = n_units_for(seconds, unit_s, workers, len(some)) if seconds else len(some)
            self._units[kind] = some[:n]
            _LOG.info("%s, %d workers: %d units of %s", package.name, workers, n, kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.close()

    def rate(self, kind: str) -> float:
        """Return the rows per second that are scored and committed, from the common start until the last actor ends."""
        return rate_to_the_last_end(self.ends(kind))

    def rate_alone(self, kind: str) -> float:
        """Return the rate of one actor of the crew while the others wait, on its share of the units and on one core.

        It has the threads and the queue of calls that it has beside the others. On all cores it would read on those of others.
        """
        slots = self._pool._slots
        process = ray.get(slots[0].worker.__ray_call__.remote(lambda _: os.getpid()))
        self._pool._slots = slots[:1]
        try:
            with _on_one_core(process):
                return rate_to_the_last_end(self.ends(kind, len(slots)))
        finally:
            self._pool._slots = slots

    def ends(self, kind: str, share: int = 1) -> Ends:
        """Scan the units of a kind, or one in `share`; return seconds from the start to each commit, and rows."""
        units = self._units[kind][::share]
        shutil.rmtree(self._root)
        dispatch = _Dispatch(units, self._plan.config.batch_size, self._pool, StoreBackoff())
        begun = time.perf_counter()
        receipts = [(time.perf_counter() - begun, receipt) for receipt in dispatch.receipts()]
        if sorted(receipt.unit_id for _, receipt in receipts) != sorted(unit.unit_id for unit in units):
            raise RuntimeError(f"not every unit was scanned: {dispatch.given_up}")
        if any(receipt.outcome is not Outcome.COMMITTED for _, receipt in receipts):
            raise RuntimeError("units must be committed by this scan to be timed, but some were committed before")
        return [(seconds, receipt.n_rows) for seconds, receipt in receipts]

    def _warm(self, units: Sequence[Unit]) -> float:
        """Scan one unit on each actor at the same time; return the seconds until all have ended."""
        begun = time.perf_counter()
        for unit in units:
            task = Task(unit.unit_id, self._plan.config.batch_size, is_alone=True)
            self._pool.submit(Call("scan", (task,), unit_deadline_s(unit), is_alone=True))
        for _ in units:
            ended = self._pool.next_result()
            if ended is None or ended.failure:
                raise RuntimeError(f"an actor could not be warmed up: {ended}")
        return time.perf_counter() - begun
