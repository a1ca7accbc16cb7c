"""Choose how many scan actors a Ray cluster runs, and the threads and the share of a GPU that each of them gets."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.engine_name import EngineName
from infra.ray.cluster import actor_count
from infra.ray.nodes import free_resources, has_autoscaler, node_resources
from scanner.workers.threads import threads_on_nodes

ACTOR_CPUS = 0.5
"""CPUs that Ray reserves for an actor: less than one, so that two actors on a two-core machine leave room for the rest."""

_LOG = logging.getLogger(__name__)

Node = Mapping[str, float]
"""Resources of a node, by name."""


@dataclass(frozen=True)
class Placement:
    """The number of actors, and what each of them gets."""

    n_actors: int
    threads: int
    gpu_share: float = 0.0
    """Share of one GPU; 0 for an actor without."""
    hides_gpus: bool = False
    """Whether an actor must not use a GPU that its node has, because others use it."""


def place(engine: EngineName, workers: int, n_units: int) -> Placement:
    """Return the placement of at most `workers` actors for `n_units` units in the running Ray session.

    The engine `cuda` needs GPUs, also those that are in use now, and those of nodes that an autoscaler starts for it: a whole
    one for each actor, because the new nodes are unknown. `auto` takes the GPUs that are free, and CPUs if none is free.

    Raises:
        ClusterError: Ray is gone.
    """
    nodes, n_actors = node_resources(), actor_count(workers, n_units, ACTOR_CPUS)
    threads = threads_on_nodes([node.get("CPU", 0.0) for node in nodes], workers)
    if engine not in {"auto", "cuda"}:
        return Placement(n_actors, threads)
    takes_free = engine == "auto" and any(node.get("GPU", 0) for node in nodes)
    n_actors, share = gpu_shares(free_resources() if takes_free else nodes, n_actors)
    if takes_free and not share:
        _LOG.warning("all GPUs of the cluster are in use, so the scan uses CPUs to its end; `--engine cuda` waits for GPUs")
    if engine == "cuda" and not share and has_autoscaler():
        share = 1.0
    # Without a GPU and an autoscaler, an actor of `cuda` starts on a CPU and says at once what it lacks.
    return Placement(n_actors, threads, share, hides_gpus=takes_free and not share)


def gpu_shares(nodes: Sequence[Node], n_actors: int) -> tuple[int, float]:
    """Return how many of `n_actors` fit on the nodes with GPUs, and the share of a GPU for each of them.

    An actor needs its share of one GPU on one node, and its CPUs there; an actor that does not fit would wait for ever.

    Args:
        nodes: The resources of each node.
        n_actors: Requested number of actors.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= 1 and node.get("CPU", 0) >= ACTOR_CPUS]
    n_gpus = sum(int(node["GPU"]) for node in with_gpus)
    if not n_gpus:
        return n_actors, 0.0
    on_one_gpu = math.ceil(n_actors / n_gpus)
    room = sum(min(int(node["GPU"]) * on_one_gpu, int(node["CPU"] / ACTOR_CPUS)) for node in with_gpus)
    # Ray's resources have a resolution of 1e-4.
    return min(n_actors, room), math.floor(1e4 / on_one_gpu) / 1e4
