import re
from datetime import datetime, timedelta

import pytest

from infra.store.storage import StorageError
from scanner.workers.store_backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSES_AFTER, StoreBackoff
from tests.scanner.fake_pool import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backoff(clock):
    return StoreBackoff(patience_s=900, clock=clock, sleep=clock.sleep)


def test_a_lone_failure_pauses_nothing(backoff, clock):
    for _ in range(50):
        backoff.failed(OSError("away"))
        backoff.worked()
        backoff.wait()
    assert clock.sleeps == []


def test_pauses_grow_and_a_success_ends_them(backoff, clock, caplog):
    """The pause is told once, with its end: the patience counts from the first failure."""
    for _ in range(12):
        backoff.failed(OSError("away"))
        backoff.wait()
        assert backoff.is_pausing == bool(clock.sleeps)
    pauses = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert clock.sleeps == pauses
    now = datetime.now().astimezone()
    ends = {(now + timedelta(seconds=seconds)).strftime("%H:%M") for seconds in (899, 900)}
    (told,) = [record.getMessage() for record in caplog.records]
    until = re.fullmatch(r"the store fails: the scan waits for it until (..:..); Ctrl-C is safe, .* goes on later", told)[1]
    assert until in ends
    backoff.worked()
    backoff.wait()
    assert not backoff.is_pausing
    assert clock.sleeps == pauses


def fail_for_ever(backoff):
    for _ in range(1000):
        backoff.failed(OSError("no route to the store"))
        backoff.wait()


def test_an_outage_longer_than_patience_raises_with_advice(backoff, clock):
    with pytest.raises(StorageError, match=r"has failed for 9.. s.*: no route to the store.*run the same command again"):
        fail_for_ever(backoff)
    assert sum(clock.sleeps) <= 900 + LONGEST_PAUSE_S


def test_patience_restarts_after_a_success(backoff, clock):
    for _ in range(10):
        clock.now += 500
        backoff.failed(OSError("away"))
        backoff.worked()
    for _ in range(PAUSES_AFTER):
        backoff.failed(OSError("away"))
    assert backoff.is_pausing


def test_patience_counts_from_the_first_failure(backoff, clock):
    backoff.failed(OSError("away"))
    clock.now += 800
    backoff.failed(OSError("away"))
    clock.now += 100
    backoff.failed(OSError("away"))
    clock.now += 1
    with pytest.raises(StorageError, match="has failed for 901 s"):
        backoff.failed(OSError("away"))


def test_two_failures_never_end_a_run(backoff, clock):
    backoff.failed(OSError("away"))
    clock.now += 5000
    backoff.failed(OSError("away"))
    assert not backoff.is_pausing


def test_calls_in_flight_do_not_lengthen_the_pause(backoff, clock):
    for _ in range(24):
        backoff.failed(OSError("away"), is_probe=False)
    backoff.wait()
    assert backoff.is_pausing
    assert clock.sleeps == [FIRST_PAUSE_S]
