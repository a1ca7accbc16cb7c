"""Manifests: a CSV or Parquet table with the files of each object's bands."""

import io
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from infra.errors import LensscanError
from infra.store.files import one_line
from infra.store.storage import info, read_bytes
from scanner.files.fits_image import FitsReader
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.sources.cutouts import Cutout, to_cutout
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection

MANIFEST_SUFFIXES = (".csv", ".parquet")
"""Endings of the names of manifests, in lower case."""
BANDS = tuple(EUCLID)
NUMBER_COLUMNS = ("pixel_scale_arcsec", "ra", "dec")
COLUMNS = ("object_id", *BANDS, *NUMBER_COLUMNS)

MAX_MANIFEST_BYTES = 2**28
MAX_ROWS = 2**20
MAX_COLUMNS = 2000

_PARQUET_MAGIC = b"PAR1"
_LINE = re.compile(rb"[^\r\n]+")
_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
"""Pattern of an integer in its usual form: `007` is a name and keeps its zeros."""


class ManifestError(LensscanError):
    """The manifest cannot be read, or lacks a required column or id."""


@dataclass(frozen=True)
class Manifest:
    """Objects in input order. Lists have one element per object; None for an empty cell or a missing column."""

    object_ids: pa.Array
    """Ids, as string or int64."""
    references: dict[str, list[str | None]]
    """Absolute references by band: `URI`, `URI#EXTNAME` or `URI#3`."""
    pixel_scales: list[float | None]
    """Pixel scales in arcsec; NaN if the manifest's text is not a number."""
    ra: list[float | None] = field(default_factory=list)
    """Right ascensions in deg; empty without the column."""
    dec: list[float | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.object_ids)

    def rows(self, indices: Sequence[int]) -> "Manifest":
        """Return the objects with these row indices, in that order."""

        def chosen(values: list[Any]) -> list[Any]:
            return [values[i] for i in indices] if values else []

        references = {band: chosen(values) for band, values in self.references.items()}
        ids = self.object_ids.take(pa.array(indices, pa.int64()))
        return Manifest(ids, references, chosen(self.pixel_scales), chosen(self.ra), chosen(self.dec))


def read_manifest(uri: str) -> Manifest:
    """Read `object_id`, at least one band column, and if present `pixel_scale_arcsec`, `ra` and `dec`.

    Other columns are ignored. Relative references are relative to the manifest's folder.

    Raises:
        ManifestError: the file cannot be read, a column is missing or of the wrong type, or an object has no id.
    """
    data = _read_bytes(uri)
    if not data.strip():
        raise ManifestError(f"manifest {uri}: empty; the first line must name columns out of {', '.join(COLUMNS)}")
    table = _read_parquet(uri, data) if data.startswith(_PARQUET_MAGIC) else _read_csv(uri, data)
    folder = posixpath.dirname(uri)
    absent: list[str | None] = [None] * table.num_rows
    names = table.column_names
    return Manifest(
        object_ids=table["object_id"].combine_chunks(),
        references={
            band: [_absolute(cell, folder) for cell in table[band].to_pylist()] if band in names else list(absent)
            for band in BANDS
        },
        pixel_scales=table["pixel_scale_arcsec"].to_pylist() if "pixel_scale_arcsec" in names else [None] * table.num_rows,
        ra=table["ra"].to_pylist() if "ra" in names else [],
        dec=table["dec"].to_pylist() if "dec" in names else [],
    )


def manifest_cutouts(manifest: Manifest, geometry: Geometry) -> Iterator[Cutout | Rejection]:
    """Yield each object's cutout or rejection, in the manifest's order; files are read as the caller iterates."""
    reader = FitsReader()
    for i, pixel_scale_arcsec in enumerate(manifest.pixel_scales):
        row = {band: references[i] for band, references in manifest.references.items()}
        try:
            yield _row_cutout(reader, row, pixel_scale_arcsec, geometry)
        except Rejection as rejection:
            yield rejection


def _row_cutout(reader: FitsReader, row: dict[str, str | None], pixel_scale_arcsec: float | None, geometry: Geometry) -> Cutout:
    images = {}
    for band in geometry.grids:
        reference = row.get(band)
        if reference is None:
            raise Rejection(RejectCode.MISSING_BAND, f"{band}: the manifest names no file")
        try:
            images[band] = reader.read_band(reference, pixel_scale_arcsec)
        except Rejection as rejection:
            raise Rejection(rejection.code, f"{band}: {rejection.detail}") from rejection
    cutout = to_cutout(images, geometry)
    return Cutout(cutout.stamps, (*_substitutions(row), *cutout.notes))


def _substitutions(row: dict[str, str | None]) -> list[str]:
    """Return the bands that substitute others: one image named for several bands (Wilde et al. 2022, table 2)."""
    bands_by_reference: dict[str, list[str]] = {}
    for band, reference in row.items():
        if reference is not None:
            bands_by_reference.setdefault(reference, []).append(band)
    return [f"substituted: {', '.join(rest)} = {first}" for first, *rest in bands_by_reference.values() if rest]


def _read_bytes(uri: str) -> bytes:
    try:
        n_bytes = info(uri).size
        if n_bytes > MAX_MANIFEST_BYTES:
            raise ManifestError(f"manifest {uri}: {n_bytes} bytes, at most {MAX_MANIFEST_BYTES} are read")
        return read_bytes(uri)
    except (OSError, ValueError) as error:
        is_missing = isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, IsADirectoryError)
        reason = "no such file" if is_missing else getattr(error, "strerror", None) or error
        raise ManifestError(f"manifest {one_line(uri)}: {reason}") from error


