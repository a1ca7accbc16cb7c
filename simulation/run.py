"""Simulate data sets and nights: the files are the same for any number of workers, and with or without Ray."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from infra.calls import Call, CallFailure, Pool
from infra.errors import ClusterError, LensscanError
from infra.local_pool import LocalPool
from infra.progress import Progress, no_progress
from infra.store.storage import absolute
from scanner.sources.shards import ROWS_PER_SHARD
from simulation.products.dataset import DatasetSpec, is_shard_of, shard_uris
from simulation.products.render import SimulationError
from simulation.products.survey_tile import TileSpec
from simulation.simulator import ONE_THREAD, Simulator

_DEADLINE_S = 86400.0
"""Time for a shard or a tile, in seconds; they take minutes, so a call that runs longer hangs."""

Task = TypeVar("Task")


def simulate_dataset(
    spec: DatasetSpec, out_uri: str, n_workers: int, progress: Progress | None = None, ray_address: str | None = None
) -> list[str]:
    """Write the missing shards of a data set, and return the URIs of all, in order; `progress` counts objects.

    Raises:
        SimulationError: the folder holds shards of another data set.
        LensscanError: a shard could not be made.
    """
    out_uri = absolute(out_uri)
    uris = shard_uris(spec, out_uri)
    todo = [number for number, uri in enumerate(uris) if not is_shard_of(spec, number, uri)]
    report = progress or no_progress

    def n_objects(number: int) -> int:
        return min(ROWS_PER_SHARD, spec.n - number * ROWS_PER_SHARD)

    done = spec.n - sum(n_objects(number) for number in todo)
    report(done, spec.n)
    for (_, number), _ in _run("shard", [(spec, number) for number in todo], out_uri, n_workers, ray_address):
        done += n_objects(number)
        report(done, spec.n)
    return uris


def simulate_night(
    specs: Sequence[TileSpec], out_uri: str, n_workers: int, progress: Progress | None = None, ray_address: str | None = None
) -> list[str]:
    """Write a night's tiles, each into `out_uri/<tile_id>`, and return the URIs of all files, by tile; complete tiles are kept.

    `progress` counts tiles.

    Raises:
        ValueError: two specs have one tile_id.
        LensscanError: a tile could not be made.
    """
    if len({spec.tile_id for spec in specs}) != len(specs):
        raise ValueError(f"each tile_id may be simulated once, got {[spec.tile_id for spec in specs]}")
    report = progress or no_progress
    report(0, len(specs))
    files: dict[str, list[str]] = {}
    for spec, uris in _run("tile", specs, absolute(out_uri), n_workers, ray_address):
        files[spec.tile_id] = uris
        report(len(files), len(specs))
    return [uri for spec in specs for uri in files[spec.tile_id]]


def _run(
    method: str, tasks: Sequence[Task], out_uri: str, n_workers: int, ray_address: str | None
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, in order of completion, from workers that run as long as the iteration."""
    if n_workers < 1:
        raise ValueError(f"workers must be >= 1, got {n_workers}")
    if len(tasks) == 1 and ray_address is None:
        # Another process would import for as long as a small shard takes.
        yield tasks[0], getattr(Simulator(out_uri), method)(tasks[0])
    elif tasks:
        with _pool(out_uri, n_workers, len(tasks), ray_address) as pool:
            yield from results(pool, method, tasks)


@contextmanager
def _pool(out_uri: str, n_workers: int, n_tasks: int, ray_address: str | None) -> Iterator[Pool]:
    """Run a `with` block with simulators: processes of this machine, or actors of the cluster at an address."""
    if ray_address is None:
        n = min(n_workers, n_tasks)
        with closing(LocalPool("simulation.simulator:Simulator", (out_uri,), n, 1, ONE_THREAD)) as local:
            yield local
        return
    # Imported here, because Ray takes seconds to import.
    from infra.ray.cluster import actor_count, ray_session
    from simulation.actors import ACTOR_CPUS, simulator_pool

    with ray_session(ray_address), closing(simulator_pool(out_uri, actor_count(n_workers, n_tasks, ACTOR_CPUS))) as pool:
        yield pool


def results(pool: Pool, method: str, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
    """Call a method of the pool's workers with each task; yield the task with its result, in order of completion.

    Raises:
        LensscanError: the error of a task that failed.
        OSError: the same, from the system.
        SimulationError: a task raised another error, which another try would raise again.
        ClusterError: the worker of a task died; or the pool has no worker that runs.
    """
    for task in tasks:
        pool.submit(Call(method, (task,), _DEADLINE_S))
    while (result := pool.next_result()) is not None:
        (task,) = result.call.arguments
        if result.error is None:
            yield task, result.value
        elif result.failure is CallFailure.RAISED and isinstance(result.error, LensscanError | OSError):
            raise result.error
        else:
            reason = str(result.error) if isinstance(result.error, LensscanError) else repr(result.error)
            kind = SimulationError if result.failure is CallFailure.RAISED else ClusterError
            raise kind(f"{method} {_name(task)} failed: {reason}") from result.error


def _name(task: object) -> str:
    """Return the number of a shard, or the id of a tile."""
    return str(task[1] if isinstance(task, tuple) else getattr(task, "tile_id", task))
