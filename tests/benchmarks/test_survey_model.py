"""The simulated scan beside closed forms: equal rounds, a full store, exact queueing theory, and restarts after deaths."""

from dataclasses import replace
from math import ceil, exp

import numpy as np
import pytest

from tests.benchmarks.survey_model import Simulation, Survey, simulate

EASY = Survey(
    n_tiles=1000,
    n_workers=64,
    core_s=70.0,
    core_spread=0.0,
    tile_bytes=6e9,
    store_bytes_per_s=1e30,
    worker_bytes_per_s=1e30,
)


@pytest.mark.parametrize(("n_tiles", "n_workers"), [(1000, 64), (64, 64), (65, 64), (10, 64), (56_000, 2000), (1, 1)])
def test_equal_tiles_from_a_fast_store_take_equal_rounds(n_tiles, n_workers):
    done = simulate(replace(EASY, n_tiles=n_tiles, n_workers=n_workers), 1)
    assert done.wall_s == pytest.approx(ceil(n_tiles / n_workers) * 70.0)
    assert done.read_bytes == pytest.approx(n_tiles * 6e9)
    assert done.scoring_s == pytest.approx(n_tiles * 70.0)


@pytest.mark.parametrize("n_workers", [100, 1000])
def test_a_full_store_sets_the_pace(n_workers):
    """All fetch all the time, and the last tile is scored after its fetch."""
    done = simulate(replace(EASY, n_workers=n_workers, store_bytes_per_s=5e9), 1)
    assert done.wall_s == pytest.approx(1000 * 6e9 / 5e9 + 70.0)


@pytest.mark.parametrize(
    ("fetch_s", "is_read_ahead", "wall_s"), [(30.0, True, 7030.0), (90.0, True, 9070.0), (30.0, False, 10_000.0)]
)
def test_one_worker_reads_ahead(fetch_s, is_read_ahead, wall_s):
    """A hundred tiles: the longer of both times each, and the shorter once; without reading ahead, the sum."""
    one = replace(EASY, n_tiles=100, n_workers=1, worker_bytes_per_s=6e9 / fetch_s, is_read_ahead=is_read_ahead)
    assert simulate(one, 1).wall_s == pytest.approx(wall_s)


def mean_value_throughput(n_workers, core_s, fetch_s):
    """Tiles per second of workers that fetch by turns and score, by exact mean value analysis (Reiser & Lavenberg 1980).

    The store shares its rate equally, so that the result holds for every distribution of both times.
    """
    waiting = 0.0
    throughput = 0.0
    for n in range(1, n_workers + 1):
        response = fetch_s * (1 + waiting)
        throughput = n / (core_s + response)
        waiting = throughput * response
    return throughput


@pytest.mark.parametrize("spread", [0.3, 1.0])
@pytest.mark.parametrize("n_workers", [5, 20, 60])
def test_the_store_is_shared_as_queueing_theory_says(n_workers, spread):
    fetch_s = 2.0
    survey = replace(
        EASY, n_tiles=40_000, n_workers=n_workers, core_spread=spread, core_s=40.0, store_bytes_per_s=3e9, is_read_ahead=False
    )
    assert survey.tile_bytes / survey.store_bytes_per_s == fetch_s
    done = simulate(survey, 3)
    assert survey.n_tiles / done.wall_s == pytest.approx(mean_value_throughput(n_workers, 40.0, fetch_s), rel=0.02)


def test_deaths_cost_what_restarts_cost():
    """A tile of t seconds on a worker that dies at rate λ and is back after r takes (1/λ + r)(exp(λt) - 1) on average."""
    per_hour, replacement_s, core_s = 10.0, 57.0, 300.0
    rate = per_hour / 3600
    one = replace(
        EASY, n_tiles=20_000, n_workers=1, core_s=core_s, is_read_ahead=False, deaths_per_worker_hour=per_hour,
        replacement_s=replacement_s,
    )  # fmt: skip
    done = simulate(one, 5)
    expected = (1 / rate + replacement_s) * (exp(rate * core_s) - 1)
    assert done.wall_s / one.n_tiles == pytest.approx(expected, rel=0.03)
    assert done.n_repeated == done.n_deaths


def test_workers_die_at_their_rate_with_two_tiles_at_most():
    survey = replace(
        EASY, n_tiles=20_000, core_spread=0.1, worker_bytes_per_s=2e8, deaths_per_worker_hour=0.5, replacement_s=0.0
    )
    done = simulate(survey, 2)
    assert done.n_deaths == pytest.approx(0.5 * 64 * done.wall_s / 3600, rel=0.15)
    assert done.n_deaths < done.n_repeated <= 2 * done.n_deaths
    assert done.read_bytes > survey.n_tiles * survey.tile_bytes
    assert done.scoring_s > simulate(replace(survey, deaths_per_worker_hour=0), 2).scoring_s


def test_failed_tiles_are_done_again():
    survey = replace(EASY, n_tiles=20_000, failed_share=0.2)
    done = simulate(survey, 2)
    # Each tile takes 1 / (1 - 0.2) tries on average.
    assert done.n_repeated == pytest.approx(20_000 * 0.25, rel=0.05)
    assert done.scoring_s == pytest.approx((20_000 + done.n_repeated) * 70.0)


def test_every_tile_is_done_once_with_deaths_and_failures():
    survey = replace(
        EASY, n_tiles=500, deaths_per_worker_hour=5.0, replacement_s=60.0, failed_share=0.1, worker_bytes_per_s=2e8
    )
    scan = Simulation(replace(survey, core_spread=0.5), np.random.default_rng(1))
    scan.run()
    held = [tile for at in scan._workers for tile in (at.fetching, at.fetched, at.scoring) if tile is not None]
    assert (scan._n_done, list(scan._queue), held) == (500, [], [])


def test_the_same_seed_gives_the_same_scan():
    survey = replace(EASY, core_spread=0.3, deaths_per_worker_hour=1.0)
    assert simulate(survey, 7) == simulate(survey, 7) != simulate(survey, 8)
