"""Calls to the pools of the tests, and their ends."""

from infra.calls import Call


def call(method, *arguments, deadline_s=60.0, is_alone=False):
    return Call(method, arguments, deadline_s, is_alone)


def all_ended(pool, calls):
    for submitted in calls:
        pool.submit(submitted)
    return [pool.next_result() for _ in calls]


def values(pool, calls):
    results = all_ended(pool, calls)
    assert {result.failure for result in results} == {None}
    return [result.value for result in results]


def failures(pool, calls):
    """Return the failure of each call, in the order of the calls."""
    by_call = {result.call: result.failure for result in all_ended(pool, calls)}
    return [by_call[submitted] for submitted in calls]


def both_workers(pool, folder):
    """Return the process ids of both workers of a pool, once both run."""
    pids = set(values(pool, [call("meet", folder, 2) for _ in range(2)]))
    assert len(pids) == 2
    return pids
