"""Reads untrusted Parquet files: checks size, footer, rows and pages before Arrow allocates memory for them."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.storage import StorageError
from scanner.files.parquet_pages import Footer, Page, pages, read_footer

MAX_FOOTER_BYTES = 2**22
"""Largest footer; a thousand row groups of thirty columns take a quarter of this."""
MAX_PAGE_BYTES = 2**26
"""Largest size of an unpacked page. Writers begin a new page after a megabyte, or after a row."""
MAX_PAGES = 2**16

_BUFFER_BYTES = 2**18
"""Bytes that Arrow reads at a time: whole columns at once take three times as long, because of memory allocation."""
_MAGIC = b"PAR1"
_TAIL_BYTES = 8
_REFUSED_ENCODINGS = {7: "DELTA_BYTE_ARRAY"}
"""Encodings that store each text as the shared prefix with the one before and a rest: the unpacked size is not known before."""


class BadParquetError(ValueError):
    """The file is not Parquet, is damaged, or exceeds the limits of the reader."""

    def __str__(self) -> str:
        return f"not a readable Parquet file: {self.args[0]}"


@contextlib.contextmanager
def errors_as_bad_parquet() -> Iterator[None]:
    """Turn errors of Arrow about damaged files into BadParquetError, and errors of the system into StorageError."""
    try:
        yield
    except (BadParquetError, StorageError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        # Arrow's own errors about a file have no errno; errors of the system do not mean that the file is damaged.
        if isinstance(error, OSError) and error.errno:
            raise StorageError(f"cannot be read: {error.strerror or error}") from error
        raise BadParquetError(" ".join(str(error).split()) or type(error).__name__) from error


class ParquetInput:
    """An untrusted Parquet file."""

    def __init__(
        self, source: pa.NativeFile | BinaryIO, max_bytes: int, max_rows: int, *, keep_dictionaries: bool = False
    ) -> None:
        """Read the footer.

        Args:
            source: The open file; this class reads it and does not close it.
            max_bytes: Largest accepted size of the file.
            max_rows: Largest accepted number of rows.
            keep_dictionaries: Keep texts that the file stores once as dictionaries, without repeating them in memory.

        Raises:
            BadParquetError: the file is not Parquet, or exceeds a limit.
            StorageError: the store failed.
        """
        self._source = source
        with errors_as_bad_parquet():
            self._footer = _read_footer(source, max_bytes)
            self.n_rows = _n_rows(self._footer, max_rows)
            self._file = pq.ParquetFile(
                source,
                read_dictionary=_texts(self._footer) if keep_dictionaries else None,
                page_checksum_verification=True,
                # No read-ahead: an object's pixels take more memory than all its other columns.
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
            )
            self.schema: pa.Schema = self._file.schema_arrow
            self.names: list[str] = self.schema.names

    def read(self, columns: Sequence[str], max_unpacked_bytes: int) -> pa.Table:
        """Return some columns as a whole.

        Raises:
            BadParquetError: their pages are too large, unpack to more than `max_unpacked_bytes` together, or are damaged.
            StorageError: the store failed.
        """
        with errors_as_bad_parquet():
            self._check_pages(columns, max_unpacked_bytes)
            table = self._file.read(list(columns))
            # Arrow does not check dictionary indices and the encoding of texts while it reads.
            table.validate(full=True)
            if table.num_rows != self.n_rows:
                raise BadParquetError(f"the footer states {self.n_rows} rows, the file has {table.num_rows}")
        return table

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[pa.Table]:
        """Yield some columns, `n_rows` rows at a time; at most one more page of each column is in memory.

        Raises:
            BadParquetError: as `read`, possibly after the first rows.
            StorageError: the store failed.
        """
        with errors_as_bad_parquet():
            self._check_pages(columns, max_unpacked_bytes=None)
            batches = self._file.iter_batches(n_rows, columns=list(columns), use_threads=False)
        n_read = 0
        while True:
            with errors_as_bad_parquet():
                batch = next(batches, None)
            if batch is None:
                break
            n_read += batch.num_rows
            yield pa.Table.from_batches([batch])
        if n_read != self.n_rows:
            raise BadParquetError(f"the footer states {self.n_rows} rows, the file has {n_read}")

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
        raise BadParquetError(f"{n_bytes} bytes that are not a complete Parquet file")
    if footer_bytes > MAX_FOOTER_BYTES:
        raise BadParquetError(f"its footer must have at most {MAX_FOOTER_BYTES} bytes, got {footer_bytes}")
    source.seek(n_bytes - _TAIL_BYTES - footer_bytes)
    return read_footer(bytes(source.read(footer_bytes)))


def _n_rows(footer: Footer, max_rows: int) -> int:
    if sum(footer.group_rows) != footer.n_rows:
        raise BadParquetError(f"the footer states {footer.n_rows} rows, its row groups have {sum(footer.group_rows)}")
    if footer.n_rows > max_rows:
        raise BadParquetError(f"must hold at most {max_rows} rows, got {footer.n_rows}")
    return footer.n_rows


def _texts(footer: Footer) -> list[str]:
    return sorted({".".join(chunk.path) for chunk in footer.chunks if chunk.is_text})
