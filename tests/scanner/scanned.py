"""Scan a whole unit in one call, as a worker does before it publishes the table."""

from scanner.scan.open_unit import open_unit
from scanner.scan.unit import scan_unit

NIGHT = "2026-01-02"


def scanned(unit, scanner, night=NIGHT, **options):
    """Return the table of a unit; `options` are those of `open_unit`."""
    return scan_unit(open_unit(unit, scanner.geometry, scanner.batch_size, **options), scanner, night)
