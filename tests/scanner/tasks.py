"""Tasks of workers, as the retry state of a unit makes them."""

from scanner.scan.row_selection import ALL_ROWS, RowSelection
from scanner.workers.retry_state import CRASHED, Task


def commit(unit_id, batch_size, crashed=(), *, is_alone=False):
    """Return the task to commit a unit with the rows `crashed` rejected."""
    rows = RowSelection(rejected=dict.fromkeys(crashed, CRASHED)) if crashed else ALL_ROWS
    return Task(unit_id, batch_size, rows, is_alone)


def trial(unit_id, batch_size, rows):
    """Return the task to score some rows alone, without a commit."""
    return Task(unit_id, batch_size, RowSelection(read=tuple(rows)), is_alone=True, is_trial=True)


def crashed_of(task):
    """Return the numbers of the rows that the task rejects."""
    return tuple(task.rows.rejected)


def read_of(task, n_rows):
    """Return the set of row numbers that a worker scores for the task."""
    return set(task.rows.rows_to_read(n_rows).tolist())
