import pytest

from scanner.scan.estimate import Measured, estimate
from scanner.scan.planned_input import UnitSize

MEASURED = Measured(
    unit_id="a",
    threads=2,
    n_scored=256,
    n_candidates=0,
    n_shown=0,
    start_s=36,
    cut_per_s=1000,
    score_per_s=500,
    s_per_map=0.5,
    s_per_photometry=0,
    fetch_bytes_per_s=1e8,
    written_bytes_per_row=50,
    written_bytes_per_map=1000,
    memory_bytes=10**9,
)
SIZE = UnitSize(36_000, 6 * 10**9)


def test_the_estimate_matches_a_closed_form():
    # A unit takes 36 core seconds to cut and 144 to score, so 90 s of two cores; fetching 6 GB takes 60 s meanwhile.
    found = estimate(MEASURED, [SIZE] * 1001, workers=10)
    assert found.limited_by == "computing"
    assert found.wall_hours == pytest.approx((36 + 101 * 90) / 3600)
    assert found.core_hours == pytest.approx((1001 * 180 + 10 * 72) / 3600)
    assert (found.n_rows, found.read_bytes) == (1001 * 36_000, 1001 * 6 * 10**9)
    assert found.written_bytes == 1001 * 36_000 * 50
    assert (found.workers, found.memory_bytes_per_worker, found.memory_bytes) == (10, 10**9, 10**10)


def test_a_slow_store_limits_the_scan():
    found = estimate(MEASURED.model_copy(update={"fetch_bytes_per_s": 5e7}), [SIZE] * 3, workers=5)
    assert found.limited_by == "reading"
    assert found.wall_hours == pytest.approx((36 + 120) / 3600)
    # No more workers than units are started.
    assert (found.workers, found.memory_bytes) == (3, 3 * 10**9)


def test_units_of_different_sizes_are_added_up():
    """Two workers take 90 s and 45 s; the one that is free first takes the third unit."""
    sizes = [SIZE, UnitSize(18_000, 10**9), UnitSize(6_000, 10**9)]
    found = estimate(MEASURED, sizes, workers=2)
    assert found.wall_hours == pytest.approx((36 + 90) / 3600)
    assert (found.n_rows, found.read_bytes) == (60_000, 8 * 10**9)


def test_maps_cost_time_and_bytes():
    """One row in 256 is a candidate, so 141 of a unit are, of which at most 100 have maps: 50 s of two cores."""
    measured = MEASURED.model_copy(update={"n_candidates": 1})
    without, with_maps = estimate(measured, [SIZE] * 2, 1), estimate(measured, [SIZE] * 2, 1, maps_per_unit=100)
    assert (without.n_maps, with_maps.n_maps) == (0, 200)
    assert with_maps.wall_hours - without.wall_hours == pytest.approx(100 / 3600)
    assert with_maps.core_hours - without.core_hours == pytest.approx(200 / 3600)
    # The unit file and the candidate file hold each map.
    assert with_maps.written_bytes - without.written_bytes == 2 * 200 * 1000
    assert estimate(measured, [UnitSize(256, 1)], 1, maps_per_unit=100).n_maps == 1


def test_every_candidate_is_measured_not_only_those_with_maps():
    """The 36 000 rows hold 140.625 candidates, 0.64 s each: 90 s of two cores."""
    measured = MEASURED.model_copy(update={"n_candidates": 1})
    slow = measured.model_copy(update={"s_per_photometry": 0.64})
    without, with_photometry = estimate(measured, [SIZE] * 2, 1, 10), estimate(slow, [SIZE] * 2, 1, 10)
    assert with_photometry.wall_hours - without.wall_hours == pytest.approx(2 * 90 / 3600)
    assert with_photometry.core_hours - without.core_hours == pytest.approx(2 * 180 / 3600)


@pytest.mark.parametrize(("n_units", "workers"), [(0, 1), (1, 0)])
def test_zero_units_or_workers_are_refused(n_units, workers):
    with pytest.raises(ValueError, match=f"must be >= 1, got {n_units} and {workers}"):
        estimate(MEASURED, [SIZE] * n_units, workers)
