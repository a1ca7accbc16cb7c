"""The Ray shell around `scan`: an actor owns a unit from its first byte to its commit and returns a receipt."""

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import numpy as np
import ray
import torch

from infra.errors import LensscanError
from infra.provenance import code_version
from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import actor_count, ray_errors
from scanner.catalogue.ledger import Receipt, committed, publish
from scanner.catalogue.plan import Plan, ScanConfig
from scanner.networks.package import read_card
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.unit import open_unit, open_unit_without, read_whole, scan_open_unit, with_second_opinion
from scanner.vocabulary.rejections import RejectCode, Rejection
from scanner.workers.recovery import Task

ACTOR_CPUS = 0.5
"""Less than one, so that two actors on a two-core machine leave Ray room for everything else."""

IN_FLIGHT = 2
"""Units an actor holds: one that computes and the next, which is being read."""

KEPT_BYTES = 2**28
"""Freed memory that a worker keeps for its next batch."""


class WorkerMismatchError(LensscanError):
    """The code or the ensemble on a worker is not the one that the plan froze."""


@dataclass(frozen=True)
class Packages:
    """Folders of the ensembles that a plan names."""

    first: Path
    second: Path | None = None


class UnitScanner:
    """Runs as a Ray actor: scans units of one plan with one resident ensemble; pixels never leave it."""

    def __init__(self, plan: Plan, packages: Packages, root_uri: str, threads: int) -> None:
        """Load the ensembles once and set the thread count once, so that actors on a machine do not fight."""
        torch.set_num_threads(threads)
        if code_version() != plan.code_version:
            raise WorkerMismatchError(
                f"plan {plan.plan_id[:12]} wants code {plan.code_version}, this worker has {code_version()}"
            )
        self._plan = plan
        self._units = {unit.unit_id: unit for unit in plan.units}
        self._root_uri = root_uri
        self._scanner = self._open(packages.first, plan.ensemble_sha256, plan.config, threads)
        self._second: CutoutScanner | None = None
        if plan.config.second:
            if packages.second is None:
                raise WorkerMismatchError(f"plan {plan.plan_id[:12]} wants ensemble {plan.config.second.ensemble_name} too")
            config = plan.config.model_copy(update={"sweep": False, "maps_per_unit": 0})
            self._second = self._open(packages.second, plan.config.second.ensemble_sha256, config, threads)
        self._computing = Lock()

    def _open(self, package: Path, sha256: str, config: ScanConfig, threads: int) -> CutoutScanner:
        self._check_ensemble(package, sha256)
        scanner = open_scanner(package, config, threads)
        # Somebody may have replaced it while it was loaded.
        self._check_ensemble(package, sha256)
        return scanner

    def _check_ensemble(self, package: Path, sha256: str) -> None:
        found = read_card(package).sha256
        if found != sha256:
            raise WorkerMismatchError(
                f"plan {self._plan.plan_id[:12]} wants ensemble {sha256[:12]}, {package} holds {found[:12]}"
            )

    def scan(self, task: Task) -> Receipt:
        """Score one unit and publish it, unless another attempt was first.

        Called for the next unit while this one computes, it reads ahead there and waits for its turn.
        """
        unit = self._units[task.unit_id]
        done = committed(unit, self._plan, self._root_uri)
        if done is not None:
            return done
        scanner = self._scanner.with_batch_size(task.batch_size)
        opened = open_unit_without(unit, scanner.geometry, scanner.batch_size, _left_out(task))
        with self._computing:
            table = scan_open_unit(opened, scanner, self._plan.night)
            if self._second and self._plan.config.second:
                table = with_second_opinion(table, unit, self._second, self._plan.config.second.above)
        return publish(table, unit, self._plan, self._root_uri, attempt=uuid4().hex)

    def try_rows(self, task: Task) -> None:
        """Score the rows of a task's trial and forget the scores, or read all pixels where it has none: is that survived?"""
        unit = self._units[task.unit_id]
        scanner = self._scanner.with_batch_size(task.batch_size)
        if task.trial is not None and task.trial[0] == task.trial[1]:
            with contextlib.suppress(Rejection):
                read_whole(unit, scanner.geometry, scanner.batch_size)
            return
        kept = np.delete(np.arange(unit.n_rows), list(task.left_out))
        opened = open_unit(unit, scanner.geometry, scanner.batch_size, kept[slice(*task.trial)] if task.trial else kept)
        # What else is wrong with the rows is found when they are scanned.
        with self._computing, contextlib.suppress(Rejection):
            scanner.score_batches(opened.batches())


def _left_out(task: Task) -> dict[int, Rejection]:
    rejection = Rejection(RejectCode.WORKER_CRASH, "several workers died of it, the last one of nothing else")
    return dict.fromkeys(task.left_out, rejection)


def scanner_pool(plan: Plan, packages: Packages, root_uri: str, workers: int, n_units: int) -> ActorPool:
    """Scanners for `n_units` units, at most `workers` of them, in the running Ray session.

    Raises:
        ClusterError: Ray is gone.
    """
    n_actors = actor_count(workers, n_units, ACTOR_CPUS)
    gpu_share = 0.0
    if plan.config.engine in {"auto", "cuda"}:
        n_actors, gpu_share = gpu_shares(_nodes(), n_actors)
    # By the workers asked for, not by the units left: the number of threads decides the last digit of a score.
    threads = max(1, (os.cpu_count() or 1) // workers)
    remote: Any = ray.remote(UnitScanner)
    actor = remote.options(
        num_cpus=ACTOR_CPUS,
        num_gpus=gpu_share,
        max_concurrency=IN_FLIGHT,
        runtime_env={"env_vars": thread_settings(threads)},
    )
    with ray_errors():
        # Once for all actors: a plan holds every unit of the night.
        shared = ray.put(plan)
    return ActorPool(lambda: actor.remote(shared, packages, root_uri, threads), n_actors, IN_FLIGHT)


def thread_settings(threads: int) -> dict[str, str]:
    """Before any library starts its threads: one pool that computes, and none that spins while it waits.

    Threads that spin take the core from whom they wait for, on any machine that does something else too. Every thread that
    reads ahead would get memory of its own from glibc and never give it back: two pools for all halve what a worker holds.
    And batches take the memory of those before them: fresh pages from the system cost a twentieth of a scan.
    """
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    kept = {name: str(KEPT_BYTES) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")}
    return {**pools, **kept, "OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "2"}


def gpu_shares(nodes: Sequence[Mapping[str, float]], n_actors: int) -> tuple[int, float]:
    """How many of `n_actors` the nodes with GPUs can hold, and the part of a GPU that each of them gets.

    An actor has its part of one GPU on one node: what does not fit there would wait for ever.

    Args:
        nodes: The resources of each node, by name.
        n_actors: Wanted.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    n_gpus = sum(int(node["GPU"]) for node in with_gpus)
    if not n_gpus:
        return n_actors, 0.0
    on_one_gpu = math.ceil(n_actors / n_gpus)
    room = sum(min(int(node["GPU"]) * on_one_gpu, int(node.get("CPU", 0) / ACTOR_CPUS)) for node in with_gpus)
    # Ray knows ten thousandths.
    return max(1, min(n_actors, room)), math.floor(1e4 / on_one_gpu) / 1e4


def _nodes() -> list[dict[str, float]]:
    with ray_errors():
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
