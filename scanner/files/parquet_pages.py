"""What a Parquet file says of its rows, columns and pages, read without Arrow (Apache Parquet format, thrift definitions).

Arrow makes room for what a page header promises, up to 2 GiB, and no setting of it says otherwise: a few kilobytes of zstd
fill all of that. What its Python classes tell of a footer ends the process where the footer makes no sense.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from scanner.files.parquet_thrift import Fields, ThriftError, read_struct

MAX_HEADER_BYTES = 2**16
"""Of a page: it holds a few numbers, and the least and the largest value of the page."""
_FIRST_TRY_BYTES = 2**10
_BYTE_ARRAY = 6
_DICTIONARY = 7
_OF_TYPE = {0: (5, 2), 2: (_DICTIONARY, 2), 3: (8, 4)}
"""By page type (data, dictionary, data of version 2): the field of what is said of that type, and in there of the encoding."""


class Source(Protocol):
    """A file to read from anywhere."""

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
    """Rows of each row group, and the columns of all of them."""

    n_rows: int
    group_rows: tuple[int, ...]
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Page:
    """What the header of a page says."""

    stored_bytes: int
    unpacked_bytes: int
    encoding: int
    n_values: int
    """Of the column's own, none in a dictionary."""


def read_footer(data: bytes) -> Footer:
    """What the bytes of a footer say.

    Raises:
        ThriftError: they are none.
    """
    try:
        fields, _ = read_struct(data)
        groups = fields.get(4, [])
        chunks = [_chunk(chunk[3]) for group in groups for chunk in group[1]]
        return Footer(_size(fields[3]), tuple(_size(group[3]) for group in groups), tuple(chunks))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ThriftError("a footer that lacks what every footer has") from error


def pages(source: Source, chunk: Chunk) -> Iterator[Page]:
    """The pages of a column in one row group, where Arrow would look for them.

    Raises:
        ThriftError: they are no pages, or end elsewhere than the file says.
    """
    at, stop, n_values = chunk.start, chunk.start + chunk.n_bytes, 0
    while at < stop:
        fields, header_bytes = _header(source, at)
        page = _page(fields)
        yield page
        at += header_bytes + page.stored_bytes
        n_values += page.n_values
    if (at, n_values) != (stop, chunk.n_values):
        said = f"the file says {chunk.n_values} up to {stop}"
        raise ThriftError(f"column {'.'.join(chunk.path)}: {n_values} values in pages up to byte {at}, {said}")


def _chunk(fields: Fields) -> Chunk:
    start = _size(fields[9])
    dictionary = _size(fields.get(11, 0))
    path = tuple(part.decode() for part in fields[3])
    if not path:
        raise ThriftError("a column without name")
    first = min(start, dictionary) if dictionary else start
    return Chunk(path, fields[1] == _BYTE_ARRAY, _size(fields[5]), first, _size(fields[7]))


def _header(source: Source, at: int) -> tuple[Fields, int]:
    """The fields of the page header at a place, and its length."""
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
        raise ThriftError("a page header that lacks what every one has") from error


def _size(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ThriftError(f"a size must be a number >= 0, got {str(value)[:40]}")
    return value