def _read_csv(uri: str, data: bytes) -> pa.Table:
    """Read every known column as text, then convert ids and numbers: text is the only type that loses no information."""
    header = _LINE.search(data)
    n_columns = header[0].count(b",") + 1 if header else 0
    if n_columns > MAX_COLUMNS:
        raise ManifestError(f"manifest {uri}: must have at most {MAX_COLUMNS} columns, got {n_columns}")
    n_rows = max(data.count(b"\n"), data.count(b"\r")) - 1
    if n_rows > MAX_ROWS:
        raise ManifestError(f"manifest {uri}: must have at most {MAX_ROWS} rows, got {n_rows}")
    try:
        # Generated column names make Arrow read every cell as text, including the header's.
        raw = pa.csv.read_csv(
            io.BytesIO(data),
            read_options=pa.csv.ReadOptions(autogenerate_column_names=True, use_threads=False),
            convert_options=pa.csv.ConvertOptions(column_types={f"f{i}": pa.string() for i in range(MAX_COLUMNS)}),
        )
    except pa.ArrowInvalid as error:
        raise ManifestError(f"manifest {uri}: neither Parquet nor CSV: {error}") from error
    names = [(raw[i][0].as_py() or "").strip() for i in range(raw.num_columns)]
    _check_columns(uri, names)
    cells = raw.slice(1)
    known = {name: pc.utf8_trim_whitespace(cells[names.index(name)]) for name in COLUMNS if name in names}
    for name in NUMBER_COLUMNS:
        if name in known:
            known[name] = pa.chunked_array([pa.array([_number(text) for text in known[name].to_pylist()], pa.float64())])
    known["object_id"] = _text_ids(uri, known["object_id"])
    return pa.table(known)


def _read_parquet(uri: str, data: bytes) -> pa.Table:
    try:
        file = ParquetInput(pa.BufferReader(data), MAX_MANIFEST_BYTES, MAX_ROWS, keep_dictionaries=True)
        _check_columns(uri, file.names)
        types = {name: _checked_type(uri, file.schema.field(name)) for name in COLUMNS if name in file.names}
        table = file.read(list(types), MAX_MANIFEST_BYTES)
    except BadParquetError as error:
        raise ManifestError(f"manifest {uri}: {error}") from error
    return pa.table({name: _typed(uri, name, table[name], kind) for name, kind in types.items()})


def _checked_type(uri: str, column: pa.Field) -> pa.DataType:
    """Return the type that a column is converted to; raise ManifestError if its stored type does not fit."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if column.name == "object_id":
        allowed, target = is_text or pa.types.is_integer(kind), pa.string() if is_text else pa.int64()
    elif column.name in BANDS:
        allowed, target = is_text or pa.types.is_null(kind), pa.string()
    else:
        allowed, target = is_number or pa.types.is_null(kind), pa.float64()
    if not allowed:
        raise ManifestError(f"manifest {uri}: column {column.name} must be of a type like {target}, got {kind}")
    return target


def _typed(uri: str, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    n_bytes = sum(_text_bytes(chunk) for chunk in column.chunks) if pa.types.is_dictionary(column.type) else 0
    if n_bytes > MAX_MANIFEST_BYTES:
        raise ManifestError(
            f"manifest {uri}: column {name} must have at most {MAX_MANIFEST_BYTES} bytes of text, got {n_bytes}"
        )
    try:
        typed = column.cast(kind)
    except pa.ArrowInvalid as error:
        raise ManifestError(f"manifest {uri}: column {name} does not fit {kind}: {error}") from error
    if name == "object_id":
        _check_ids(uri, typed)
    return typed


def _text_bytes(texts: pa.DictionaryArray) -> int:
    """Return the bytes that dictionary texts take when they are repeated for every row."""
    return pc.sum(pc.binary_length(texts.dictionary).take(texts.indices).cast(pa.int64())).as_py() or 0


def _check_columns(uri: str, names: list[str]) -> None:
    known = [name for name in names if name in COLUMNS]
    if len(set(known)) != len(known):
        raise ManifestError(f"manifest {uri}: a column is named twice: {', '.join(known)}")
    got = ", ".join(names)[:200]
    if "object_id" not in known:
        raise ManifestError(f"manifest {uri}: needs a column object_id, got {got}")
    if not set(BANDS) & set(known):
        raise ManifestError(f"manifest {uri}: needs at least one column of {', '.join(BANDS)}, got {got}")


def _text_ids(uri: str, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids as int64 if all of them are integers that fit, else as text."""
    _check_ids(uri, ids)
    if len(ids) and pc.all(pc.match_substring_regex(ids, _INTEGER)).as_py():
        try:
            return ids.cast(pa.int64())
        except pa.ArrowInvalid:
            return ids
    return ids


def _check_ids(uri: str, ids: pa.ChunkedArray) -> None:
    for row, object_id in enumerate(ids.to_pylist()):
        if object_id is None or object_id == "":
            raise ManifestError(f"manifest {uri}: row {row + 1} has no object_id")


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _absolute(reference: str | None, folder: str) -> str | None:
    """Return the reference, with the manifest's folder in front if it is relative; None for an empty cell."""
    reference = (reference or "").strip()
    if not reference:
        return None
    is_absolute = reference.startswith("/") or "://" in reference.partition("#")[0]
    return reference if is_absolute or not folder else f"{folder}/{reference}"
