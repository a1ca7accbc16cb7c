"""What follows from failures, played through with made units: no workers here."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.workers.recovery import MAX_DEATHS_ALONE, Failure, Task, UnitRecovery, nth_kept


def play(n_rows, poison, max_tries=400, too_large=None, unreadable=False):
    """Scan a unit whose rows at `poison` kill the worker, in company at first; the tasks, and what was left out in the end.

    Batches of `too_large` rows or more kill it too, however many rows are looked at; where it is `unreadable`, any look does.
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


def test_the_rows_before_and_after_one_left_out_keep_their_places():
    assert [nth_kept(n, [3, 0, 4]) for n in range(4)] == [1, 2, 5, 6]


def test_a_unit_whose_files_kill_is_given_up_and_its_rows_are_not_rejected():
    tasks, left_out = play(1000, set(), unreadable=True)
    assert left_out is None
    # In company, then twice: two deaths alone, and the files with no row looked at.
    assert [(task.is_alone, task.trial) for task in tasks] == [(False, None)] + [(True, None), (True, None), (True, (0, 0))] * 2


def fail_whole(recovery, most=100):
    """Whole units kill the worker and trials never do; how many deaths it takes until the unit is given up."""
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
def test_deaths_that_no_row_explains_end_the_unit_after_two_searches(n_rows):
    recovery = UnitRecovery("u", n_rows, 64)
    assert recovery.verdict == ""
    assert fail_whole(recovery) == 4
    assert recovery.verdict == "workers die of it, and no single row is to blame"


@pytest.mark.parametrize(("n_poison", "is_scanned"), [(1, True), (15, True), (16, True), (17, False), (39, False)])
def test_up_to_sixteen_rows_of_a_unit_may_kill_and_more_are_no_property_of_rows(n_poison, is_scanned):
    poison = set(range(1, 1 + n_poison))
    tasks, left_out = play(40, poison)
    assert left_out == (poison if is_scanned else None)
    assert max(len(task.left_out) for task in tasks) == min(n_poison, 16)


def test_a_search_is_played_as_by_hand():
    """Rows 2 and 5 of 8 kill: every try, with its size of batch, rows left out and trial."""
    tasks, left_out = play(8, {2, 5})
    assert left_out == {2, 5}
    alone = {"is_alone": True}
    assert tasks == [
        Task("u", 64),
        Task("u", 16, **alone),
        Task("u", 4, **alone),
        *(Task("u", 1, **alone, trial=trial) for trial in [(0, 0), (0, 4), (0, 2), (2, 3), (2, 3), (2, 3)]),
        # One death is enough for another search, among the seven rows left: row 5 comes fourth, from 0.
        Task("u", 1, (2,), **alone),
        *(Task("u", 1, (2,), **alone, trial=trial) for trial in [(0, 0), (0, 3), (3, 5), (3, 4), (4, 5), (4, 5)]),
        Task("u", 1, (2, 5), **alone),
    ]


def test_what_went_wrong_before_a_row_was_found_is_forgotten():
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


def test_memory_that_runs_out_in_a_search_makes_its_batches_smaller():
    recovery = UnitRecovery("u", 100, 1024)
    fail_until_the_search(recovery)
    assert recovery.task().batch_size == 64
    recovery.failed(Failure.OUT_OF_MEMORY)
    assert (recovery.task().batch_size, recovery.task().trial) == (16, (0, 0))


@pytest.mark.parametrize(("n_rows", "poison"), [(1, {0}), (2, {0, 1})])
def test_of_rows_that_kill_one_at_least_must_be_left_to_score(n_rows, poison):
    assert play(n_rows, poison)[1] is None
    fewer = poison - {n_rows - 1}
    assert play(n_rows, fewer)[1] == fewer


def test_of_two_rows_at_once_one_is_left_where_memory_runs_out():
    recovery = UnitRecovery("u", 8, 2)
    recovery.failed(Failure.OUT_OF_MEMORY)
    assert recovery.task() == Task("u", 1)


def test_after_a_row_was_found_a_death_in_company_starts_no_search_and_one_alone_does():
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


