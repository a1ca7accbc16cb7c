"""Add up what the workers of a run report in their receipts, and tell listeners how far the run is."""

from collections import Counter
from collections.abc import Callable

from scanner.catalogue.ledger import Outcome, Receipt


class RunTally:
    """Numbers of a run so far."""

    def __init__(self) -> None:
        self.n_workers = 0
        """Number of requested workers; 0 as long as it is unknown, because the cluster of the run decides it."""
        self.n_units_committed = 0
        """Number of units that this run committed, without those that others had committed before."""
        self.n_units_failed = 0
        self.n_worker_deaths = 0
        self.n_store_retries = 0
        self.n_candidates = 0
        """Number of candidates in the units that this run committed."""
        self.stage_seconds: dict[str, float] = {}
        self.rows_by_status: Counter[str] = Counter()
        """Number of rows by status in the units that this run committed."""
        self.progress = 0.0
        """Share of the rows of the night that are done."""
        self._listeners: list[Callable[[RunTally], object]] = []

    def listen(self, listener: "Callable[[RunTally], object]") -> None:
        """Call a listener after each change."""
        self._listeners.append(listener)

    def add(self, receipt: Receipt) -> None:
        """Add a receipt; a unit that another attempt committed adds no rows, because that attempt's run counts them."""
        self.n_store_retries += receipt.n_store_retries
        if receipt.outcome is Outcome.COMMITTED:
            self.n_units_committed += 1
            self.n_candidates += receipt.n_candidates
            self.rows_by_status.update(receipt.rows_by_status)
            for stage, seconds in receipt.seconds.items():
                self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds
        self._tell()

    def lost(self, n_units_failed: int, n_worker_deaths: int) -> None:
        """Set the numbers of units that were given up and of workers that died so far."""
        if (n_units_failed, n_worker_deaths) != (self.n_units_failed, self.n_worker_deaths):
            self.n_units_failed, self.n_worker_deaths = n_units_failed, n_worker_deaths
            self._tell()

    def progressed(self, n_done: int, n_rows: int) -> None:
        """Set the number of rows that are done, of all rows of the night."""
        self.progress = n_done / n_rows if n_rows else 1.0
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self)
