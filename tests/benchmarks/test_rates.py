import numpy as np
import pytest

from tests.benchmarks.rates import (
    best,
    core_ms,
    in_turns,
    larger,
    n_units_for,
    over,
    rate_of_whole_passes,
    rate_to_the_last_end,
    spreads,
)


def ends_of(workers, units_each, unit_s, rows, late=0.0):
    """Return unit ends of workers, each of which runs `late` seconds behind the one before it."""
    return sorted((late * worker + unit_s * (i + 1), rows) for worker in range(workers) for i in range(units_each))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("units_each", [1, 4, 9])
def test_the_rate_of_workers_in_step_is_their_sum(workers, units_each):
    assert rate_to_the_last_end(ends_of(workers, units_each, 5, 100)) == pytest.approx(workers * 20)


def test_a_worker_that_ends_late_lowers_the_rate():
    rate = rate_to_the_last_end(ends_of(2, 4, 5, 100, late=1))

    assert rate == pytest.approx(800 / 21)


def test_units_may_end_in_any_order_and_differ_in_size():
    assert rate_to_the_last_end([(4.0, 30), (1.0, 10), (2.0, 20)]) == pytest.approx(15)


@pytest.mark.parametrize("n_processes", [1, 2])
def test_the_rate_of_passes_is_exact_wherever_time_runs_out(n_processes):
    for until_s in (2.0, 2.9, 3.0, 17.3):
        processes = [(64, [0.5 * (i + 1) for i in range(40)]) for _ in range(n_processes)]
        assert rate_of_whole_passes(processes, until_s) == pytest.approx(n_processes * 128)


def test_a_slower_process_counts_with_its_own_rate_and_rows():
    fast, slow = [1.0, 2.0, 3.0, 4.0, 9.0], [3.0, 6.0]

    assert rate_of_whole_passes([(6, fast), (30, slow)], 4.5) == pytest.approx(6 + 10)


def test_a_process_without_a_finished_pass_is_an_error():
    with pytest.raises(ValueError, match="must end a pass"):
        rate_of_whole_passes([(6, [1.0, 2.0]), (6, [5.0])], 4.5)


@pytest.mark.parametrize(
    ("seconds", "unit_s", "workers", "available", "expected"),
    [(12, 1, 2, 40, 24), (12, 1, 2, 17, 16), (12, 7, 2, 24, 6), (12, 2.2, 3, 100, 15), (0.1, 1, 1, 5, 3)],
)
def test_all_workers_get_the_same_number_of_units(seconds, unit_s, workers, available, expected):
    assert n_units_for(seconds, unit_s, workers, available) == expected


def test_too_few_units_are_an_error():
    with pytest.raises(ValueError, match="6 units, got 5"):
        n_units_for(1, 1, 2, 5)


def test_measurements_are_taken_in_turns():
    order = []

    def measurement(name):
        order.append(name)
        return float(len(order))

    runs = in_turns({"a": lambda: measurement("a"), "b": lambda: measurement("b")}, 3)

    assert order == ["a", "b"] * 3
    assert runs == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_limits_are_the_larger_per_round_and_the_larger_median():
    one, a_core = [10.0, 11.0, 30.0], [12.0, 13.0, 14.0]

    assert larger(one, a_core) == [12, 13, 30]
    assert best(one, a_core) == a_core
    assert best(a_core, one) == a_core


def test_a_figure_has_the_median_least_and_most_of_rounds():
    found = spreads({"x": [3.0, 1.0, 9.0], "y": [5.0]})

    assert found == {"x": 3, "x_least": 1, "x_most": 9, "y": 5, "y_least": 5, "y_most": 5}


def test_ratios_are_those_of_the_rounds():
    ratios = over([2.0, 9.0, 8.0], [1.0, 3.0, 2.0])

    assert ratios == [2, 3, 4]
    assert np.median(ratios) == 3
    with pytest.raises(ValueError, match="zip"):
        over([1.0], [1.0, 2.0])


def test_the_cost_of_a_row_counts_all_cores():
    assert core_ms([100.0, 50.0], 2) == [20, 40]
