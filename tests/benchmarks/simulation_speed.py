"""Measure the rate at which the simulator makes complete stamps, in one process and in actors that write shards."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import ray
from skimage.transform import resize

from infra.ray.cluster import bounded_map, ray_session
from scanner.preprocess.resample import resized
from scanner.sources.shards import ROWS_PER_SHARD
from simulation.actors import _ONE_THREAD, ACTOR_CPUS, Simulator
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.benchmarks.rates import in_turns, over, seconds_of, seconds_of_runs, spreads
from tests.benchmarks.sizes import CORES, Sizes

SPEC = DatasetSpec(n=100 * ROWS_PER_SHARD, seed=1, geometry="mer")
FEW = DatasetSpec(n=8, seed=2, geometry="mer")
"""A few objects for the warm-up."""
N_RESIZED = 64


def measure(scratch: Path, sizes: Sizes) -> dict[str, float]:
    """Measure the rates and their ratio in turns, and the banded matrix product against scikit-image, 66 to 200 px."""
    simulate_objects(FEW, range(FEW.n))
    with ray_session(num_cpus=2 * CORES), Simulators(1, scratch) as one, Simulators(2, scratch) as two:
        runs = in_turns(
            {
                "simulate_per_s": lambda: (
                    sizes.n_simulated / seconds_of(lambda: simulate_objects(SPEC, range(sizes.n_simulated)))
                ),
                "simulate_1_actors_per_s": lambda: one.rate(sizes.shards_per_simulator),
                "simulate_2_actors_per_s": lambda: two.rate(sizes.shards_per_simulator),
            },
            sizes.rounds,
        )
    runs["simulate_two_actors_over_one"] = over(runs["simulate_2_actors_per_s"], runs["simulate_1_actors_per_s"])
    images = np.random.default_rng(1).normal(size=(N_RESIZED, 66, 66)).astype(np.float32)
    ours = seconds_of_runs(lambda: resized(images, 200), sizes.rounds)
    theirs = seconds_of_runs(lambda: [resize(image, (200, 200)) for image in images], sizes.rounds)
    return spreads({**runs, "resize_over_skimage": over(theirs, ours)})


class Simulators:
    """Actors as `lensscan simulate` starts them, each warmed up with some objects, until the `with` block ends."""

    def __init__(self, n: int, scratch: Path) -> None:
        actor: Any = ray.remote(num_cpus=ACTOR_CPUS, runtime_env={"env_vars": _ONE_THREAD})(Simulator)
        self._actors = [actor.remote(str(scratch / f"simulated-{n}")) for _ in range(n)]
        ray.get([actor.shard.remote((FEW, 0)) for actor in self._actors])
        self._next = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for actor in self._actors:
            ray.kill(actor)

    def rate(self, shards_each: int) -> float:
        """Return the stamps per second, from the start of all actors until the last has written its last shard."""
        numbers = range(self._next, self._next + shards_each * len(self._actors))
        self._next = numbers.stop
        tasks = [(SPEC, number) for number in numbers]
        return len(tasks) * ROWS_PER_SHARD / seconds_of(lambda: list(bounded_map(self._actors, "shard", tasks)))
