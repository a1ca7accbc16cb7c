"""Check the next tasks after failures, with made units and without workers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.workers.retry_state import MAX_CRASHES_ALONE, Failure, RetryState
from tests.scanner.tasks import commit, crashed_of, read_of, trial


def play(n_rows, poison, max_tries=400, too_large=None, unreadable=False):
    """Scan a unit whose rows at `poison` kill the worker, at first with other units; return the tasks and the rows left out.

    Batches of `too_large` rows or more kill the worker too, unless no row is scored; if `unreadable`, any task does.
    """
    state, tasks = RetryState("u", n_rows, 64), []
    while not state.is_given_up and len(tasks) < max_tries:
        task = state.task()
        tasks.append(task)
        read = read_of(task, n_rows)
        has_no_memory = too_large is not None and task.batch_size >= too_large and read
        if read & poison or has_no_memory or unreadable:
            state.failed(Failure.CRASHED_ALONE if task.is_alone else Failure.CRASHED)
        elif not task.is_trial:
            return tasks, set(crashed_of(task))
        else:
            state.survived_trial()
    return tasks, None


def test_a_unit_whose_files_kill_is_given_up_unrejected():
    tasks, left_out = play(1000, set(), unreadable=True)
    assert left_out is None
    # The first task runs with other units; then, twice, two deaths alone and a trial that reads the files and no row.
    whole, files = (True, False, None), (True, True, ())
    assert [(task.is_alone, task.is_trial, task.rows.read) for task in tasks] == [(False, False, None)] + [
        whole,
        whole,
        files,
    ] * 2


def fail_whole(state, most=100):
    """Let whole units, but never trials, kill the worker; return the number of deaths until the unit is given up."""
    n_deaths = 0
    for _ in range(most):
        if state.is_given_up:
            return n_deaths
        if not state.task().is_trial:
            state.failed(Failure.CRASHED_ALONE)
            n_deaths += 1
        else:
            state.survived_trial()
    return None


@pytest.mark.parametrize("n_rows", [0, 1, 8])
def test_two_searches_without_a_result_end_the_unit(n_rows):
    state = RetryState("u", n_rows, 64)
    assert state.reason == ""
    assert fail_whole(state) == 4
    assert state.reason == "it kills workers, and no single row is the cause"


@pytest.mark.parametrize(("n_poison", "is_scanned"), [(1, True), (15, True), (16, True), (17, False), (39, False)])
def test_at_most_sixteen_rows_of_a_unit_are_left_out(n_poison, is_scanned):
    poison = set(range(1, 1 + n_poison))
    tasks, left_out = play(40, poison)
    assert left_out == (poison if is_scanned else None)
    assert max(len(crashed_of(task)) for task in tasks) == min(n_poison, 16)


def test_a_search_matches_one_done_by_hand():
    """Rows 2 and 5 of 8 kill; the test checks every task, with batch size, rows left out and trial."""
    tasks, left_out = play(8, {2, 5})
    assert left_out == {2, 5}
    assert tasks == [
        commit("u", 64),
        commit("u", 16, is_alone=True),
        commit("u", 4, is_alone=True),
        *(trial("u", 1, rows) for rows in [(), (0, 1, 2, 3), (0, 1), (2,), (2,), (2,)]),
        # One death is enough for another search, among the seven rows that are left.
        commit("u", 1, (2,), is_alone=True),
        *(trial("u", 1, rows) for rows in [(), (0, 1, 3), (4, 5), (4,), (5,), (5,)]),
        commit("u", 1, (2, 5), is_alone=True),
    ]


def test_failures_before_a_row_was_found_do_not_count():
    state = RetryState("u", 1, 64)
    for _ in range(2):
        state.failed(Failure.RAISED)
        state.failed(Failure.OVERDUE)
    fail_until_the_search(state)
    state.survived_trial()
    state.survived_trial()
    assert not state.task().is_trial
    for _ in range(2):
        state.failed(Failure.RAISED)
        state.failed(Failure.OVERDUE)
    assert not state.is_given_up
    state.failed(Failure.RAISED)
    assert state.is_given_up
    assert state.reason == ""


def fail_until_the_search(state):
    state.failed(Failure.CRASHED_ALONE)
    assert not state.task().is_trial
    state.failed(Failure.CRASHED_ALONE)
    assert state.task().rows.read == ()


def test_running_out_of_memory_in_a_search_shrinks_batches():
    state = RetryState("u", 100, 1024)
    fail_until_the_search(state)
    assert state.task().batch_size == 64
    state.failed(Failure.OUT_OF_MEMORY)
    assert (state.task().batch_size, state.task().rows.read) == (16, ())


@pytest.mark.parametrize(("n_rows", "poison"), [(1, {0}), (2, {0, 1})])
def test_at_least_one_row_must_be_left_to_score(n_rows, poison):
    assert play(n_rows, poison)[1] is None
    fewer = poison - {n_rows - 1}
    assert play(n_rows, fewer)[1] == fewer


def test_a_batch_of_two_shrinks_to_one():
    state = RetryState("u", 8, 2)
    state.failed(Failure.OUT_OF_MEMORY)
    assert state.task() == commit("u", 1)


def test_only_a_death_alone_starts_a_second_search():
    state = RetryState("u", 2, 64)
    fail_until_the_search(state)
    state.survived_trial()
    for _ in range(3):
        state.failed(Failure.CRASHED_ALONE)
    assert state.task() == commit("u", 4, (0,), is_alone=True)
    state.failed(Failure.CRASHED)
    assert state.task() == commit("u", 1, (0,), is_alone=True)
    state.failed(Failure.CRASHED_ALONE)
    assert state.task() == trial("u", 1, ())


def test_batches_of_one_are_the_smallest():
    state = RetryState("u", 100, 3)
    for _ in range(2):
        state.failed(Failure.CRASHED)
        assert state.task().batch_size == 1


def test_a_death_with_other_units_starts_no_search():
    state = RetryState("u", 8, 64)
    for _ in range(20):
        state.failed(Failure.CRASHED)
        assert not state.task().is_trial
    assert not state.is_given_up


def test_only_store_failures_of_an_outage_are_forgotten():
    state = RetryState("u", 8, 64)
    state.forget_store_failures()
    assert state.n_store_failures == 0
    for _ in range(2):
        state.failed(Failure.STORE)
        state.failed(Failure.RAISED)
    state.forget_store_failures()
    assert state.n_store_failures == 0
    state.failed(Failure.RAISED)
    assert state.is_given_up


@pytest.mark.parametrize("n_rows", [1, 2, 16])
def test_no_row_is_left_out_if_all_kill(n_rows):
    """A decoder may crash at any pixel: then the file is damaged, and it can be mended."""
    assert play(n_rows, set(range(n_rows)))[1] is None


def test_running_out_of_memory_shrinks_batches_then_ends_the_unit():
    """Running out of memory is a property of the machine, not of a row."""
    state = RetryState("u", 8, 64)
    sizes = []
    while not state.is_given_up and len(sizes) < 20:
        sizes.append(state.task().batch_size)
        assert not state.task().is_trial
        state.failed(Failure.OUT_OF_MEMORY)
    # The first failure at 1 may be due to memory that another unit of the same worker held.
    assert sizes == [64, 16, 4, 1] + [1] * 3
    assert state.task().is_alone


def test_a_unit_is_kept_if_another_took_the_memory():
    """Both units fail when their worker is killed, so only failures of a unit alone count."""
    state = RetryState("u", 8, 64)
    for _ in range(4):
        assert not state.task().is_alone
        state.failed(Failure.OUT_OF_MEMORY)
    assert state.task().is_alone
    assert not state.is_given_up


@pytest.mark.parametrize("too_large", [64, 16, 4])
def test_a_row_that_kills_is_found_despite_little_memory(too_large):
    """Any batch of that size or more ends the worker without an error, as if the kernel killed it."""
    tasks, left_out = play(100, {7}, too_large=too_large)
    assert left_out == {7}
    assert tasks[-1].batch_size < too_large


def test_a_unit_with_lost_workers_is_tried_alone():
    state = RetryState("u", 8, 64)
    for i in range(50):
        assert state.task() == commit("u", 64, is_alone=i >= 3)
        state.failed(Failure.LOST)
    assert not state.is_given_up


def test_a_death_shrinks_batches_too():
    state = RetryState("u", 1000, 64)
    state.failed(Failure.CRASHED)
    assert state.task().batch_size == 16


@pytest.mark.parametrize("failure", [Failure.OUT_OF_MEMORY, Failure.OVERDUE, Failure.LOST])
def test_only_deaths_lead_to_left_out_rows(failure):
    state = RetryState("u", 1, 1)
    for _ in range(MAX_CRASHES_ALONE):
        state.failed(Failure.CRASHED_ALONE)
    state.survived_trial()
    for _ in range(20):
        if state.is_given_up:
            break
        assert state.task() == trial("u", 1, (0,))
        state.failed(failure)
    assert state.is_given_up == (failure is not Failure.LOST)


@pytest.mark.parametrize("failure", [Failure.RAISED, Failure.OVERDUE])
def test_a_unit_that_raises_or_hangs_is_tried_three_times(failure):
    state = RetryState("u", 8, 64)
    for i in range(3):
        assert state.task() == commit("u", 64), i
        assert not state.is_given_up, i
        state.failed(failure)
    assert state.is_given_up


def test_store_failures_do_not_end_a_unit():
    state = RetryState("u", 8, 64)
    before = state.task()
    for _ in range(50):
        state.failed(Failure.STORE)
    assert not state.is_given_up
    assert state.task() == before
    assert state.n_store_failures == 50


@pytest.mark.parametrize("failure", [Failure.CRASHED, Failure.KILLED_WITH_NEIGHBOUR])
def test_a_death_with_other_units_makes_the_next_try_alone(failure):
    state = RetryState("u", 8, 64)
    assert not state.task().is_alone
    state.failed(failure)
    assert state.task().is_alone
    assert not state.is_given_up


def test_one_death_alone_leaves_out_no_row():
    state = RetryState("u", 1, 64)
    for _ in range(MAX_CRASHES_ALONE):
        state.failed(Failure.CRASHED_ALONE)
    state.survived_trial()
    state.failed(Failure.CRASHED_ALONE)
    assert state.task().rows.read == (0,)
    state.survived_trial()
    assert crashed_of(state.task()) == ()


@given(st.integers(1, 3000), st.data())
def test_rows_that_kill_are_found_and_no_others(n_rows, data):
    poison = data.draw(st.sets(st.integers(0, n_rows - 1), max_size=min(5, n_rows - 1)))
    tasks, left_out = play(n_rows, poison)
    assert left_out == poison
    # A first death with other units, two alone; then per row: one death, the files, the halves, and the row alone, twice.
    assert len(tasks) <= 1 + MAX_CRASHES_ALONE + len(poison) * (1 + 1 + math.ceil(math.log2(n_rows)) + 2)
