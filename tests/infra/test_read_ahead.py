import threading
import time

import pytest

from infra.read_ahead import map_ahead, read_ahead


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def until(true_at_last):
    for _ in range(500):
        if true_at_last():
            return True
        time.sleep(0.01)
    return False


def test_all_items_come_in_order():
    assert list(read_ahead(lambda: iter(range(100)), 3)) == list(range(100))
    assert list(read_ahead(lambda: iter([]), 1)) == []
    assert list(read_ahead(lambda: iter([None, 1]), 1)) == [None, 1]


def test_reading_starts_at_once_and_stays_a_few_items_ahead():
    read = []

    def items():
        for i in range(100):
            read.append(i)
            yield i

    ahead = read_ahead(items, 3)
    # Three items are in the queue and the reader holds one.
    assert until(lambda: len(read) == 4)
    assert next(ahead) == 0
    assert until(lambda: len(read) == 5)
    time.sleep(0.05)
    assert len(read) == 5


def test_an_exception_while_reading_is_raised_in_the_consumer():
    def items():
        yield 1
        raise OSError("gone")

    ahead = read_ahead(items, 2)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)


def test_a_reader_without_a_consumer_ends():
    for leave in ("close", "forget"):
        ahead = read_ahead(lambda: iter(range(10**9)), 1)
        assert next(ahead) == 0
        if leave == "close":
            ahead.close()
        del ahead
        assert until(lambda: not alive())


def test_less_than_one_item_ahead_is_refused():
    with pytest.raises(ValueError, match="n_ahead must be >= 1, got 0"):
        read_ahead(lambda: iter([]), 0)


def test_results_come_in_order_and_few_are_computed_ahead():
    begun, at_once = [], threading.Semaphore(4)

    def square(x):
        begun.append(x)
        assert at_once.acquire(blocking=False)
        time.sleep(0.01 * (5 - x % 5))
        at_once.release()
        return x * x

    results = map_ahead(square, range(40), 4)
    assert next(results) == 0
    assert len(begun) <= 6
    assert list(results) == [x * x for x in range(1, 40)]
    assert list(map_ahead(square, [], 4)) == []


def test_an_exception_of_a_call_replaces_its_result():
    def fail_at_three(x):
        if x == 3:
            raise OSError("gone")
        return x

    results = map_ahead(fail_at_three, range(10**9), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(results)
