"""Files of textures: one Parquet file with a row for each galaxy, which is read when galaxies are simulated."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.store.storage import read_bytes
from scanner.files.parquet_checked import BadParquetError, ParquetInput
from scanner.vocabulary.geometry import Image
from simulation.systems import Texture

MAX_FILE_BYTES = 2**28
"""Largest size of a file of textures, packed and unpacked."""
MAX_TEXTURES = 2**14


def _column(name: str, kind: pa.DataType, unit: str, description: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable, metadata={b"unit": unit.encode(), b"description": description.encode()})


SCHEMA = pa.schema(
    [
        _column("pixels", pa.list_(pa.float32()), "", "square image, row by row, y up, with the sum 1"),
        _column("pixel_scale_arcsec", pa.float64(), "arcsec", "side of a pixel on the sky"),
        _column("half_light_radius_arcsec", pa.float64(), "arcsec", "radius that holds half of the light"),
        _column("point_radius_arcsec", pa.float64(), "arcsec", "the same of a point source in the image"),
        _column("mag_ab", pa.float64(), "mag", "magnitude, if the zero point of the image is known", nullable=True),
        _column("image", pa.string(), "", "name of the image that the galaxy is from"),
        _column("x_pixel", pa.int32(), "pix", "column of the image in the middle of the galaxy, counted from 0"),
        _column("y_pixel", pa.int32(), "pix", "row of the image"),
        _column("source", pa.string(), "", "words on where the image is from"),
        _column("licence", pa.string(), "", "licence of the image"),
    ],
    metadata={b"lensscan.textures": b"1"},
)


class TextureError(LensscanError, ValueError):
    """Textures cannot be read or made; the message names the file."""


@dataclass(frozen=True)
class Specimen:
    """A galaxy of a file: its texture, and where it is from."""

    texture: Texture
    pixel_scale_arcsec: float
    mag_ab: float | None
    image: str
    x_pixel: int
    y_pixel: int
    source: str = ""
    licence: str = ""

    def row(self) -> dict[str, Any]:
        """Return the row of the file."""
        radius = self.texture.half_light_radius_pixels * self.pixel_scale_arcsec
        return {
            "pixels": self.texture.pixels.ravel(),
            "pixel_scale_arcsec": self.pixel_scale_arcsec,
            "half_light_radius_arcsec": radius,
            "point_radius_arcsec": self.texture.blur * radius,
            "mag_ab": self.mag_ab,
            "image": self.image,
            "x_pixel": self.x_pixel,
            "y_pixel": self.y_pixel,
            "source": self.source,
            "licence": self.licence,
        }


def encode_textures(specimens: Sequence[Specimen]) -> bytes:
    """Return Parquet bytes with page checksums; the same specimens give the same bytes."""
    sink = io.BytesIO()
    table = pa.Table.from_pylist([specimen.row() for specimen in specimens], SCHEMA)
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
    return sink.getvalue()


def read_textures(uri: str) -> tuple[Texture, ...]:
    """Read a file of textures, in its order.

    Args:
        uri: Local path, `file://` or `s3://`.

    Raises:
        TextureError: it is no such file, or is damaged, empty, or too large; the message names the row.
        FileNotFoundError: there is no file.
    """
    names = ["pixels", "pixel_scale_arcsec", "half_light_radius_arcsec", "point_radius_arcsec"]
    try:
        file = ParquetInput(pa.BufferReader(read_bytes(uri)), MAX_FILE_BYTES, MAX_TEXTURES)
        wrong = [name for name in names if name not in file.names or file.schema.field(name).type != SCHEMA.field(name).type]
        if wrong:
            raise TextureError(f"{uri}: is no file of `lensscan textures`: it has no {', '.join(wrong)}")
        table = file.read(names, MAX_FILE_BYTES)
    except BadParquetError as error:
        raise TextureError(f"{uri}: {error}") from error
    if not table.num_rows:
        raise TextureError(f"{uri}: holds no textures")
    return tuple(_texture(row, f"{uri}, row {number}") for number, row in enumerate(_rows(table)))


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, with pixels as an array: as Python's numbers they would take ten times the memory."""
    pixels = table["pixels"].combine_chunks()
    for number, row in enumerate(table.drop_columns("pixels").to_pylist()):
        yield {"pixels": pixels[number].values, **row}


def _texture(row: dict[str, Any], label: str) -> Texture:
    missing = [name for name, value in row.items() if value is None]
    if missing:
        raise TextureError(f"{label}: {missing[0]} must have a value, got none")
    scale, radius, point_radius = (
        row[name] for name in ("pixel_scale_arcsec", "half_light_radius_arcsec", "point_radius_arcsec")
    )
    if not (scale > 0 and radius > 0):
        raise TextureError(f"{label}: pixel_scale_arcsec and half_light_radius_arcsec must be > 0, got {scale} and {radius}")
    try:
        return Texture(_square(row["pixels"].to_numpy(zero_copy_only=False)), radius / scale, point_radius / radius)
    except ValueError as error:
        raise TextureError(f"{label}: {error}") from error


def _square(values: NDArray[np.float32]) -> Image:
    n = round(len(values) ** 0.5)
    if n * n != len(values):
        raise ValueError(f"pixels must be those of a square, got {len(values)} values")
    return values.reshape(n, n)
