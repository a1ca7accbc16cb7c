"""Count the requests that this process sends to S3 again; a worker reports them with its receipts."""

import re
from threading import Lock
from typing import Any

_NUMBER = re.compile(r"attempt=(\d+)")
"""Number of a try, from 1, in the header in which botocore sends it."""


class _Counter:
    """A number that threads raise, and that is taken away in whole."""

    def __init__(self) -> None:
        self._lock, self._n = Lock(), 0

    def add(self) -> None:
        with self._lock:
            self._n += 1

    def take(self) -> int:
        with self._lock:
            n, self._n = self._n, 0
            return n


_retries = _Counter()


def tried(i_try: int) -> None:
    """Count the try of a request with this number, from 0, unless it is the first."""
    if i_try:
        _retries.add()


def take_retries() -> int:
    """Return the number of repeated requests since the last call, and count from zero again."""
    return _retries.take()


def count_tries(client: Any) -> None:
    """Count the requests that a botocore client sends again from now on."""
    client.meta.events.register("before-send.s3", _before_send)


def _before_send(request: Any, **_about: Any) -> None:
    header = request.headers.get("amz-sdk-request", b"")
    number = _NUMBER.search(header.decode() if isinstance(header, bytes) else str(header))
    tried(int(number[1]) - 1 if number else 0)