def test_a_death_in_company_starts_no_search():
    recovery = UnitRecovery("u", 8, 64)
    for _ in range(20):
        recovery.failed(Failure.DIED)
        assert recovery.task().trial is None
    assert not recovery.is_given_up


def test_failures_of_a_store_that_is_away_for_all_are_forgotten_and_no_others():
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
def test_where_every_row_kills_none_is_to_blame(n_rows):
    """As where a decoder crashes whenever it comes to the pixels: then the file is at fault, which can be mended."""
    assert play(n_rows, set(range(n_rows)))[1] is None


def test_memory_that_runs_out_makes_batches_smaller_and_in_the_end_the_unit_is_given_up():
    """It says something of the machine, and nothing of a row."""
    recovery = UnitRecovery("u", 8, 64)
    sizes = []
    while not recovery.is_given_up and len(sizes) < 20:
        sizes.append(recovery.task().batch_size)
        assert recovery.task().trial is None
        recovery.failed(Failure.OUT_OF_MEMORY)
    # The first at 1 may have been for want of the memory that another unit of the same worker held.
    assert sizes == [64, 16, 4, 1] + [1] * 3
    assert recovery.task().is_alone


def test_a_unit_is_not_given_up_for_the_memory_of_another():
    """Both are said to have had none when their worker is killed: only what happens to one that is alone counts."""
    recovery = UnitRecovery("u", 8, 64)
    for _ in range(4):
        assert not recovery.task().is_alone
        recovery.failed(Failure.OUT_OF_MEMORY)
    assert recovery.task().is_alone
    assert not recovery.is_given_up


@pytest.mark.parametrize("too_large", [64, 16, 4])
def test_a_row_that_kills_is_found_where_memory_runs_out_too(too_large):
    """Without a word, as when the kernel kills: any batch of that size or more ends the worker."""
    tasks, left_out = play(100, {7}, too_large=too_large)
    assert left_out == {7}
    assert tasks[-1].batch_size < too_large


def test_a_unit_whose_worker_is_lost_again_and_again_is_tried_alone_and_not_given_up():
    recovery = UnitRecovery("u", 8, 64)
    for i in range(50):
        assert recovery.task() == Task("u", 64, is_alone=i >= 3)
        recovery.failed(Failure.LOST)
    assert not recovery.is_given_up


def test_a_death_makes_batches_smaller_too_for_the_kernel_does_not_say_why_it_kills():
    recovery = UnitRecovery("u", 1000, 64)
    recovery.failed(Failure.DIED)
    assert recovery.task().batch_size == 16


@pytest.mark.parametrize("failure", [Failure.OUT_OF_MEMORY, Failure.OVERDUE, Failure.LOST])
def test_what_is_no_death_convicts_no_row(failure):
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
def test_what_raises_or_hangs_is_tried_a_few_times(failure):
    recovery = UnitRecovery("u", 8, 64)
    for i in range(3):
        assert recovery.task() == Task("u", 64), i
        assert not recovery.is_given_up, i
        recovery.failed(failure)
    assert recovery.is_given_up


def test_a_failing_store_and_the_faults_of_others_are_no_fault_of_a_unit():
    recovery = UnitRecovery("u", 8, 64)
    before = recovery.task()
    for _ in range(50):
        recovery.failed(Failure.STORE)
    assert not recovery.is_given_up
    assert recovery.task() == before
    assert recovery.n_store_failures == 50


@pytest.mark.parametrize("failure", [Failure.DIED, Failure.DISTURBED])
def test_after_a_death_or_a_hang_in_company_the_next_try_is_alone(failure):
    recovery = UnitRecovery("u", 8, 64)
    assert not recovery.task().is_alone
    recovery.failed(failure)
    assert recovery.task().is_alone
    assert not recovery.is_given_up


def test_one_death_alone_convicts_no_row():
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
    # A first death in company, two alone; then per row: one death, the files, the halves, and the row alone, twice.
    assert len(tasks) <= 1 + MAX_DEATHS_ALONE + len(poison) * (1 + 1 + math.ceil(math.log2(n_rows)) + 2)
