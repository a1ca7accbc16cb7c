"""Parquet from strangers: size, footer, rows and pages are measured before Arrow makes room for them."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.storage import StorageError
from scanner.files.parquet_pages import Footer, Page, pages, read_footer

MAX_FOOTER_BYTES = 2**22
"""A thousand row groups of thirty columns take a quarter of it."""
MAX_PAGE_BYTES = 2**26
"""Unpacked. Writers begin a new page after a megabyte, or a row."""
MAX_PAGES = 2**16

_BUFFER_BYTES = 2**18
"""Read at a time: whole columns at once cost three times as much, for the memory that has to be found for them."""
_MAGIC = b"PAR1"
_TAIL_BYTES = 8
_REFUSED_ENCODINGS = {7: "DELTA_BYTE_ARRAY"}
"""In which a page says of each text how much of the one before it repeats: nobody can tell how much it unfolds to."""


class BadParquetError(ValueError):
    """A file that is not Parquet, is damaged, or asks for more than may be read."""

    def __str__(self) -> str:
        return f"not a readable Parquet file: {self.args[0]}"


class ParquetInput:
    """A Parquet file that nobody vouches for."""

    def __init__(
        self, source: pa.NativeFile | BinaryIO, max_bytes: int, max_rows: int, *, keep_dictionaries: bool = False
    ) -> None:
        """Read the footer.

        Args:
            source: Is read from, not closed.
            max_bytes: Of the file.
            max_rows: That it may hold.
            keep_dictionaries: Do not repeat in memory the texts that the file holds once.

        Raises:
            BadParquetError: not Parquet, or too large in whatever way.
            StorageError: the store failed.
        """
        self._source = source
        with _bad_parquet():
            self._footer = _read_footer(source, max_bytes)
            self.n_rows = _n_rows(self._footer, max_rows)
            self._file = pq.ParquetFile(
                source,
                read_dictionary=_texts(self._footer) if keep_dictionaries else None,
                page_checksum_verification=True,
                # Not ahead of what is asked for: an object's pixels weigh more than all that is known of it.
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
            )
            self.schema: pa.Schema = self._file.schema_arrow
            self.names: list[str] = self.schema.names

    def read(self, columns: Sequence[str], max_unpacked_bytes: int) -> pa.Table:
        """Some columns, whole.

        Raises:
            BadParquetError: their pages are too large, unpack to more than `max_unpacked_bytes` together, or are damaged.
            StorageError: the store failed.
        """
        with _bad_parquet():
            self._check_pages(columns, max_unpacked_bytes)
            table = self._file.read(list(columns))
            # Arrow takes indices into a dictionary and bytes of a text as they come.
            table.validate(full=True)
            if table.num_rows != self.n_rows:
                raise BadParquetError(f"the footer says {self.n_rows} rows, there are {table.num_rows}")
        return table

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[pa.Table]:
        """Some columns, `n_rows` rows at a time, which never hold more than a page of each in memory besides.

        Raises:
            BadParquetError: as `read`; maybe when some rows have been given already.
            StorageError: the store failed.
        """
        with _bad_parquet():
            self._check_pages(columns, max_unpacked_bytes=None)
            batches = self._file.iter_batches(n_rows, columns=list(columns), use_threads=False)
        n_read = 0
        while True:
            with _bad_parquet():
                batch = next(batches, None)
            if batch is None:
                break
            n_read += batch.num_rows
            yield pa.Table.from_batches([batch])
        if n_read != self.n_rows:
            raise BadParquetError(f"the footer says {self.n_rows} rows, there are {n_read}")

    def _check_pages(self, columns: Sequence[str], max_unpacked_bytes: int | None) -> None:
        n_bytes = 0
        for n_before, (name, page) in enumerate(self._pages(set(columns))):
            n_bytes += page.unpacked_bytes
            if n_before == MAX_PAGES:
                raise BadParquetError(f"more than {MAX_PAGES} pages")
            if page.unpacked_bytes > MAX_PAGE_BYTES:
                raise BadParquetError(
                    f"column {name}: a page must unpack to at most {MAX_PAGE_BYTES} bytes, got {page.unpacked_bytes}"
                )
            if max_unpacked_bytes is not None and n_bytes > max_unpacked_bytes:
                raise BadParquetError(f"{', '.join(columns)} must unpack to at most {max_unpacked_bytes} bytes, got more")
            if page.encoding in _REFUSED_ENCODINGS:
                raise BadParquetError(f"column {name}: the encoding {_REFUSED_ENCODINGS[page.encoding]} is not read")

    def _pages(self, columns: Collection[str]) -> Iterator[tuple[str, Page]]:
        for chunk in self._footer.chunks:
            if chunk.path[0] in columns:
                yield from ((chunk.path[0], page) for page in pages(self._source, chunk))


def _read_footer(source: pa.NativeFile | BinaryIO, max_bytes: int) -> Footer:
    n_bytes = source.seek(0, 2)
    if n_bytes > max_bytes:
        raise BadParquetError(f"{n_bytes} bytes, at most {max_bytes} are read")
    source.seek(max(n_bytes - _TAIL_BYTES, 0))
    tail = bytes(source.read(_TAIL_BYTES))
    footer_bytes = int.from_bytes(tail[:4], "little")
    if not tail.endswith(_MAGIC) or footer_bytes > n_bytes - _TAIL_BYTES - len(_MAGIC):
        raise BadParquetError(f"{n_bytes} bytes that are not Parquet, or not all of it")
    if footer_bytes > MAX_FOOTER_BYTES:
        raise BadParquetError(f"its footer must have at most {MAX_FOOTER_BYTES} bytes, got {footer_bytes}")
    source.seek(n_bytes - _TAIL_BYTES - footer_bytes)
    return read_footer(bytes(source.read(footer_bytes)))


def _n_rows(footer: Footer, max_rows: int) -> int:
    if sum(footer.group_rows) != footer.n_rows:
        raise BadParquetError(f"the footer says {footer.n_rows} rows, those of its row groups are {sum(footer.group_rows)}")
    if footer.n_rows > max_rows:
        raise BadParquetError(f"must hold at most {max_rows} rows, got {footer.n_rows}")
    return footer.n_rows


def _texts(footer: Footer) -> list[str]:
    return sorted({".".join(chunk.path) for chunk in footer.chunks if chunk.is_text})


@contextlib.contextmanager
def _bad_parquet() -> Iterator[None]:
    """Turn all that Arrow raises for files that make no sense into one error."""
    try:
        yield
    except (BadParquetError, StorageError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        # Arrow's own complaints of a file have no number; those of the system say nothing of what the file holds.
        if isinstance(error, OSError) and error.errno:
            raise StorageError(f"cannot be read: {error.strerror or error}") from error
        raise BadParquetError(" ".join(str(error).split()) or type(error).__name__) from error
