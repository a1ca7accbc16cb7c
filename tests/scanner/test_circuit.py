import pytest

from infra.storage import StorageError
from scanner.circuit import FIRST_PAUSE_S, LONGEST_PAUSE_S, OPENS_AFTER, Circuit
from tests.scanner.fake_pool import Clock

pytestmark = pytest.mark.fault(17)


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
    assert circuit.is_open
    assert clock.sleeps[0] == FIRST_PAUSE_S
    assert clock.sleeps == sorted(clock.sleeps)
    assert clock.sleeps[-1] == LONGEST_PAUSE_S
    circuit.worked()
    circuit.wait()
    assert not circuit.is_open
    assert len(clock.sleeps) == 12 - OPENS_AFTER + 1


def fail_for_ever(circuit):
    for _ in range(1000):
        circuit.failed(OSError("no route to the store"))
        circuit.wait()


def test_an_outage_longer_than_patience_ends_the_run_and_says_how_to_go_on(circuit, clock):
    with pytest.raises(StorageError, match=r"has failed for 9.. s.*: no route to the store.*run the same command again"):
        fail_for_ever(circuit)
    assert sum(clock.sleeps) <= 900 + LONGEST_PAUSE_S


def test_patience_begins_anew_after_a_success(circuit, clock):
    for _ in range(10):
        clock.now += 500
        circuit.failed(OSError("away"))
        circuit.worked()
    for _ in range(OPENS_AFTER):
        circuit.failed(OSError("away"))
    assert circuit.is_open


def test_what_was_on_its_way_when_the_store_went_makes_no_pause_longer(circuit, clock):
    for _ in range(24):
        circuit.failed(OSError("away"), is_probe=False)
    circuit.wait()
    assert circuit.is_open
    assert clock.sleeps == [FIRST_PAUSE_S]
