"""Which row of a unit kills whoever scans it: halves are tried until one row is left."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class RowSearch:
    """Where the row can be: among `start` to `stop`, if there is one. First the files are read, with no row looked at."""

    start: int
    stop: int
    opens: bool = False
    """Could the files be read?"""
    has_died: bool = False
    """Has the last row left killed a worker once? One death may have another cause."""

    @property
    def trial(self) -> tuple[int, int]:
        """The rows to try next, first and end: none, then the first half of what is left, the last one for certainty."""
        if not self.opens:
            return self.start, self.start
        return self.start, max((self.start + self.stop) // 2, self.start + 1)

    def after(self, *, died: bool) -> "RowSearch | int | None":
        """What is left to search after the trial; the row's place once it is known; None where no row is to blame."""
        if not self.opens:
            return None if died or self.start == self.stop else replace(self, opens=True)
        if self.stop - self.start == 1:
            return None if not died else self.start if self.has_died else replace(self, has_died=True)
        middle = self.trial[1]
        return replace(self, stop=middle) if died else replace(self, start=middle)
