"""A scan worker that fails for one unit."""

import os

from scanner.workers.unit_scanner import UnitScanner


class FailingScanner(UnitScanner):
    """A replacement of `UnitScanner` that raises for the unit named in `FAILING_UNIT`."""

    def scan(self, task):
        if task.unit_id == os.environ["FAILING_UNIT"]:
            raise ValueError("told to")
        return super().scan(task)
