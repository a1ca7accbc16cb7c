"""Add up the seconds of the stages of some work."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; several threads may measure at once, each its own stages."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def seconds(self) -> dict[str, float]:
        """A copy of the seconds so far, by stage; a stage that never ran is absent."""
        return dict(self._seconds)

    def of(self, stage: str) -> float:
        return self._seconds.get(stage, 0.0)

    def add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] += seconds

    @contextmanager
    def timed(self, stage: str, *, without: str | None = None) -> Iterator[None]:
        """Add the time of a `with` block to a stage, less the time that `without` gets meanwhile."""
        begun, before = time.perf_counter(), self.of(without or "")
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begun - (self.of(without or "") - before))
