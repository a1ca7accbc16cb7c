"""Measure the rate at which the simulator makes complete stamps, in one process and in actors that write shards."""

from pathlib import Path
from typing import Self

import numpy as np
import ray
from skimage.transform import resize

from infra.ray.cluster import ray_session
from scanner.preprocess.resample import resized
from scanner.sources.shards import ROWS_PER_SHARD
from simulation.actors import simulator_pool
from simulation.products.dataset import DatasetSpec, simulate_objects
from simulation.run import results
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
        self._n, self._next = n, 1
        self._pool = simulator_pool(str(scratch / f"simulated-{n}"), n)
        # Wait until all actors have started, so that each warms up with a shard of its own.
        ray.get([slot.starting for slot in self._pool._slots])
        list(results(self._pool, "shard", [(FEW, 0)] * n))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.close()

    def rate(self, shards_each: int) -> float:
        """Return the stamps per second, from the start of all actors until the last has written its last shard."""
        numbers = range(self._next, self._next + shards_each * self._n)
        self._next = numbers.stop
        tasks = [(SPEC, number) for number in numbers]
        return len(tasks) * ROWS_PER_SHARD / seconds_of(lambda: list(results(self._pool, "shard", tasks)))
