"""Run `scan` in Ray actors: an actor handles a unit from its first byte to its commit and returns a receipt."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import ray
import torch

from infra.errors import LensscanError
from infra.provenance import code_version
from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import actor_count, ray_errors
from scanner.catalogue.ledger import Receipt, committed, publish
from scanner.catalogue.plan import Plan, ScanConfig
from scanner.networks.package import read_card
from scanner.scan.open_unit import open_unit, read_whole
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.unit import scan_unit, with_second_ensemble
from scanner.vocabulary.rejections import Rejection
from scanner.workers.retry_state import Task

ACTOR_CPUS = 0.5
"""CPUs that Ray reserves for an actor: less than one, so that two actors on a two-core machine leave room for the rest."""

IN_FLIGHT = 2
"""Number of units that an actor holds: it scores one while it reads the next."""

KEPT_BYTES = 2**28
"""Bytes of freed memory that a worker keeps for its next batch."""


class WorkerMismatchError(LensscanError):
    """The code or the ensemble of a worker is not the one in the plan."""


@dataclass(frozen=True)
class Packages:
    """Folders of the ensembles that a plan names."""

    first: Path
    second: Path | None = None


class UnitScanner:
    """Ray actor that scans units of one plan with ensembles that stay loaded; pixels never leave the actor."""

    def __init__(self, plan: Plan, packages: Packages, root_uri: str, threads: int) -> None:
        """Load the ensembles once, and set the thread count once, so that actors on one machine do not compete for cores."""
        torch.set_num_threads(threads)
        if code_version() != plan.code_version:
            raise WorkerMismatchError(
                f"plan {plan.plan_id[:12]} needs code {plan.code_version}, this worker has {code_version()}"
            )
        self._plan = plan
        self._units = {unit.unit_id: unit for unit in plan.units}
        self._root_uri = root_uri
        self._scanner = self._open(packages.first, plan.ensemble_sha256, plan.config, threads)
        self._second: CutoutScanner | None = None
        if plan.config.second:
            if packages.second is None:
                raise WorkerMismatchError(f"plan {plan.plan_id[:12]} needs ensemble {plan.config.second.ensemble_name} too")
            config = plan.config.model_copy(update={"sweep": False, "maps_per_unit": 0})
            self._second = self._open(packages.second, plan.config.second.ensemble_sha256, config, threads)
        self._computing = Lock()

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

        Ray calls this for the next unit while the current one is scored: the call reads ahead and waits for its turn to score.
        """
        unit = self._units[task.unit_id]
        done = committed(unit, self._plan, self._root_uri)
        if done is not None:
            return done
        scanner = self._scanner.with_batch_size(task.batch_size)
        opened = open_unit(unit, scanner.geometry, scanner.batch_size, task.rows)
        with closing(opened.batches), self._computing:
            table = scan_unit(opened, scanner, self._plan.night or "")
            if self._second and self._plan.config.second:
                table = with_second_ensemble(table, unit, self._second, self._plan.config.second.above)
        return publish(table, unit, self._plan, self._root_uri, attempt=uuid4().hex)

    def try_rows(self, task: Task) -> None:
        """Score the rows of a trial and discard the scores, to test whether the worker survives.

        A trial without rows reads all pixels of the files.
        """
        unit = self._units[task.unit_id]
        scanner = self._scanner.with_batch_size(task.batch_size)
        if task.rows.read == ():
            with suppress(Rejection):
                read_whole(unit, scanner.geometry, scanner.batch_size)
            return
        opened = open_unit(unit, scanner.geometry, scanner.batch_size, task.rows)
        # Other faults of the rows are reported when they are scanned.
        with closing(opened.batches), self._computing, suppress(Rejection):
            scanner.score_batches(opened.batches)


def scanner_pool(plan: Plan, packages: Packages, root_uri: str, workers: int, n_units: int) -> ActorPool:
    """Start at most `workers` scanners for `n_units` units in the running Ray session.

    Raises:
        ClusterError: Ray is gone.
    """
    n_actors = actor_count(workers, n_units, ACTOR_CPUS)
    gpu_share = 0.0
    if plan.config.engine in {"auto", "cuda"}:
        n_actors, gpu_share = gpu_shares(_nodes(), n_actors)
    # Divide by the requested workers, not by the units left: the number of threads changes the last digit of a score.
    threads = max(1, (os.cpu_count() or 1) // workers)
    remote: Any = ray.remote(UnitScanner)
    actor = remote.options(
        num_cpus=ACTOR_CPUS,
        num_gpus=gpu_share,
        max_concurrency=IN_FLIGHT,
        runtime_env={"env_vars": thread_settings(threads)},
    )
    with ray_errors():
        # Store the plan once for all actors, because it is large: it holds every unit of the night.
        shared = ray.put(plan)
    return ActorPool(lambda: actor.remote(shared, packages, root_uri, threads), n_actors, IN_FLIGHT)


def thread_settings(threads: int) -> dict[str, str]:
    """Return environment variables that limit threads and memory pools; they must be set before a library starts threads.

    Threads wait without spinning: on a machine that runs other programs too, a spinning thread takes the core from the thread
    that it waits for. glibc would give every reading thread a memory pool of its own and never free it: two shared pools halve
    the memory of a worker. Batches reuse the memory of earlier batches: new pages from the system cost a twentieth of a scan.
    """
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    kept = {name: str(KEPT_BYTES) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")}
    return {**pools, **kept, "OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "2"}


def gpu_shares(nodes: Sequence[Mapping[str, float]], n_actors: int) -> tuple[int, float]:
    """Return how many of `n_actors` fit on the nodes with GPUs, and the share of a GPU for each of them.

    An actor needs its share of one GPU on one node; an actor that does not fit would wait for ever.

    Args:
        nodes: The resources of each node, by name.
        n_actors: Requested number of actors.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    n_gpus = sum(int(node["GPU"]) for node in with_gpus)
    if not n_gpus:
        return n_actors, 0.0
    on_one_gpu = math.ceil(n_actors / n_gpus)
    room = sum(min(int(node["GPU"]) * on_one_gpu, int(node.get("CPU", 0) / ACTOR_CPUS)) for node in with_gpus)
    # Ray's resources have a resolution of 1e-4.
    return max(1, min(n_actors, room)), math.floor(1e4 / on_one_gpu) / 1e4


def _nodes() -> list[dict[str, float]]:
    with ray_errors():
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
