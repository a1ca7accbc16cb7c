"""Run the simulator in Ray actors: the files are the same for any number of actors.

The caller starts the Ray session.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from infra.errors import LensscanError
from infra.progress import Progress, no_progress
from infra.ray.actor_pool import ActorPool
from infra.ray.calls import Call
from infra.ray.cluster import ClusterError, actor_count
from infra.store.storage import absolute, create_if_absent
from scanner.sources.shards import ROWS_PER_SHARD, encode_shard
from simulation.products.dataset import DatasetSpec, is_shard_of, shard_uris, simulate_shard
from simulation.products.survey_tile import TileSpec, simulate_tile

ACTOR_CPUS = 0.5
"""Less than one, so that two actors on a two-core machine leave Ray room for everything else."""
_DEADLINE_S = 86400.0
"""Time for a shard or a tile, in seconds; they take minutes, so a call that runs longer hangs."""
# Matrix products of concurrent actors would each take all cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

Task = TypeVar("Task")


class Simulator:
    """A Ray actor that makes whole shards and tiles and writes them itself; it returns only their URIs."""

    def __init__(self, out_uri: str) -> None:
        """Write under `out_uri`."""
        self._out_uri = out_uri

    def shard(self, task: tuple[DatasetSpec, int]) -> str:
        """Simulate one shard, write it unless it exists, and return its URI."""
        spec, number = task
        uri = shard_uris(spec, self._out_uri)[number]
        attempt = f"{os.getpid()}-{number}"
        create_if_absent(uri, encode_shard(simulate_shard(spec, number)), attempt)
        return uri

    def tile(self, spec: TileSpec) -> list[str]:
        """Simulate one tile, write it unless it exists, and return the URIs of its files."""
        return simulate_tile(spec, self._out_uri)


def simulate_dataset(spec: DatasetSpec, out_uri: str, n_workers: int, progress: Progress | None = None) -> list[str]:
    """Write the missing shards of a data set, and return the URIs of all, in order; `progress` counts objects.

    Raises:
        SimulationError: the folder holds shards of another data set.
        ClusterError: a shard could not be made; the message names it.
    """
    out_uri = absolute(out_uri)
    uris = shard_uris(spec, out_uri)
    todo = [number for number, uri in enumerate(uris) if not is_shard_of(spec, number, uri)]
    report = progress or no_progress

    def n_objects(number: int) -> int:
        return min(ROWS_PER_SHARD, spec.n - number * ROWS_PER_SHARD)

    done = spec.n - sum(n_objects(number) for number in todo)
    report(done, spec.n)
    for (_, number), _ in _run("shard", [(spec, number) for number in todo], out_uri, n_workers):
        done += n_objects(number)
        report(done, spec.n)
    return uris


def simulate_night(specs: Sequence[TileSpec], out_uri: str, n_workers: int, progress: Progress | None = None) -> list[str]:
    """Write a night's tiles, each into `out_uri/<tile_id>`, and return the URIs of all files, by tile; complete tiles are kept.

    `progress` counts tiles.

    Raises:
        ValueError: two specs have one tile_id.
        ClusterError: a tile could not be made; the message names it.
    """
    if len({spec.tile_id for spec in specs}) != len(specs):
        raise ValueError(f"each tile_id may be simulated once, got {[spec.tile_id for spec in specs]}")
    report = progress or no_progress
    report(0, len(specs))
    files: dict[str, list[str]] = {}
    for spec, uris in _run("tile", specs, absolute(out_uri), n_workers):
        files[spec.tile_id] = uris
        report(len(files), len(specs))
    return [uri for spec in specs for uri in files[spec.tile_id]]


def _run(method: str, tasks: Sequence[Task], out_uri: str, n_workers: int) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, in order of completion, from actors that run as long as the iteration."""
    if not tasks:
        return
    pool = simulator_pool(out_uri, actor_count(n_workers, len(tasks), ACTOR_CPUS))
    try:
        yield from results(pool, method, tasks)
    finally:
        pool.close()


def simulator_pool(out_uri: str, n_actors: int) -> ActorPool:
    """Start a pool of simulators that write under `out_uri`."""
    actor: Any = ray.remote(num_cpus=ACTOR_CPUS, runtime_env={"env_vars": _ONE_THREAD})(Simulator)
    return ActorPool(lambda: actor.remote(out_uri), n_actors, in_flight=1)


def results(pool: ActorPool, method: str, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
    """Call a method of the pool's actors with each task; yield the task with its result, in order of completion.

    Raises:
        ClusterError: a call failed or its actor died, and the message names the task; or the pool has no actor that runs.
    """
    for task in tasks:
        pool.submit(Call(method, (task,), _DEADLINE_S))
    while (result := pool.next_result()) is not None:
        (task,) = result.call.arguments
        if result.error is not None:
            reason = str(result.error) if isinstance(result.error, LensscanError) else repr(result.error)
            raise ClusterError(f"{method}({task!r}) failed: {reason}") from result.error
        yield task, result.value
