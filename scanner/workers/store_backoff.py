"""Back off from a failing store: the run pauses, retries less and less often, and ends when its patience is over."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from infra.store.storage import StorageError

PAUSES_AFTER = 3
"""Number of failures in a row after which the run pauses."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
PATIENCE_S = 900.0

_LOG = logging.getLogger(__name__)


class StoreBackoff:
    """Pauses between tries while the store fails: one try goes through after each pause, until one succeeds."""

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
    def is_pausing(self) -> bool:
        return self._n_failures >= PAUSES_AFTER

    def failed(self, error: BaseException, *, is_probe: bool = True) -> None:
        """Record a failure of the store; only a probe, a call with no other call in flight, makes the pause longer.

        Raises:
            StorageError: the store has failed without a success for longer than the patience.
        """
        now = self._clock()
        if not self._n_failures:
            self._failing_since = now
        if is_probe or not self.is_pausing:
            self._n_failures += 1
            if self._n_failures == PAUSES_AFTER:
                until = datetime.now().astimezone() + timedelta(seconds=self._failing_since + self._patience_s - now)
                about = "the store fails: the scan waits for it until %s; Ctrl-C is safe, the same command goes on later"
                _LOG.warning(about, until.strftime("%H:%M"))
        if self.is_pausing and now - self._failing_since > self._patience_s:
            raise StorageError(
                f"the store has failed for {now - self._failing_since:.0f} s, the last time with: {error}. "
                "The catalogue keeps the finished tiles and shards; run the same command again to go on"
            ) from error

    def worked(self) -> None:
        if self.is_pausing:
            _LOG.warning("the store answers again")
        self._n_failures = 0

    def wait(self) -> None:
        """Sleep before the next try if the store fails."""
        if self.is_pausing:
            self._sleep(min(FIRST_PAUSE_S * 2.0 ** (self._n_failures - PAUSES_AFTER), LONGEST_PAUSE_S))
