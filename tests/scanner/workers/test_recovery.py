"""Check the next tasks after failures, with made units and without workers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.workers.recovery import MAX_DEATHS_ALONE, Failure, Task, UnitRecovery, nth_kept


def play(n_rows, poison, max_tries=400, too_large=None, unreadable=False):
    """Scan a unit whose rows at `poison` kill the worker, at first with other units; return the tasks and the rows left out.

    Batches of `too_large` rows or more kill the worker too, unless no row is scored; if `unreadable`, any task does.
    """
    recovery, tasks = UnitRecovery("u", n_rows, 64), []
    while not recovery.is_given_up and len(tasks) < max_tries:
        task = recovery.task()
        tasks.append(task)
        kept = [place for place in range(n_rows) if place not in task.left_out]
        looked_at = kept if task.trial is None else kept[slice(*task.trial)]
        has_no_memory = too_large is not None and task.batch_size >= too_large and looked_at
        if set(looked_at) & poison or has_no_memory or unreadable:
            recovery.failed(Failure.DIED_ALONE if task.is_alone else Failure.DIED)
        elif task.trial is None:
            return tasks, set(task.left_out)
        else:
            recovery.survived_trial()
    return tasks, None


def test_rows_keep_their_numbers_when_others_are_left_out():
    assert [nth_kept(n, [3, 0, 4]) for n in range(4)] == [1, 2, 5, 6]


def test_a_unit_whose_files_kill_is_given_up_unrejected():
    tasks, left_out = play(1000, set(), unreadable=True)
    assert left_out is None
    # The first task runs with other units; then, twice, two deaths alone and a trial that reads the files and no row.
    assert [(task.is_alone, task.trial) for task in tasks] == [(False, None)] + [(True, None), (True, None), (True, (0, 0))] * 2


def fail_whole(recovery, most=100):
    """Let whole units, but never trials, kill the worker; return the number of deaths until the unit is given up."""
    n_deaths = 0
    for _ in range(most):
        if recovery.is_given_up:
            return n_deaths
        if recovery.task().trial is None:
            recovery.failed(Failure.DIED_ALONE)
            n_deaths += 1
        else:
            recovery.survived_trial()
    return None


@pytest.mark.parametrize("n_rows", [0, 1, 8])
def test_two_searches_without_a_result_end_the_unit(n_rows):
    recovery = UnitRecovery("u", n_rows, 64)
    assert recovery.verdict == ""
    assert fail_whole(recovery) == 4
    assert recovery.verdict == "the unit kills workers, and no single row is the cause"


@pytest.mark.parametrize(("n_poison", "is_scanned"), [(1, True), (15, True), (16, True), (17, False), (39, False)])
def test_at_most_sixteen_rows_of_a_unit_are_left_out(n_poison, is_scanned):
    poison = set(range(1, 1 + n_poison))
    tasks, left_out = play(40, poison)
    assert left_out == (poison if is_scanned else None)
    assert max(len(task.left_out) for task in tasks) == min(n_poison, 16)


def test_a_search_matches_one_done_by_hand():
    """Rows 2 and 5 of 8 kill; the test checks every task, with batch size, rows left out and trial."""
    tasks, left_out = play(8, {2, 5})
    assert left_out == {2, 5}
    alone = {"is_alone": True}
    assert tasks == [
        Task("u", 64),
        Task("u", 16, **alone),
        Task("u", 4, **alone),
        *(Task("u", 1, **alone, trial=trial) for trial in [(0, 0), (0, 4), (0, 2), (2, 3), (2, 3), (2, 3)]),
        # One death is enough for another search, among the seven rows left: row 5 has number 4 there, from 0.
        Task("u", 1, (2,), **alone),
        *(Task("u", 1, (2,), **alone, trial=trial) for trial in [(0, 0), (0, 3), (3, 5), (3, 4), (4, 5), (4, 5)]),
        Task("u", 1, (2, 5), **alone),
    ]


def test_failures_before_a_row_was_found_do_not_count():
    recovery = UnitRecovery("u", 1, 64)
    for _ in range(2):
        recovery.failed(Failure.RAISED)
        recovery.failed(Failure.OVERDUE)
    fail_until_the_search(recovery)
    recovery.survived_trial()
    recovery.survived_trial()
    assert recovery.task().trial is None
    for _ in range(2):
        recovery.failed(Failure.RAISED)
        recovery.failed(Failure.OVERDUE)
    assert not recovery.is_given_up
    recovery.failed(Failure.RAISED)
    assert recovery.is_given_up
    assert recovery.verdict == ""


def fail_until_the_search(recovery):
    recovery.failed(Failure.DIED_ALONE)
    assert recovery.task().trial is None
    recovery.failed(Failure.DIED_ALONE)
    assert recovery.task().trial == (0, 0)


def test_running_out_of_memory_in_a_search_shrinks_batches():
    recovery = UnitRecovery("u", 100, 1024)
    fail_until_the_search(recovery)
    assert recovery.task().batch_size == 64
    recovery.failed(Failure.OUT_OF_MEMORY)
    assert (recovery.task().batch_size, recovery.task().trial) == (16, (0, 0))


@pytest.mark.parametrize(("n_rows", "poison"), [(1, {0}), (2, {0, 1})])
def test_at_least_one_row_must_be_left_to_score(n_rows, poison):
    assert play(n_rows, poison)[1] is None
    fewer = poison - {n_rows - 1}
    assert play(n_rows, fewer)[1] == fewer


def test_a_batch_of_two_shrinks_to_one():
    recovery = UnitRecovery("u", 8, 2)
    recovery.failed(Failure.OUT_OF_MEMORY)
    assert recovery.task() == Task("u", 1)


def test_only_a_death_alone_starts_a_second_search():
    recovery = UnitRecovery("u", 2, 64)
    fail_until_the_search(recovery)
    recovery.survived_trial()
    for _ in range(3):
        recovery.failed(Failure.DIED_ALONE)
    assert recovery.task() == Task("u", 4, (0,), is_alone=True)
    recovery.failed(Failure.DIED)
    assert recovery.task() == Task("u", 1, (0,), is_alone=True)
    recovery.failed(Failure.DIED_ALONE)
    assert recovery.task() == Task("u", 1, (0,), is_alone=True, trial=(0, 0))


def test_batches_of_one_are_the_smallest():
    recovery = UnitRecovery("u", 100, 3)
    for _ in range(2):
        recovery.failed(Failure.DIED)
        assert recovery.task().batch_size == 1


def test_a_death_with_other_units_starts_no_search():
    recovery = UnitRecovery("u", 8, 64)
    for _ in range(20):
        recovery.failed(Failure.DIED)
        assert recovery.task().trial is None
    assert not recovery.is_given_up


def test_only_store_failures_of_an_outage_are_forgotten():
    recovery = UnitRecovery("u", 8, 64)
    recovery.forget_store_failures()
    assert recovery.n_store_failures == 0
    for _ in range(2):
        recovery.failed(Failure.STORE)
        recovery.failed(Failure.RAISED)
    recovery.forget_store_failures()
    assert recovery.n_store_failures == 0
    recovery.failed(Failure.RAISED)
    assert recovery.is_given_up


@pytest.mark.parametrize("n_rows", [1, 2, 16])
def test_no_row_is_left_out_if_all_kill(n_rows):
    """A decoder may crash at any pixel: then the file is damaged, and it can be mended."""
    assert play(n_rows, set(range(n_rows)))[1] is None


def test_running_out_of_memory_shrinks_batches_then_ends_the_unit():
    """Running out of memory is a property of the machine, not of a row."""
    recovery = UnitRecovery("u", 8, 64)
    sizes = []
    while not recovery.is_given_up and len(sizes) < 20:
        sizes.append(recovery.task().batch_size)
        assert recovery.task().trial is None
        recovery.failed(Failure.OUT_OF_MEMORY)
    # The first failure at 1 may be due to memory that another unit of the same worker held.
    assert sizes == [64, 16, 4, 1] + [1] * 3
    assert recovery.task().is_alone


def test_a_unit_is_kept_if_another_took_the_memory():
    """Both units fail when their worker is killed, so only failures of a unit alone count."""
    recovery = UnitRecovery("u", 8, 64)
    for _ in range(4):
        assert not recovery.task().is_alone
        recovery.failed(Failure.OUT_OF_MEMORY)
    assert recovery.task().is_alone
    assert not recovery.is_given_up


@pytest.mark.parametrize("too_large", [64, 16, 4])
def test_a_row_that_kills_is_found_despite_little_memory(too_large):
    """Any batch of that size or more ends the worker without an error, as if the kernel killed it."""
    tasks, left_out = play(100, {7}, too_large=too_large)
    assert left_out == {7}
    assert tasks[-1].batch_size < too_large


def test_a_unit_with_lost_workers_is_tried_alone():
    recovery = UnitRecovery("u", 8, 64)
    for i in range(50):
        assert recovery.task() == Task("u", 64, is_alone=i >= 3)
        recovery.failed(Failure.LOST)
    assert not recovery.is_given_up


def test_a_death_shrinks_batches_too():
    recovery = UnitRecovery("u", 1000, 64)
    recovery.failed(Failure.DIED)
    assert recovery.task().batch_size == 16


@pytest.mark.parametrize("failure", [Failure.OUT_OF_MEMORY, Failure.OVERDUE, Failure.LOST])
def test_only_deaths_lead_to_left_out_rows(failure):
    recovery = UnitRecovery("u", 1, 1)
    for _ in range(MAX_DEATHS_ALONE):
        recovery.failed(Failure.DIED_ALONE)
    recovery.survived_trial()
    for _ in range(20):
        if recovery.is_given_up:
            break
        assert (recovery.task().trial, recovery.task().left_out) == ((0, 1), ())
        recovery.failed(failure)
    assert recovery.is_given_up == (failure is not Failure.LOST)


@pytest.mark.parametrize("failure", [Failure.RAISED, Failure.OVERDUE])
def test_a_unit_that_raises_or_hangs_is_tried_three_times(failure):
    recovery = UnitRecovery("u", 8, 64)
    for i in range(3):
        assert recovery.task() == Task("u", 64), i
        assert not recovery.is_given_up, i
        recovery.failed(failure)
    assert recovery.is_given_up


def test_store_failures_do_not_end_a_unit():
    recovery = UnitRecovery("u", 8, 64)
    before = recovery.task()
    for _ in range(50):
        recovery.failed(Failure.STORE)
    assert not recovery.is_given_up
    assert recovery.task() == before
    assert recovery.n_store_failures == 50


@pytest.mark.parametrize("failure", [Failure.DIED, Failure.DISTURBED])
def test_a_death_with_other_units_makes_the_next_try_alone(failure):
    recovery = UnitRecovery("u", 8, 64)
    assert not recovery.task().is_alone
    recovery.failed(failure)
    assert recovery.task().is_alone
    assert not recovery.is_given_up


def test_one_death_alone_leaves_out_no_row():
    recovery = UnitRecovery("u", 1, 64)
    for _ in range(MAX_DEATHS_ALONE):
        recovery.failed(Failure.DIED_ALONE)
    recovery.survived_trial()
    recovery.failed(Failure.DIED_ALONE)
    assert recovery.task().trial == (0, 1)
    recovery.survived_trial()
    assert recovery.task().left_out == ()


@given(st.integers(1, 3000), st.data())
def test_rows_that_kill_are_found_and_no_others(n_rows, data):
    poison = data.draw(st.sets(st.integers(0, n_rows - 1), max_size=min(5, n_rows - 1)))
    tasks, left_out = play(n_rows, poison)
    assert left_out == poison
    # A first death with other units, two alone; then per row: one death, the files, the halves, and the row alone, twice.
    assert len(tasks) <= 1 + MAX_DEATHS_ALONE + len(poison) * (1 + 1 + math.ceil(math.log2(n_rows)) + 2)
