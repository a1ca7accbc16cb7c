"""Find the row of a unit that kills its worker, by bisection: halves are tried until one row is left."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CrashBisection:
    """State of the search: the row, if there is one, lies in `start` to `stop`. The first trial reads the files and no row."""

    start: int
    stop: int
    opens: bool = False
    """Whether a worker has survived reading the files."""
    has_died: bool = False
    """Whether the last row left has killed a worker once; it is tried twice, because one death may have another cause."""

    @property
    def trial(self) -> tuple[int, int]:
        """Return start and stop of the rows to try next: no row at first, then half of those left, or the last one."""
        if not self.opens:
            return self.start, self.start
        return self.start, max((self.start + self.stop) // 2, self.start + 1)

    def after(self, *, died: bool) -> "CrashBisection | int | None":
        """Return the search after the trial, the row's number once it is known, or None if no row is the cause."""
        if not self.opens:
            return None if died or self.start == self.stop else replace(self, opens=True)
        if self.stop - self.start == 1:
            return None if not died else self.start if self.has_died else replace(self, has_died=True)
        middle = self.trial[1]
        return replace(self, stop=middle) if died else replace(self, start=middle)
