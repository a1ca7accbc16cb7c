"""Manifests: a CSV or Parquet table with the files of each object's bands."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from scanner.files.fits_image import FitsReader
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.sources.band_alignment import read_aligned
from scanner.sources.band_names import band_of_image
from scanner.sources.cutouts import Cutout, to_cutout
from scanner.sources.object_tables import (
    ID_NAMES,
    MAX_ROWS,
    MAX_TABLE_BYTES,
    PARQUET_MAGIC,
    RA_NAMES,
    Columns,
    ManifestError,
    cast_column,
    check_ids,
    csv_texts,
    is_string,
    parquet_others,
    table_bytes,
    text_ids,
    typed,
    value_type,
)
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.calibration import UNCALIBRATED
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection

MANIFEST_SUFFIXES = (".csv", ".parquet")
"""Endings of the names of manifests, in lower case."""
BANDS = tuple(EUCLID)
_VIS = "VIS"
_SCALE_TOLERANCE = 0.1
"""Largest relative difference from the pixel scale of the calibration without a note."""
NUMBER_COLUMNS = ("pixel_scale_arcsec", "ra", "dec")
FILE = "file"
"""Column of files whose images are guessed to be in the bands that their extensions name."""
COLUMNS = ("object_id", *BANDS, *NUMBER_COLUMNS, FILE)


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
    others: Columns = field(default_factory=dict)
    """Columns of the manifest that lensscan does not read, for the output."""
    notes: list[str] = field(default_factory=list)
    """Guesses about the bands of each object's files, for the row's `detail`; an empty text if there are none."""
    faults: list[str] = field(default_factory=list)
    """Reason for which each object names no image, for the row's `detail`; an empty text if there is none."""
    skipped: list[str] = field(default_factory=list)
    """Files of folders that give no object, in their order."""
    files: list[str | None] = field(default_factory=list)
    """Absolute URIs of files that hold all bands, whose references are still to be guessed; empty without such a column."""

    def __len__(self) -> int:
        return len(self.object_ids)

    def rows(self, indices: Sequence[int]) -> "Manifest":
        """Return the objects with these row indices, in that order."""

        def chosen(values: list[Any]) -> list[Any]:
            return [values[i] for i in indices] if values else []

        references = {band: chosen(values) for band, values in self.references.items()}
        ids = self.object_ids.take(pa.array(indices, pa.int64()))
        others = {name: column.take(pa.array(indices, pa.int64())) for name, column in self.others.items()}
        numbers = chosen(self.pixel_scales), chosen(self.ra), chosen(self.dec)
        return Manifest(ids, references, *numbers, others, chosen(self.notes), chosen(self.faults))

    def bands(self, row: int) -> frozenset[str]:
        """Return the bands for which an object names an image."""
        return frozenset(band for band, references in self.references.items() if references[row] is not None)


def read_manifest(uri: str) -> Manifest:
    """Read `object_id`, at least one band column or `file`, and if present `pixel_scale_arcsec`, `ra` and `dec`.

    A column `id`, `source_id` or `name`, in any case, stands for `object_id`; files without any id are named as they are. Other
    columns are kept for the output. Relative references are relative to the manifest's folder.

    Raises:
        ManifestError: the file cannot be read, a column is missing or of the wrong type, or an object has no id.
    """
    data = table_bytes(f"manifest {uri}", uri)
    if not data.strip():
        raise ManifestError(f"manifest {uri}: empty; the first line must name columns out of {', '.join(COLUMNS)}")
    table, others = _read_parquet(uri, data) if data.startswith(PARQUET_MAGIC) else _read_csv(uri, data)
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
        others=others,
        files=[_absolute(cell, folder) for cell in table[FILE].to_pylist()] if FILE in names else [],
    )


Centres = dict[int, tuple[float, float]]
"""Right ascension and declination, in deg, of the middle of a row's image, by row."""


def manifest_cutouts(manifest: Manifest, geometry: Geometry, centres: Centres | None = None) -> Iterator[Cutout | Rejection]:
    """Yield each object's cutout or rejection, in the manifest's order; files are read as the caller iterates.

    `centres` gets the middle of each object's first image, in VIS if there is one, where its header has a plain WCS.
    """
    reader = FitsReader(max_files=len(BANDS))
    for i, pixel_scale_arcsec in enumerate(manifest.pixel_scales):
        row = {band: references[i] for band, references in manifest.references.items()}
        if fault := "".join(manifest.faults[i : i + 1]):
            yield Rejection(RejectCode.MISSING_BAND, fault)
            continue
        try:
            cutout = _row_cutout(reader, row, pixel_scale_arcsec, geometry)
            yield Cutout(cutout.stamps, (*filter(None, manifest.notes[i : i + 1]), *cutout.notes))
        except Rejection as rejection:
            yield rejection
        if centres is not None and (found := _centre(reader, row)):
            centres[i] = found


def _row_cutout(reader: FitsReader, row: dict[str, str | None], pixel_scale_arcsec: float | None, geometry: Geometry) -> Cutout:
    read = read_aligned(reader, row, tuple(geometry.grids), pixel_scale_arcsec)
    cutout = to_cutout(read.images, geometry)
    about_bands = *_substitutions(row), *_named_otherwise(reader, row, geometry)
    return Cutout(cutout.stamps, (*about_bands, *_unlike_vis(read.images, geometry), *read.notes, *cutout.notes))


