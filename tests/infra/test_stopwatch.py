"""A stopwatch adds up what its stages take."""

import time

import pytest

from infra.stopwatch import Stopwatch


def test_a_stage_gets_its_time_without_the_time_of_another():
    watch = Stopwatch()
    for _ in range(2):
        with watch.timed("outer", without="inner"):
            time.sleep(0.02)
            with watch.timed("inner"):
                time.sleep(0.1)
    assert watch.of("outer") == pytest.approx(0.04, abs=0.03)
    assert watch.of("inner") == pytest.approx(0.2, abs=0.05)
    assert set(watch.seconds) == {"outer", "inner"}
    assert watch.of("never") == 0.0


def test_a_stage_that_fails_gets_its_time():
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.timed("stage"):
        sum(range(10**6)) / 0
    assert watch.of("stage") > 0.001
