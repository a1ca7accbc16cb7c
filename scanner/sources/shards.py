"""The shard format: about 500 cutouts of one geometry in a Parquet file, with the simulation truth if it is known."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scanner.files.parquet_checked import ParquetInput
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps
from scanner.vocabulary.kinds import COMPONENTS, KINDS

ROWS_PER_SHARD = 500
MAX_SHARD_BYTES = 2**31
"""Largest size of a shard file, in bytes."""
MAX_SHARD_ROWS = 2**20
MAX_PIXEL_BYTES = 2**32
"""Largest size of the unpacked pixels of a shard that is read as a whole, in bytes."""
_ROWS_BETWEEN_PAGES = 4
"""Rows after which the writer begins a new page if this one has a megabyte; 1024 images, its default, are too large a page."""
MAX_KNOWN_BYTES = 2**26
"""Largest size of the unpacked ids and indices, in bytes."""

PIXEL = np.dtype("<f4")
"""Type of the pixels in an image's bytes."""

DATA_SET_KEY = b"lensscan.dataset"
"""Key of a file's metadata that describes the data set of simulated objects; their ids are numbers in it."""

_GEOMETRY_KEY = b"lensscan.geometry"
_IMAGE_METADATA = {b"unit": b"adu/s", b"dtype": PIXEL.str.encode()}


def _truth(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={b"unit": unit.encode(), b"description": description.encode()})


TRUTH_FIELDS: tuple[pa.Field, ...] = (
    _truth("kind", pa.string(), "", f"one of {', '.join(KINDS)}"),
    _truth("morphology", pa.string(), "", "apparent shape: arc, quad, ring, compound_arc, double_ring, or the look-alike"),
    _truth("index", pa.int64(), "", "position in the data set; the seed of everything random about the object"),
    _truth("z_lens", pa.float64(), "", "redshift of the deflector, or of the galaxy if nothing is lensed"),
    _truth("z_source1", pa.float64(), "", "redshift of the nearer source"),
    _truth("z_source2", pa.float64(), "", "redshift of the farther source of a compound lens"),
    _truth("einstein_radius1_arcsec", pa.float64(), "arcsec", "Einstein radius seen for source 1"),
    _truth("einstein_radius2_arcsec", pa.float64(), "arcsec", "Einstein radius seen for source 2"),
    _truth("velocity_dispersion_km_s", pa.float64(), "km/s", "velocity dispersion of the deflector"),
    _truth("magnification1", pa.float64(), "", "total magnification of source 1"),
    _truth("magnification2", pa.float64(), "", "total magnification of source 2"),
    _truth("arc_snr", pa.float64(), "", "signal-to-noise ratio of all lensed light in VIS"),
    _truth("n_pix_source", pa.int64(), "", "number of VIS pixels in which lensed light exceeds the noise"),
    _truth("n_source_im", pa.int64(), "", "number of images of the centre of source 1"),
    _truth("is_challenge_lens", pa.bool_(), "", "n_source_im > 0, magnification1 > 1.6 and n_pix_source > 20"),
    _truth("n_galaxies_inside", pa.int64(), "", "further galaxies of the lens's group within the Einstein radius for source 1"),
    _truth("arc_to_lens_flux", pa.float64(), "", "flux of all lensed light over that of the lens galaxy and its group, in VIS"),
    _truth("lens_mag_vis", pa.float64(), "mag", "total AB magnitude of the lens galaxy and its group in VIS"),
    _truth("source1_mag_vis", pa.float64(), "mag", "unlensed AB magnitude of source 1 in VIS"),
    _truth("source2_mag_vis", pa.float64(), "mag", "unlensed AB magnitude of source 2 in VIS"),
    _truth("source1_vis_minus_h", pa.float64(), "mag", "AB colour VIS - H of source 1"),
    _truth("detector_angle_deg", pa.float64(), "deg", "position angle of the detector, hence of the PSF"),
)


@dataclass(frozen=True)
class Shard:
    """Cutouts with their truth; `truth` has one row per object and the columns of `TRUTH_FIELDS`."""

    object_ids: NDArray[np.int64]
    stamps: Stamps
    truth: pa.Table
    geometry: Geometry
    components: Mapping[str, Stamps] = field(default_factory=dict)
    """Images of each of `COMPONENTS`, zero if the object has no such light; empty if the shard has no components."""