def _named_otherwise(reader: FitsReader, row: dict[str, str | None], geometry: Geometry) -> list[str]:
    """Return the bands whose images say another band, by the names of their extensions or by FILTER; not of substitutes."""
    named = {band: row[band] or "" for band in geometry.grids}
    n_named = Counter(named.values())
    wrong: list[str] = []
    for band, reference in named.items():
        hdu = reader.hdu(reference)
        says = band_of_image(hdu.name, hdu.header)
        if says not in {None, band} and n_named[reference] == 1:
            wrong.append(f"{band} is an image of {says}")
    return [f"another band by its name or FILTER: {', '.join(wrong)}"] if wrong else []


def _unlike_vis(images: Mapping[str, BandImage], geometry: Geometry) -> list[str]:
    """Return the note that the pixels of VIS are not those that `p_lens` is calibrated for."""
    if _VIS not in images:
        return []
    scale, calibrated = images[_VIS].pixel_scale_arcsec, geometry.grids[_VIS].pixel_scale_arcsec
    is_like = abs(scale / calibrated - 1) <= _SCALE_TOLERANCE
    return [] if is_like else [f"VIS pixels of {scale:.3g} arcsec: {UNCALIBRATED}"]


def _centre(reader: FitsReader, row: dict[str, str | None]) -> tuple[float, float] | None:
    reference = next((row[band] for band in BANDS if row.get(band) is not None), None)
    try:
        return reader.centre(reference) if reference else None
    except Rejection:
        return None


def _substitutions(row: dict[str, str | None]) -> list[str]:
    """Return the bands that substitute others: one image named for several bands (Wilde et al. 2022, table 2)."""
    bands_by_reference: dict[str, list[str]] = {}
    for band, reference in row.items():
        if reference is not None:
            bands_by_reference.setdefault(reference, []).append(band)
    return [f"substituted: {', '.join(rest)} = {first}" for first, *rest in bands_by_reference.values() if rest]


def _read_csv(uri: str, data: bytes) -> tuple[pa.Table, Columns]:
    """Read every column as text, then convert ids and numbers."""
    names, texts = csv_texts(f"manifest {uri}", data)
    columns = _columns(uri, names)
    known = {column: texts[names.index(name)] for column, name in columns.items()}
    for name in NUMBER_COLUMNS:
        if name in known:
            known[name] = pa.chunked_array([pa.array([_number(text) for text in known[name].to_pylist()], pa.float64())])
    known["object_id"] = text_ids(f"manifest {uri}", known["object_id"])
    taken = {*columns.values(), ""}
    return pa.table(known), {name: typed(name, column) for name, column in zip(names, texts, strict=True) if name not in taken}


def _read_parquet(uri: str, data: bytes) -> tuple[pa.Table, Columns]:
    try:
        file = ParquetInput(pa.BufferReader(data), MAX_TABLE_BYTES, MAX_ROWS, keep_dictionaries=True)
        columns = _columns(uri, file.names)
        types = {column: _checked_type(uri, column, file.schema.field(name).type) for column, name in columns.items()}
        table = file.read(list(dict.fromkeys(columns.values())), MAX_TABLE_BYTES)
        others = parquet_others(f"manifest {uri}", file, list(columns.values()))
    except BadParquetError as error:
        raise ManifestError(f"manifest {uri}: {error}") from error
    known = {column: cast_column(f"manifest {uri}", name, table[name], types[column]) for column, name in columns.items()}
    check_ids(f"manifest {uri}", known["object_id"])
    return pa.table(known), others


def _checked_type(uri: str, column: str, stored: pa.DataType) -> pa.DataType:
    """Return the type that a column is converted to; raise ManifestError if its stored type does not fit."""
    kind = value_type(stored)
    is_text = is_string(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if column == "object_id":
        allowed, target = is_text or pa.types.is_integer(kind), pa.string() if is_text else pa.int64()
    elif column in {*BANDS, FILE}:
        allowed, target = is_text or pa.types.is_null(kind), pa.string()
    else:
        allowed, target = is_number or pa.types.is_null(kind), pa.float64()
    if not allowed:
        raise ManifestError(f"manifest {uri}: column {column} must be of a type like {target}, got {kind}")
    return target


def _columns(uri: str, names: list[str]) -> dict[str, str]:
    """Return the names in the file of the columns that are read."""
    has_bands = not set(BANDS).isdisjoint(names)
    known = [name for name in names if name in COLUMNS and not (has_bands and name == FILE)]
    if len(set(known)) != len(known):
        raise ManifestError(f"manifest {uri}: a column is named twice: {', '.join(known)}")
    by_upper_name = {name.upper(): name for name in names}
    # A list of files alone names its objects as its files.
    ids = [by_upper_name[name] for name in (*ID_NAMES, FILE.upper()) if name in by_upper_name]
    columns = {**({"object_id": ids[0]} if ids else {}), **{name: name for name in known}}
    has_positions = not set(by_upper_name).isdisjoint(RA_NAMES)
    got = ", ".join(names)[:200] + ("; a table of positions needs --tiles, a folder of tiles" if has_positions else "")
    if "object_id" not in columns:
        raise ManifestError(f"manifest {uri}: needs a column object_id, got {got}")
    if not (has_bands or FILE in columns):
        raise ManifestError(f"manifest {uri}: needs at least one column of {', '.join(BANDS)}, or {FILE}, got {got}")
    return columns


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
    if reference.startswith("~/"):
        return str(Path(reference).expanduser())
    is_absolute = reference.startswith("/") or "://" in reference.partition("#")[0]
    return reference if is_absolute or not folder else f"{folder}/{reference}"
