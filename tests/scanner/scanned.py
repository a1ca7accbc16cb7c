"""Scan a whole unit, or rows that are in memory, in one call."""

from scanner.scan.batch_reader import BatchReader
from scanner.scan.open_unit import open_unit
from scanner.scan.unit import scan_unit
from scanner.sources.batches import batches_of

NIGHT = "2026-01-02"


def scanned(unit, scanner, night=NIGHT, **options):
    """Return the table of a unit, as a worker makes it before it publishes; `options` are those of `open_unit`."""
    return scan_unit(open_unit(unit, scanner.geometry, scanner.batch_size, **options), scanner, night)


def score_rows(scanner, rows):
    """Return the scores of cutouts and rejections, in their order; `rows` are read no faster than they are scored."""
    return scanner.score_batches(BatchReader(lambda: batches_of(rows, scanner.geometry, scanner.batch_size), n_ahead=0))
