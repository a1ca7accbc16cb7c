"""Scan actors that are started and warm before they are timed, all let go at one moment."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from uuid import uuid4

import ray

from infra.ray.actor_pool import Call
from scanner.catalogue.ledger import Outcome
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.units import Unit
from scanner.networks.package import read_card
from scanner.workers.actors import Packages, scanner_pool
from scanner.workers.dispatch import _Dispatch, unit_deadline_s
from scanner.workers.recovery import Task
from scanner.workers.store_backoff import Circuit
from tests.benchmarks.rates import Ends, n_units_for, rate_to_the_last_end
from tests.benchmarks.sizes import NIGHT

_LOG = logging.getLogger(__name__)


class Crew:
    """The actors of a scan in the running Ray session, for as long as the `with` block lasts.

    They do what they do for `lensscan scan`: read, score, check, publish; files come from the system's cache.
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
            package: Of the ensemble.
            config: Of the scan.
            units: Kind to units of equal size, as of tiles and shards.
            workers: As `--workers` of a scan.
            scratch: Folder for the catalogue.
            seconds: What a timed scan may take; 0 for all units.
        """
        self._root = scratch / f"catalogue-{uuid4().hex[:8]}"
        self._plan = make_plan(
            NIGHT.isoformat(), read_card(package), config, [unit for some in units.values() for unit in some]
        )
        self._pool = scanner_pool(self._plan, Packages(package), str(self._root), workers, len(self._plan.units))
        # So that no actor warms up for another.
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
        """Rows per second that are scored and committed, from the start of all actors until the last ends."""
        return rate_to_the_last_end(self.ends(kind))

    def ends(self, kind: str) -> Ends:
        """Scan the units of a kind: when each was committed, since the actors were let go."""
        units = self._units[kind]
        shutil.rmtree(self._root)
        dispatch = _Dispatch(units, self._plan.config.batch_size, self._pool, Circuit())
        begun = time.perf_counter()
        receipts = [(time.perf_counter() - begun, receipt) for receipt in dispatch.receipts()]
        if sorted(receipt.unit_id for _, receipt in receipts) != sorted(unit.unit_id for unit in units):
            raise RuntimeError(f"not every unit was scanned: {dispatch.given_up}")
        if any(receipt.outcome is not Outcome.COMMITTED for _, receipt in receipts):
            raise RuntimeError("units were there already: nothing was timed")
        return [(seconds, receipt.n_rows) for seconds, receipt in receipts]

    def _warm(self, units: Sequence[Unit]) -> float:
        """One unit for each actor, at the same time; the seconds that they take."""
        begun = time.perf_counter()
        for unit in units:
            task = Task(unit.unit_id, self._plan.config.batch_size, is_alone=True)
            self._pool.submit(Call("scan", (task,), unit_deadline_s(unit), is_alone=True))
        for _ in units:
            ended = self._pool.next_ended()
            if ended is None or ended.trouble:
                raise RuntimeError(f"an actor could not be warmed up: {ended}")
        return time.perf_counter() - begun
