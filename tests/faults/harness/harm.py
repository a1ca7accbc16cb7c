"""Count the harm that a fault does to a catalogue, by reading it row by row and file by file."""

from collections import Counter
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

KINDS = ("lost", "doubled", "torn", "wrong")
_COMMITTED = ("_scan/units/**/*.unit", "_scan/sealed/*.candidates", "_scan/seals/*.json", "candidates/*.parquet")


@dataclass(frozen=True)
class Harm:
    """Counts of one check, or the sums of several."""

    lost: int = 0
    """Planned rows that are missing."""
    doubled: int = 0
    """Extra copies of planned rows."""
    torn: int = 0
    """Visible files that cannot be read, hold only part of their rows, or change."""
    wrong: int = 0
    """Rows that differ from the planned content, or that were not planned."""
    checked: int = 0
    """Rows that the check read."""

    def __add__(self, other):
        return Harm(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def is_none(self):
        return not any(getattr(self, kind) for kind in KINDS)


_counted = {}
"""Counts of the current test; the plugin `reporting` adds them to the test's report."""


def begin(into):
    """Count into this dictionary from now on, starting from zero."""
    global _counted  # noqa: PLW0603
    into.update(asdict(Harm()))
    _counted = into


def count(harm):
    """Add the harm that a check found to the counts of the current test."""
    for name, value in asdict(harm).items():
        _counted[name] = _counted.get(name, 0) + value


def assert_none(harm):
    """Count the harm, and fail if there is any."""
    count(harm)
    assert harm.is_none, harm


def compare(found, expected, key="object_id"):
    """Compare two tables or lists of dictionaries row by row, by a key that is unique in `expected`."""
    found, expected = rows_of(found), {row[key]: row for row in rows_of(expected)}
    n_found = Counter(row[key] for row in found)
    return Harm(
        lost=sum(name not in n_found for name in expected),
        doubled=sum(n - 1 for name, n in n_found.items() if name in expected),
        wrong=sum(row != expected.get(row[key]) for row in found),
        checked=len(found),
    )


def read_files(paths, n_rows=None):
    """Return the tables of all Parquet files that can be read completely, and the number of files that cannot.

    Args:
        paths: Paths of the files.
        n_rows: Number of rows that each file must hold, by file name; any number by default.
    """
    tables, torn = [], 0
    for path in sorted(map(Path, paths)):
        try:
            tables.append(pq.read_table(path, partitioning=None, page_checksum_verification=True))
        except (pa.ArrowException, OSError, ValueError):
            torn += 1
        else:
            torn += n_rows is not None and tables[-1].num_rows != n_rows.get(path.name)
    return tables, Harm(torn=torn)


def compare_catalogues(found, expected):
    """Compare two catalogues, given as `{path below the root: bytes}`: their units and candidates, and unreadable files."""
    total = Harm()
    for folder in ("_scan/units/", "_scan/sealed/", "candidates/"):
        tables, torn = zip(*(_readable(contents, folder) for contents in (found, expected)), strict=True)
        total += Harm(torn=torn[0]) + compare(*([row for table in some for row in rows_of(table)] for some in tables))
    return total


def _readable(contents, folder):
    tables, torn = [], 0
    for name, data in contents.items():
        if name.startswith(folder) and name.endswith((".unit", ".candidates", ".parquet")):
            try:
                tables.append(pq.read_table(pa.BufferReader(data), page_checksum_verification=True))
            except (pa.ArrowException, OSError, ValueError):
                torn += 1
    return tables, torn


def rows_of(table):
    """Return the rows as dictionaries; a list, such as a map's pixels, is replaced by its digest."""
    if not isinstance(table, pa.Table):
        return table
    columns = {name: _values(table[name].combine_chunks()) for name in table.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column):
    if not isinstance(column.type, pa.ListType | pa.FixedSizeListType):
        return column.to_pylist()
    lists = (value.values if value.is_valid else None for value in column)
    return [None if values is None else sha256(values.to_numpy().tobytes()).hexdigest() for values in lists]


def recoveries(faults, root):
    """Return the seconds from each fault to the next commit of a worker or of the sealing driver, in a catalogue on disk."""
    commits = [path.stat().st_ctime for name in _COMMITTED for path in Path(root).glob(name)]
    return seconds_to_the_next(faults, commits)


def seconds_to_the_next(faults, commits):
    """Return the seconds for each fault that a commit follows, in the faults' order, even if another fault comes between."""
    later = ([commit - fault for commit in commits if commit > fault] for fault in faults)
    return [min(seconds) for seconds in later if seconds]