def shard_schema(geometry: Geometry, *, with_components: bool = False) -> pa.Schema:
    """Return the schema: `object_id`, the bytes of an image per band (float32, row-major `[y, x]`, ADU/s), truth, components.

    No id and no image can be null: a null image would shift the pixels of all objects after it. Bytes of a fixed length are
    read three times as fast as lists of numbers, for which Parquet stores the level of each number.
    """
    prefixes = ("", *(f"{component}_" for component in COMPONENTS)) if with_components else ("",)
    images, *components = [_band_fields(geometry, prefix) for prefix in prefixes]
    fields = [pa.field("object_id", pa.int64(), nullable=False), *images, *TRUTH_FIELDS, *chain.from_iterable(components)]
    return pa.schema(fields, metadata={_GEOMETRY_KEY: geometry.name.encode()})


def _band_fields(geometry: Geometry, prefix: str) -> list[pa.Field]:
    return [
        pa.field(prefix + band, pa.binary(PIXEL.itemsize * grid.n_pixels**2), nullable=False, metadata=_IMAGE_METADATA)
        for band, grid in geometry.grids.items()
    ]


def shard_table(
    object_ids: NDArray[np.int64],
    stamps: Stamps,
    truth: Mapping[str, list],
    geometry: Geometry,
    components: Mapping[str, Stamps] | None = None,
) -> pa.Table:
    """Return a table of `shard_schema`; truth columns that are not given are null.

    Raises:
        ValueError: a band's array does not have the shape `[len(object_ids), n_pixels, n_pixels]`.
    """
    n = len(object_ids)
    schema = shard_schema(geometry, with_components=components is not None)
    columns: list[pa.Array] = [pa.array(object_ids, pa.int64()), *_image_columns(stamps, geometry, n)]
    columns += [pa.array(truth.get(f.name, [None] * n), f.type) for f in TRUTH_FIELDS]
    if components is not None:
        columns += [column for name in COMPONENTS for column in _image_columns(components[name], geometry, n)]
    return pa.Table.from_arrays(columns, schema=schema)


def _image_columns(stamps: Stamps, geometry: Geometry, n: int) -> list[pa.Array]:
    columns = []
    for (band, grid), column in zip(geometry.grids.items(), _band_fields(geometry, ""), strict=True):
        expected = (n, grid.n_pixels, grid.n_pixels)
        if stamps[band].shape != expected:
            raise ValueError(f"{band}: stamps must have the shape {expected}, got {stamps[band].shape}")
        pixels = pa.py_buffer(np.ascontiguousarray(stamps[band], dtype=PIXEL))
        columns.append(pa.FixedSizeBinaryArray.from_buffers(column.type, n, [None, pixels]))
    return columns


def encode_shard(table: pa.Table) -> bytes:
    """Return Parquet bytes with page checksums.

    Only components are compressed, most of which are zero: zstd shrinks bytes of noise by a thirteenth, and reading them then
    takes nearly three times as long.
    """
    sink = io.BytesIO()
    prefixes = tuple(f"{component}_" for component in COMPONENTS)
    compression = {f.name: "zstd" if f.name.startswith(prefixes) and _is_image(f) else "none" for f in table.schema}
    options = {"use_dictionary": False, "write_page_checksum": True, "write_batch_size": _ROWS_BETWEEN_PAGES}
    pq.write_table(table, sink, compression=compression, **options)
    return sink.getvalue()


def decode_shard(data: bytes) -> Shard:
    """Return the shard that `encode_shard` wrote, after checking the page checksums.

    Raises:
        ValueError: not a shard of a known geometry, damaged, or columns differ from the schema.
    """
    file = _opened(pa.BufferReader(data))
    geometry, with_components = _check_schema(file.schema)
    pixel_bytes = file.n_rows * sum(f.type.byte_width for f in _in_this_layout(file.schema) if _is_image(f))
    if pixel_bytes > MAX_PIXEL_BYTES:
        raise ValueError(f"a shard must hold at most {MAX_PIXEL_BYTES} bytes of pixels, got {pixel_bytes}")
    return _shard(file.read(file.names, MAX_PIXEL_BYTES), geometry, with_components=with_components)


def shard_of(table: pa.Table) -> Shard:
    """Return the shard in a table of `shard_schema`, without a file.

    Raises:
        ValueError: columns differ from the schema.
    """
    geometry, with_components = _check_schema(table.schema)
    return _shard(table, geometry, with_components=with_components)


def _shard(table: pa.Table, geometry: Geometry, *, with_components: bool) -> Shard:
    kept = COMPONENTS if with_components else ()
    components = {component: _stamps(table, geometry, f"{component}_") for component in kept}
    truth = table.select([f.name for f in TRUTH_FIELDS])
    return Shard(table["object_id"].to_numpy(), _stamps(table, geometry), truth, geometry, components)


