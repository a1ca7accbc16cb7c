"""Report the rows that are done: those of committed units, and those that workers have scored of the units at work."""

from collections.abc import Iterable, Mapping, Sequence

from infra.progress import NamingProgress
from scanner.catalogue.units import Unit


class RowProgress:
    """Counter of the rows that a plan scores; the callback gets rows done, all rows, and the ids of the units at work."""

    def __init__(self, n_rows: int, todo: Sequence[Unit], progress: NamingProgress) -> None:
        """Report at once the rows of the units that are committed already, which are all but those `todo`."""
        self._n_rows, self._progress = n_rows, progress
        self._left = {unit.unit_id: unit.n_selected for unit in todo}
        self._n_committed = n_rows - sum(self._left.values())
        self._scored: dict[str, int] = {}
        """Rows that workers have scored of units that are not committed."""
        self._report()

    def committed(self, unit_id: str) -> None:
        """Report the rows of a unit that was committed."""
        self._n_committed += self._left.pop(unit_id)
        self._scored.pop(unit_id, None)
        self._report()

    def at_work(self, rows_done: Iterable[Mapping[str, int]]) -> None:
        """Report the rows that each worker has scored, by unit."""
        known = ((name, n) for worker in rows_done for name, n in worker.items() if name in self._left)
        self._scored = {name: min(n, self._left[name]) for name, n in known}
        self._report()

    def _report(self) -> None:
        self._progress(self._n_committed + sum(self._scored.values()), self._n_rows, tuple(self._scored))
