"""A breaker between a run and a store that fails: work pauses, asks ever less often, and ends only when patience does."""

import time
from collections.abc import Callable

from infra.store.storage import StorageError

OPENS_AFTER = 3
"""Failures without a success between them."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
PATIENCE_S = 900.0


class Circuit:
    """Closed while the store works. Open, it lets one try through after each pause; a success closes it."""

    def __init__(
        self,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._patience_s, self._clock, self._sleep = patience_s, clock, sleep
        self._n_failures = 0
        self._failing_since = 0.0

    @property
    def is_open(self) -> bool:
        return self._n_failures >= OPENS_AFTER

    def failed(self, error: BaseException, *, is_probe: bool = True) -> None:
        """The store failed. What was on its way beside others, and is no probe, makes no pause longer.

        Raises:
            StorageError: it has done nothing else for longer than patience lasts.
        """
        now = self._clock()
        if not self._n_failures:
            self._failing_since = now
        if is_probe or not self.is_open:
            self._n_failures += 1
        if self.is_open and now - self._failing_since > self._patience_s:
            raise StorageError(
                f"the store has failed for {now - self._failing_since:.0f} s, the last time with: {error}. "
                "What is committed stays; run the same command again to go on"
            ) from error

    def worked(self) -> None:
        self._n_failures = 0

    def wait(self) -> None:
        """Sleep before the next try, if the store fails."""
        if self.is_open:
            self._sleep(min(FIRST_PAUSE_S * 2.0 ** (self._n_failures - OPENS_AFTER), LONGEST_PAUSE_S))
