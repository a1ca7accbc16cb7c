"""Read the next items in a thread while the caller processes the current one."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
_PATIENCE_S = 0.1
"""Interval at which a reader with a full queue checks whether its iterator was closed."""


def read_ahead(begin: Callable[[], Iterator[Item]], n_ahead: int) -> "Ahead[Item]":
    """Return the items of an iterator that runs in a thread, up to `n_ahead` items ahead; its exceptions are raised here.

    Reading starts at once, not when the first item is requested. It stops when the result is closed or garbage-collected.
    """
    if n_ahead < 1:
        raise ValueError(f"n_ahead must be >= 1, got {n_ahead}")
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(n_ahead)
    abandoned = threading.Event()

    def hand_over(item: Item | None, error: BaseException | None) -> None:
        while not abandoned.is_set():
            try:
                ready.put((item, error), timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in begin():
                hand_over(item, None)
                if abandoned.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - every exception is raised again in the consumer
            hand_over(None, error)
        else:
            hand_over(None, StopIteration())

    threading.Thread(target=read, name="read-ahead", daemon=True).start()
    return Ahead(ready, abandoned)


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], n_ahead: int) -> Iterator[Result]:
    """Yield `function(item)` of each item, in order; threads compute the next `n_ahead` results meanwhile.

    If a call raises, the exception is raised in place of its result.
    """
    coming: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(n_ahead, thread_name_prefix="map-ahead")
    try:
        for item in items:
            coming.append(pool.submit(function, item))
            if len(coming) > n_ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Ahead(Iterator[Item]):
    """The iterator that `read_ahead` returns."""

    def __init__(self, ready: "queue.Queue[tuple[Item | None, BaseException | None]]", abandoned: threading.Event) -> None:
        self._ready, self._abandoned = ready, abandoned
        self._is_over = False

    def __next__(self) -> Item:
        if self._is_over:
            raise StopIteration
        item, error = self._ready.get()
        if error is not None:
            self.close()
            raise error
        return cast("Item", item)

    def close(self) -> None:
        self._is_over = True
        self._abandoned.set()
        # The items in the old queue are freed as soon as the reader thread ends.
        self._ready = queue.Queue()

    def __del__(self) -> None:
        self._abandoned.set()
