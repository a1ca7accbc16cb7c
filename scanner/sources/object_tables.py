"""Tables that people write by hand or with other programs: their bytes, the texts of CSV cells, ids, and types of columns."""

import io
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from infra.errors import LensscanError
from infra.spreadsheet_texts import restored_column
from infra.store.files import one_line
from infra.store.storage import info, read_bytes
from scanner.files.parquet_checked import ParquetInput

MAX_TABLE_BYTES = 2**28
MAX_ROWS = 2**20
MAX_COLUMNS = 2000
PARQUET_MAGIC = b"PAR1"
FITS_MAGIC = b"SIMPLE  ="
XML_MAGIC = b"<"
RA_NAMES = ("RA", "RIGHT_ASCENSION", "RAJ2000", "RA_ICRS")
"""Names of columns of right ascensions, in upper case, the likeliest first."""
ID_NAMES = ("OBJECT_ID", "ID", "SOURCE_ID", "NAME")
"""Names of columns of ids, in upper case, the likeliest first."""

Columns = dict[str, pa.ChunkedArray]
"""Columns of a table by name, `[n]` each."""

_LINE = re.compile(rb"[^\r\n]+")
_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
"""Pattern of an integer in its usual form: `007` is a name and keeps its zeros."""
_NO_FLOAT = r"^(\+|-?0[0-9])[^.]*$|^[-+]?[0-9]{16}"
"""Pattern of texts that may be names, which float64 would change: `+7` and `007`, or more digits than it holds."""
_PLUS = r"^\+([0-9.])"
"""Pattern of the beginning of a number with a plus sign, which Arrow does not read."""


class ManifestError(LensscanError):
    """A table of objects cannot be read, or lacks a required column or id."""


def table_bytes(label: str, uri: str) -> bytes:
    """Return the bytes of a table; `label` begins the messages.

    Raises:
        ManifestError: the file is missing, a folder, too large, or the store failed.
    """
    try:
        n_bytes = info(uri).size
        if n_bytes > MAX_TABLE_BYTES:
            raise ManifestError(f"{label}: {n_bytes} bytes, at most {MAX_TABLE_BYTES} are read")
        return read_bytes(uri)
    except (OSError, ValueError) as error:
        is_missing = isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, IsADirectoryError)
        reason = "no such file" if is_missing else getattr(error, "strerror", None) or error
        raise ManifestError(f"{one_line(label)}: {reason}") from error


def csv_texts(label: str, data: bytes) -> tuple[list[str], list[pa.ChunkedArray]]:
    """Return names and columns of a CSV file, each cell as trimmed text: the only type that loses no information.

    A `#` before the first name is left out, and so is the apostrophe before a text that a spreadsheet could run.

    Raises:
        ManifestError: the file is not CSV in UTF-8, begins with a comment, or has too many rows or columns.
    """
    if data.startswith(FITS_MAGIC):
        raise ManifestError(f"{label}: is a FITS file; its name must end in .fits or .fits.gz")
    if data.startswith(XML_MAGIC):
        raise ManifestError(f"{label}: is XML; a VOTable of positions needs --tiles, a folder of tiles")
    if b"\0" in data:
        raise ManifestError(f"{label}: must be CSV, Parquet, FITS or a folder of FITS files")
    header = _LINE.search(data)
    _check_header(label, header[0].decode(errors="replace") if header else "")
    n_columns = header[0].count(b",") + 1 if header else 0
    if n_columns > MAX_COLUMNS:
        raise ManifestError(f"{label}: must have at most {MAX_COLUMNS} columns, got {n_columns}")
    n_rows = max(data.count(b"\n"), data.count(b"\r")) - 1
    if n_rows > MAX_ROWS:
        raise ManifestError(f"{label}: must have at most {MAX_ROWS} rows, got {n_rows}")
    try:
        # Generated column names make Arrow read every cell as text, including the header's.
        raw = pa.csv.read_csv(
            io.BytesIO(data),
            read_options=pa.csv.ReadOptions(autogenerate_column_names=True, use_threads=False),
            convert_options=pa.csv.ConvertOptions(column_types={f"f{i}": pa.string() for i in range(MAX_COLUMNS)}),
        )
    except pa.ArrowInvalid as error:
        raise ManifestError(f"{label}: neither Parquet nor CSV: {error}") from error
    names = [(raw[i][0].as_py() or "").strip() for i in range(raw.num_columns)]
    names[0] = names[0].removeprefix("#").strip() or names[0]
    return names, [restored_column(pc.utf8_trim_whitespace(column)) for column in raw.slice(1).columns]


