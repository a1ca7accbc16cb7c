"""The shard format: about 500 cutouts of one geometry in a Parquet file, with the truth where it is known."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scanner.pixels.geometry import GEOMETRIES, Geometry, Stamps

ROWS_PER_SHARD = 500
KINDS = ("nonlens", "single", "compound_arc", "double_ring")
"""What an object is; the index is the class of a subclass vector."""

_GEOMETRY_KEY = b"lensscan.geometry"


def _truth(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={b"unit": unit.encode(), b"description": description.encode()})


TRUTH_FIELDS: tuple[pa.Field, ...] = (
    _truth("kind", pa.string(), "", f"one of {', '.join(KINDS)}"),
    _truth("index", pa.int64(), "", "position in the data set; the seed of everything random about the object"),
    _truth("z_lens", pa.float64(), "", "redshift of the deflector, or of the galaxy where nothing is lensed"),
    _truth("z_source1", pa.float64(), "", "redshift of the nearer source"),
    _truth("z_source2", pa.float64(), "", "redshift of the farther source of a compound lens"),
    _truth("einstein_radius1_arcsec", pa.float64(), "arcsec", "Einstein radius seen for source 1"),
    _truth("einstein_radius2_arcsec", pa.float64(), "arcsec", "Einstein radius seen for source 2"),
    _truth("velocity_dispersion_km_s", pa.float64(), "km/s", "of the deflector"),
    _truth("magnification1", pa.float64(), "", "total, of source 1"),
    _truth("magnification2", pa.float64(), "", "total, of source 2"),
    _truth("arc_snr", pa.float64(), "", "signal to noise of all lensed light in VIS"),
    _truth("n_pix_source", pa.int64(), "", "VIS pixels in which lensed light exceeds the noise"),
    _truth("lens_mag_vis", pa.float64(), "mag", "AB, total"),
    _truth("source1_mag_vis", pa.float64(), "mag", "AB, unlensed"),
    _truth("source2_mag_vis", pa.float64(), "mag", "AB, unlensed"),
    _truth("source1_vis_minus_h", pa.float64(), "mag", "AB colour of source 1"),
    _truth("detector_angle_deg", pa.float64(), "deg", "position angle of the detector, hence of the PSF"),
)


@dataclass(frozen=True)
class Shard:
    """Cutouts with their truth; `truth` has one row per object and the columns of `TRUTH_FIELDS`."""

    object_ids: NDArray[np.int64]
    stamps: Stamps
    truth: pa.Table
    geometry: Geometry


def shard_schema(geometry: Geometry) -> pa.Schema:
    """`object_id`, one fixed-size list of float32 per band (row-major `[y, x]`, ADU/s), then the truth columns."""
    bands = [
        pa.field(band, pa.list_(pa.float32(), grid.n_pixels**2), metadata={b"unit": b"adu/s"})
        for band, grid in geometry.grids.items()
    ]
    fields = [pa.field("object_id", pa.int64(), nullable=False), *bands, *TRUTH_FIELDS]
    return pa.schema(fields, metadata={_GEOMETRY_KEY: geometry.name.encode()})


def shard_table(object_ids: NDArray[np.int64], stamps: Stamps, truth: Mapping[str, list], geometry: Geometry) -> pa.Table:
    """A table of `shard_schema`; truth columns that are not given are null.

    Raises:
        ValueError: a band's array does not have the shape `[len(object_ids), n_pixels, n_pixels]`.
    """
    n = len(object_ids)
    columns: list[pa.Array] = [pa.array(object_ids, pa.int64())]
    for band, grid in geometry.grids.items():
        expected = (n, grid.n_pixels, grid.n_pixels)
        if stamps[band].shape != expected:
            raise ValueError(f"{band}: stamps must have the shape {expected}, got {stamps[band].shape}")
        flat = pa.array(np.ascontiguousarray(stamps[band], dtype=np.float32).reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(flat, grid.n_pixels**2))
    columns += [pa.array(truth.get(f.name, [None] * n), f.type) for f in TRUTH_FIELDS]
    return pa.Table.from_arrays(columns, schema=shard_schema(geometry))


def encode_shard(table: pa.Table) -> bytes:
    """Parquet bytes with page checksums. Noise does not compress, so pixels are stored plain."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=False, write_page_checksum=True)
    return sink.getvalue()


def decode_shard(data: bytes) -> Shard:
    """The inverse of `encode_shard`, verifying page checksums.

    Raises:
        ValueError: not a shard of a known geometry, columns differ from the schema, or an object without pixels.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"not a readable Parquet shard: {error}") from error
    name = (table.schema.metadata or {}).get(_GEOMETRY_KEY, b"").decode()
    if name not in GEOMETRIES:
        raise ValueError(f"shard geometry must be one of {sorted(GEOMETRIES)}, got {name!r}")
    geometry = GEOMETRIES[name]
    if not table.schema.equals(shard_schema(geometry)):
        raise ValueError(f"columns are not those of a {name} shard: {table.schema.names}")
    for name in ("object_id", *geometry.grids):
        # A null list has no pixels: unnoticed, it would shift every object after it.
        if table[name].null_count:
            raise ValueError(f"shard column {name} must have no nulls, got {table[name].null_count}")
    stamps = {band: _images(table[band], grid.n_pixels) for band, grid in geometry.grids.items()}
    return Shard(table["object_id"].to_numpy(), stamps, table.select([f.name for f in TRUTH_FIELDS]), geometry)


def _images(column: pa.ChunkedArray, n_pixels: int) -> NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, n_pixels, n_pixels)
