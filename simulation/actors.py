"""Run the simulator in Ray actors. The caller starts the Ray session."""

from typing import Any

import ray

from infra.ray.actor_pool import ActorPool
from simulation.simulator import ONE_THREAD, Simulator

ACTOR_CPUS = 0.5
"""Less than one, so that two actors on a two-core machine leave Ray room for everything else."""


def simulator_pool(out_uri: str, n_actors: int) -> ActorPool:
    """Start a pool of simulators that write under `out_uri`."""
    actor: Any = ray.remote(num_cpus=ACTOR_CPUS, runtime_env={"env_vars": ONE_THREAD})(Simulator)
    return ActorPool(lambda: actor.remote(out_uri), n_actors, in_flight=1, asks={"CPU": ACTOR_CPUS})
