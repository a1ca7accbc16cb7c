"""Read batches ahead of the scoring, and read them from the start again where a caller asks for it."""

from collections.abc import Callable, Generator, Iterator
from typing import Protocol, Self

from infra.progress import Progress, no_progress
from infra.read_ahead import read_ahead
from infra.stopwatch import Stopwatch
from scanner.sources.batches import CutoutBatch

N_AHEAD = 4
"""Number of batches that are read ahead while one is scored."""
WAIT = "wait"
"""Stage of the stopwatch in which a caller waits for the next batch."""


class _Batches(Protocol):
    def __next__(self) -> CutoutBatch: ...
    def close(self) -> None: ...


class BatchReader(Iterator[CutoutBatch]):
    """Iterator over batches; `restart` closes it and begins from the start, with the same rows."""

    def __init__(
        self,
        begin: Callable[[], Iterator[CutoutBatch]],
        n_ahead: int = N_AHEAD,
        progress: Progress = no_progress,
        n_rows: int = 0,
        watch: Stopwatch | None = None,
    ) -> None:
        """Begin to read at once in a thread, `n_ahead` batches ahead; with 0, read each batch when it is asked for.

        Args:
            begin: Function that opens the input and yields its batches; each restart calls it again.
            n_ahead: Number of batches read ahead.
            progress: Callback that gets the number of rows done and `n_rows`, after the caller is done with a batch.
            n_rows: Number of all rows, for `progress`.
            watch: Gets the time for which callers wait for batches, as `WAIT`.
        """
        self._begin = begin
        self._n_ahead = n_ahead
        self._progress, self._n_rows = progress, n_rows
        self._watch = watch or Stopwatch()
        self._n_done = self._n_in_hand = 0
        self._batches = self._opened()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CutoutBatch:
        if self._n_in_hand:
            self._n_done += self._n_in_hand
            self._n_in_hand = 0
            self._progress(self._n_done, self._n_rows)
        with self._watch.timed(WAIT):
            batch = next(self._batches)
        self._n_in_hand = batch.n_rows
        return batch

    def restart(self) -> None:
        """Close the files and read from the start."""
        self.close()
        self._n_done = self._n_in_hand = 0
        self._batches = self._opened()

    def close(self) -> None:
        self._batches.close()

    def _opened(self) -> _Batches:
        return read_ahead(self._begin, self._n_ahead) if self._n_ahead else _generated(self._begin)


def _generated(begin: Callable[[], Iterator[CutoutBatch]]) -> Generator[CutoutBatch]:
    yield from begin()
