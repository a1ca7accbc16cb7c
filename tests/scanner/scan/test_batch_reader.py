"""Read made batches, with and without a thread that reads ahead."""

import threading

import numpy as np
import pytest

from scanner.scan.batch_reader import BatchReader
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.rejections import RejectCode, Rejection


class Source:
    """Opens as an iterator over batches of two rows each, and counts what is open."""

    def __init__(self, n_batches, fails_at=None):
        self._n_batches, self._fails_at = n_batches, fails_at
        self.n_begun = self.n_open = 0

    def __call__(self):
        self.n_begun += 1
        self.n_open += 1
        try:
            for i in range(self._n_batches):
                if i == self._fails_at and self.n_begun == 1:
                    raise Rejection(RejectCode.IO_ERROR, "the store does not answer")
                yield CutoutBatch(np.array([2 * i, 2 * i + 1]), {}, [(), ()])
        finally:
            self.n_open -= 1


def rows(reader):
    return [row for batch in reader for row in batch.rows.tolist()]


@pytest.mark.parametrize("n_ahead", [0, 1, 4])
def test_a_restart_gives_the_same_rows_again(n_ahead):
    source = Source(3)
    reader = BatchReader(source, n_ahead)
    assert next(reader).rows.tolist() == [0, 1]
    reader.restart()
    assert rows(reader) == list(range(6))
    assert rows(reader) == []
    reader.restart()
    assert rows(reader) == list(range(6))
    assert source.n_begun == 3


@pytest.mark.parametrize("n_ahead", [0, 2])
def test_a_reader_that_failed_can_restart(n_ahead):
    reader = BatchReader(Source(3, fails_at=1), n_ahead)
    with pytest.raises(Rejection, match="does not answer"):
        rows(reader)
    reader.restart()
    assert rows(reader) == list(range(6))


def test_a_reader_begins_to_read_before_the_first_request():
    has_begun = threading.Event()

    def begin():
        has_begun.set()
        yield CutoutBatch(np.array([0]), {}, [()])

    BatchReader(begin, 1)
    assert has_begun.wait(30)


def test_without_read_ahead_nothing_is_read_before_a_request():
    source = Source(3)
    reader = BatchReader(source, 0)
    assert source.n_begun == 0
    next(reader)
    assert source.n_open == 1
    reader.close()
    assert source.n_open == 0


def test_progress_counts_rows_that_the_caller_is_done_with():
    calls = []
    reader = BatchReader(Source(3), 0, lambda *call: calls.append(call), 6)
    next(reader)
    assert calls == []
    next(reader)
    assert calls == [(2, 6)]
    reader.restart()
    calls.clear()
    rows(reader)
    assert calls == [(2, 6), (4, 6), (6, 6)]
