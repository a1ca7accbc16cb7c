"""The Ray shell around `scan`: an actor owns a unit from its first byte to its commit and returns a receipt."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
import torch

from infra.cluster import actor_count, bounded_map
from infra.errors import LensscanError
from infra.provenance import code_version
from scanner.catalogue.ledger import Receipt, committed, pending, publish
from scanner.catalogue.plan import Plan
from scanner.networks.package import load_package
from scanner.scan import CutoutScanner, scan_unit

ACTOR_CPUS = 0.5
"""Less than one, so that two actors on a two-core machine leave Ray room for everything else."""

_PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
# Threads that spin while they wait take the core from whom they wait for, on any machine that does something else too.

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


class WorkerMismatchError(LensscanError):
    """The code or the ensemble on a worker is not the one that the plan froze."""


class UnitScanner:
    """Runs as a Ray actor: scans units of one plan with one resident ensemble; pixels never leave it."""

    def __init__(self, plan: Plan, package: Path, root_uri: str, threads: int) -> None:
        """Load the ensemble once and set the thread count once, so that actors on a machine do not fight."""
        torch.set_num_threads(threads)
        if code_version() != plan.code_version:
            raise WorkerMismatchError(
                f"plan {plan.plan_id[:12]} wants code {plan.code_version}, this worker has {code_version()}"
            )
        ensemble = load_package(package)
        if ensemble.sha256 != plan.ensemble_sha256:
            raise WorkerMismatchError(
                f"plan {plan.plan_id[:12]} wants ensemble {plan.ensemble_sha256[:12]}, {package} holds {ensemble.sha256[:12]}"
            )
        self._plan = plan
        self._units = {unit.unit_id: unit for unit in plan.units}
        self._root_uri = root_uri
        self._scanner = CutoutScanner(ensemble, plan.config.batch_size)

    def scan(self, unit_id: str) -> Receipt:
        """Score one unit and publish it, unless another attempt was first."""
        unit = self._units[unit_id]
        done = committed(unit, self._plan, self._root_uri)
        if done is not None:
            return done
        table = scan_unit(unit, self._scanner, self._plan.night)
        return publish(table, unit, self._plan, self._root_uri, attempt=uuid4().hex)


def scan_plan(plan: Plan, package: Path, root_uri: str, workers: int, progress: Progress | None = None) -> list[Receipt]:
    """Scan every unit of the plan that storage does not hold yet, on `workers` actors of the running Ray session."""
    todo = pending(plan, root_uri)
    n_rows = sum(unit.n_rows for unit in plan.units)
    done = n_rows - sum(unit.n_rows for unit in todo)
    report = progress or (lambda _done, _total: None)
    report(done, n_rows)
    if not todo:
        return []
    n_actors = actor_count(workers, len(todo), ACTOR_CPUS)
    # By the workers asked for, not by the units left: the number of threads decides the last digit of a score.
    threads = max(1, (os.cpu_count() or 1) // workers)
    actor: Any = ray.remote(num_cpus=ACTOR_CPUS, runtime_env={"env_vars": _PATIENT_THREADS})(UnitScanner)
    actors = [actor.remote(plan, package, root_uri, threads) for _ in range(n_actors)]
    receipts: list[Receipt] = []
    try:
        for _, receipt in bounded_map(actors, "scan", [unit.unit_id for unit in todo]):
            receipts.append(receipt)
            done += receipt.n_rows
            report(done, n_rows)
    finally:
        for handle in actors:
            ray.kill(handle)
    return receipts
