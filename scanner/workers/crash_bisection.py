"""Find the row of a unit that crashes its worker, by bisection: halves are tried until one row is left."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CrashBisection:
    """State of the search: the row, if there is one, lies in `start` to `stop`. The first trial reads the files and no row."""

    start: int
    stop: int
    opens: bool = False
    """Whether a worker has survived reading the files."""
    has_crashed: bool = False
    """Whether the last row left has crashed a worker once; it is tried twice, because one crash may have another cause."""

    @property
    def trial(self) -> tuple[int, int]:
        """Return start and stop of the rows to try next: no row at first, then half of those left, or the last one."""
        if not self.opens:
            return self.start, self.start
        return self.start, max((self.start + self.stop) // 2, self.start + 1)

    def after(self, *, crashed: bool) -> "CrashBisection | int | None":
        """Return the search after the trial, the row's number once it is known, or None if no row is the cause."""
        if not self.opens:
            return None if crashed or self.start == self.stop else replace(self, opens=True)
        if self.stop - self.start == 1:
            return None if not crashed else self.start if self.has_crashed else replace(self, has_crashed=True)
        middle = self.trial[1]
        return replace(self, stop=middle) if crashed else replace(self, start=middle)
