"""Scan on Ray: workers are actors, which share the GPUs of the cluster."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import actor_count, ray_errors
from infra.store.s3_access import access_variables
from scanner.catalogue.plan import Plan
from scanner.workers.threads import IN_FLIGHT, thread_settings, threads_of
from scanner.workers.unit_scanner import UnitScanner

ACTOR_CPUS = 0.5
"""CPUs that Ray reserves for an actor: less than one, so that two actors on a two-core machine leave room for the rest."""


def scanner_pool(plan: Plan, package: Path, root_uri: str, workers: int, n_units: int) -> ActorPool:
    """Start at most `workers` scanners for `n_units` units in the running Ray session.

    Raises:
        ClusterError: Ray is gone.
    """
    n_actors = actor_count(workers, n_units, ACTOR_CPUS)
    gpu_share = 0.0
    if plan.config.engine in {"auto", "cuda"}:
        n_actors, gpu_share = gpu_shares(_nodes(), n_actors)
    threads = threads_of(workers)
    remote: Any = ray.remote(UnitScanner)
    actor = remote.options(
        num_cpus=ACTOR_CPUS,
        num_gpus=gpu_share,
        # One thread more answers how far the others are.
        max_concurrency=IN_FLIGHT + 1,
        runtime_env={"env_vars": {**thread_settings(threads), **access_variables()}},
    )
    with ray_errors():
        # Store the plan once for all actors, because it is large: it holds every unit of the night.
        shared = ray.put(plan)
    return ActorPool(lambda: actor.remote(shared, package, root_uri, threads), n_actors, IN_FLIGHT)


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