@dataclass(frozen=True)
class ShardRows:
    """Ids and indices of a shard's rows; pixels are read when they are needed."""

    source: Callable[[], pa.NativeFile]
    """Function that opens the file."""
    geometry: Geometry
    object_ids: NDArray[np.int64]
    indices: list[int | None]
    """Position of each object in the data set; None if unknown."""

    def pieces(self, n_rows: int) -> Iterator[Shard]:
        """Yield the rows in order, `n_rows` at a time, without truth or components.

        Raises:
            ValueError: the file is damaged.
            StorageError: the store failed.
        """
        names = ["object_id", *self.geometry.grids]
        for table in _opened(self.source()).batches(names, n_rows):
            yield Shard(table["object_id"].to_numpy(), _stamps(table, self.geometry), pa.table({}), self.geometry)


def open_shard(source: Callable[[], pa.NativeFile]) -> ShardRows:
    """Open a shard whose pixels are read a few rows at a time.

    Raises:
        ValueError: as `decode_shard`, for everything that can be checked before pixels are read.
        StorageError: the store failed.
    """
    file = _opened(source())
    geometry, _ = _check_schema(file.schema)
    table = file.read(["object_id", "index"], MAX_KNOWN_BYTES)
    return ShardRows(source, geometry, table["object_id"].to_numpy(), table["index"].to_pylist())


class NumberedObjects(NamedTuple):
    """Ids of a shard's objects, `[n]`, and the data set in which they are numbers."""

    object_ids: NDArray[np.int64]
    data_set: bytes | None
    """Description of the data set in the file's metadata; None if there is none."""


def numbered_objects(source: BinaryIO) -> NumberedObjects:
    """Return the ids of a shard and the data set that it states, read without its pixels.

    Raises:
        ValueError: as `open_shard`.
        StorageError: the store failed.
    """
    file = _opened(source)
    _check_schema(file.schema)
    ids = file.read(["object_id"], MAX_KNOWN_BYTES)["object_id"].to_numpy()
    return NumberedObjects(ids, (file.schema.metadata or {}).get(DATA_SET_KEY))


def shard_kinds(source: BinaryIO) -> list[str | None]:
    """Return the kinds of a shard's objects, None where they are unknown, read without its pixels.

    Raises:
        ValueError: as `open_shard`.
        StorageError: the store failed.
    """
    file = _opened(source)
    _check_schema(file.schema)
    return file.read(["kind"], MAX_KNOWN_BYTES)["kind"].to_pylist()


def _opened(source: pa.NativeFile | BinaryIO) -> ParquetInput:
    return ParquetInput(source, MAX_SHARD_BYTES, MAX_SHARD_ROWS)


def _check_schema(schema: pa.Schema) -> tuple[Geometry, bool]:
    """Return the geometry, and whether the shard has components."""
    name = (schema.metadata or {}).get(_GEOMETRY_KEY, b"").decode()
    if name not in GEOMETRIES:
        raise ValueError(f"shard geometry must be one of {sorted(GEOMETRIES)}, got {name!r}")
    geometry = GEOMETRIES[name]
    with_components = f"{COMPONENTS[0]}_{next(iter(geometry.grids))}" in schema.names
    if not _in_this_layout(schema).equals(shard_schema(geometry, with_components=with_components)):
        raise ValueError(f"columns are not those of a {name} shard: {schema.names}")
    return geometry, with_components


def _is_image(column: pa.Field) -> bool:
    return bool(pa.types.is_fixed_size_binary(column.type))


def _in_this_layout(schema: pa.Schema) -> pa.Schema:
    """Return the schema with bytes for lists of float32, which this format had before."""
    fields = [
        field.with_type(pa.binary(PIXEL.itemsize * field.type.list_size)) if _is_list_of_pixels(field) else field
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _is_list_of_pixels(column: pa.Field) -> bool:
    kind = column.type
    return bool(
        pa.types.is_fixed_size_list(kind) and kind.value_field.equals(pa.field("element", pa.float32(), nullable=False))
    )


def _stamps(table: pa.Table, geometry: Geometry, prefix: str = "") -> Stamps:
    return {band: _images(table[prefix + band], grid.n_pixels) for band, grid in geometry.grids.items()}


def _images(column: pa.ChunkedArray, n_pixels: int) -> NDArray[np.float32]:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if pa.types.is_fixed_size_binary(whole.type):
        n_values = n_pixels**2
        flat = np.frombuffer(whole.buffers()[1], PIXEL, len(whole) * n_values, whole.offset * n_values * PIXEL.itemsize)
    else:
        flat = whole.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, n_pixels, n_pixels)