def _check_header(label: str, line: str) -> None:
    """Raise ManifestError if a line is a comment, or has another separator than a comma."""
    line = line.removeprefix("\ufeff").strip()
    got = f"the first line is {line[:80]!r}"
    if line.startswith("#") and ("," not in line or any(" " in cell.strip() for cell in line[1:].split(","))):
        raise ManifestError(f"{label}: comment lines and ECSV are not read; {got}")
    if "," not in line and re.search(r"[;\t ]", line):
        raise ManifestError(f"{label}: the separator must be a comma; {got}")


def typed(name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts of a column as int64 or float64 if all are such numbers, with null for empty ones; else as they are.

    A column of ids becomes int64 or stays text, and so does one with an integer part of more than 15 digits: as float64,
    ids such as 1.10 and 1.1, or two of 20 digits, would be equal.
    """
    filled = _filled(texts)
    if pc.all(pc.match_substring_regex(filled, _INTEGER)).as_py():
        return _cast(texts, filled, pa.int64())
    is_name = name.upper() in ID_NAMES or pc.any(pc.match_substring_regex(filled, _NO_FLOAT)).as_py()
    return texts if is_name else coordinates(texts)


def coordinates(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts such as +02.20 and 005 as float64, with null for empty ones; as they are if one is no number."""
    return _cast(texts, pc.replace_substring_regex(_filled(texts), _PLUS, r"\1"), pa.float64())


def _filled(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _cast(texts: pa.ChunkedArray, filled: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return the texts that are not empty as another type; all texts as they are if one does not fit, or all are empty."""
    try:
        return texts if filled.null_count == len(filled) else filled.cast(kind)
    except pa.ArrowInvalid:
        return texts


def text_ids(label: str, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids as int64 if all of them are integers that fit, else as text.

    Raises:
        ManifestError: an id is empty.
    """
    check_ids(label, ids)
    if len(ids) and pc.all(pc.match_substring_regex(ids, _INTEGER)).as_py():
        try:
            return ids.cast(pa.int64())
        except pa.ArrowInvalid:
            return ids
    return ids


def check_ids(label: str, ids: pa.ChunkedArray) -> None:
    """Raise ManifestError if an id is null or empty."""
    for row, object_id in enumerate(ids.to_pylist()):
        if object_id is None or object_id == "":
            raise ManifestError(f"{label}: row {row + 1} has no object_id")


def cast_column(label: str, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column as another type, without the dictionaries in which Parquet stores repeated texts.

    Raises:
        ManifestError: a value does not fit the type, or the texts take too much memory.
    """
    n_bytes = sum(_text_bytes(chunk) for chunk in column.chunks) if pa.types.is_dictionary(column.type) else 0
    if n_bytes > MAX_TABLE_BYTES:
        raise ManifestError(f"{label}: column {name} must have at most {MAX_TABLE_BYTES} bytes of text, got {n_bytes}")
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise ManifestError(f"{label}: column {name} does not fit {kind}: {error}") from error


def parquet_others(label: str, file: ParquetInput, known: Sequence[str]) -> Columns:
    """Return the columns that are not known, for the output: those of texts, numbers, flags and times.

    Raises:
        BadParquetError: the columns are damaged or too large.
        ManifestError: their texts take too much memory.
    """
    types = {field.name: value_type(field.type) for field in file.schema if field.name not in known}
    flat = {name: kind for name, kind in types.items() if _is_flat(kind) and file.names.count(name) == 1}
    table = file.read(list(flat), MAX_TABLE_BYTES) if flat else pa.table({})
    return {name: cast_column(label, name, table[name], kind) for name, kind in flat.items() if name in table.column_names}


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values, also of a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_string(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's types of text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_flat(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return is_string(kind) or is_number or pa.types.is_date(kind) or pa.types.is_timestamp(kind)


def _text_bytes(texts: pa.DictionaryArray) -> int:
    """Return the bytes that dictionary texts take when they are repeated for every row."""
    return pc.sum(pc.binary_length(texts.dictionary).take(texts.indices).cast(pa.int64())).as_py() or 0
