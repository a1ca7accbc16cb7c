"""Reads the metadata of rows, columns and pages of a Parquet file without Arrow (Apache Parquet format, thrift definitions).

Arrow allocates the size that a page header states, up to 2 GiB, and has no setting to limit it: a few kilobytes of zstd
fill all of that. Arrow's Python classes for the footer crash the process if the footer is malformed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from scanner.files.parquet_thrift import Fields, ThriftError, read_struct

MAX_HEADER_BYTES = 2**16
"""Largest header of a page: it holds a few numbers, and the smallest and the largest value of the page."""
_FIRST_TRY_BYTES = 2**10
_BYTE_ARRAY = 6
_DICTIONARY = 7
_OF_TYPE = {0: (5, 2), 2: (_DICTIONARY, 2), 3: (8, 4)}
"""Field ids by page type (data, dictionary, data of version 2): the header of that type, and the encoding within it."""


class Source(Protocol):
    """A file with random access."""

    def seek(self, position: int, whence: int = 0, /) -> int: ...
    def read(self, n_bytes: int, /) -> bytes: ...


@dataclass(frozen=True)
class Chunk:
    """A column in one row group."""

    path: tuple[str, ...]
    is_text: bool
    n_values: int
    start: int
    n_bytes: int


@dataclass(frozen=True)
class Footer:
    """Number of rows in total and in each row group, and the column chunks of all row groups."""

    n_rows: int
    group_rows: tuple[int, ...]
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Page:
    """The header of a page."""

    stored_bytes: int
    unpacked_bytes: int
    encoding: int
    n_values: int
    """Number of values of the column in the page; 0 for a dictionary."""


def read_footer(data: bytes) -> Footer:
    """Parse the bytes of a footer.

    Raises:
        ThriftError: the bytes are not a footer.
    """
    try:
        fields, _ = read_struct(data)
        groups = fields.get(4, [])
        chunks = [_chunk(chunk[3]) for group in groups for chunk in group[1]]
        return Footer(_size(fields[3]), tuple(_size(group[3]) for group in groups), tuple(chunks))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ThriftError("the footer lacks a required field") from error


def pages(source: Source, chunk: Chunk) -> Iterator[Page]:
    """Yield the pages of a column in one row group, at the offsets where Arrow would read them.

    Raises:
        ThriftError: the bytes are not pages, or the pages do not end where the footer states.
    """
    at, stop, n_values = chunk.start, chunk.start + chunk.n_bytes, 0
    while at < stop:
        fields, header_bytes = _header(source, at)
        page = _page(fields)
        yield page
        at += header_bytes + page.stored_bytes
        n_values += page.n_values
    if (at, n_values) != (stop, chunk.n_values):
        stated = f"the footer states {chunk.n_values} up to byte {stop}"
        raise ThriftError(f"column {'.'.join(chunk.path)}: its pages hold {n_values} values up to byte {at}, {stated}")


def _chunk(fields: Fields) -> Chunk:
    start = _size(fields[9])
    dictionary = _size(fields.get(11, 0))
    path = tuple(part.decode() for part in fields[3])
    if not path:
        raise ThriftError("a column has no name")
    first = min(start, dictionary) if dictionary else start
    return Chunk(path, fields[1] == _BYTE_ARRAY, _size(fields[5]), first, _size(fields[7]))


def _header(source: Source, at: int) -> tuple[Fields, int]:
    """Return the fields of the page header at an offset, and its length in bytes."""
    for n_bytes in (_FIRST_TRY_BYTES, MAX_HEADER_BYTES):
        source.seek(at)
        try:
            return read_struct(source.read(n_bytes))
        except IndexError:
            continue
    raise ThriftError(f"no page header at byte {at}")


def _page(fields: Fields) -> Page:
    try:
        own, encoding = _OF_TYPE[fields[1]]
        n_values = 0 if own == _DICTIONARY else _size(fields[own][1])
        return Page(_size(fields[3]), _size(fields[2]), _size(fields[own][encoding]), n_values)
    except (KeyError, IndexError, TypeError) as error:
        raise ThriftError("a page header lacks a required field") from error


def _size(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ThriftError(f"a size must be an integer >= 0, got {str(value)[:40]}")
    return value
