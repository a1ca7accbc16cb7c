import pytest

from infra.store.storage import StorageError
from scanner.workers.store_backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, OPENS_AFTER, Circuit
from tests.scanner.fake_pool import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit(patience_s=900, clock=clock, sleep=clock.sleep)


def test_a_lone_failure_pauses_nothing(circuit, clock):
    for _ in range(50):
        circuit.failed(OSError("away"))
        circuit.worked()
        circuit.wait()
    assert clock.sleeps == []


def test_pauses_grow_and_a_success_ends_them(circuit, clock):
    for _ in range(12):
        circuit.failed(OSError("away"))
        circuit.wait()
        assert circuit.is_open == bool(clock.sleeps)
    pauses = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert clock.sleeps == pauses
    circuit.worked()
    circuit.wait()
    assert not circuit.is_open
    assert clock.sleeps == pauses


def fail_for_ever(circuit):
    for _ in range(1000):
        circuit.failed(OSError("no route to the store"))
        circuit.wait()


def test_an_outage_longer_than_patience_raises_with_advice(circuit, clock):
    with pytest.raises(StorageError, match=r"has failed for 9.. s.*: no route to the store.*run the same command again"):
        fail_for_ever(circuit)
    assert sum(clock.sleeps) <= 900 + LONGEST_PAUSE_S


def test_patience_restarts_after_a_success(circuit, clock):
    for _ in range(10):
        clock.now += 500
        circuit.failed(OSError("away"))
        circuit.worked()
    for _ in range(OPENS_AFTER):
        circuit.failed(OSError("away"))
    assert circuit.is_open


def test_patience_counts_from_the_first_failure(circuit, clock):
    circuit.failed(OSError("away"))
    clock.now += 800
    circuit.failed(OSError("away"))
    clock.now += 100
    circuit.failed(OSError("away"))
    clock.now += 1
    with pytest.raises(StorageError, match="has failed for 901 s"):
        circuit.failed(OSError("away"))


def test_two_failures_never_end_a_run(circuit, clock):
    circuit.failed(OSError("away"))
    clock.now += 5000
    circuit.failed(OSError("away"))
    assert not circuit.is_open


def test_calls_in_flight_do_not_lengthen_the_pause(circuit, clock):
    for _ in range(24):
        circuit.failed(OSError("away"), is_probe=False)
    circuit.wait()
    assert circuit.is_open
    assert clock.sleeps == [FIRST_PAUSE_S]
