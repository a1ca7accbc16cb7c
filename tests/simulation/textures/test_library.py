import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulation.textures.library import SCHEMA, Specimen, TextureError, encode_textures, read_textures
from tests.simulation.textures_made import lumpy_texture, write_textures


def specimen(**changes):
    values = {
        "texture": lumpy_texture(1),
        "pixel_scale_arcsec": 0.168,
        "mag_ab": 21.5,
        "image": "i.fits#1",
        "x_pixel": 7,
        "y_pixel": 9,
    }
    return Specimen(**{**values, "source": "a field", "licence": "MIT", **changes})


def rows(**changes):
    return {**specimen().row(), **changes}


def written(path, *rows, schema=SCHEMA):
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return str(path)


def test_textures_are_read_as_they_were_written(tmp_path):
    specimens = [specimen(), specimen(texture=lumpy_texture(2, 31, blur=0.4), pixel_scale_arcsec=0.1)]
    path = tmp_path / "t.parquet"
    path.write_bytes(encode_textures(specimens))
    for read, made in zip(read_textures(str(path)), specimens, strict=True):
        np.testing.assert_allclose(read.pixels, made.texture.pixels, rtol=1e-6)
        assert read.half_light_radius_pixels == pytest.approx(made.texture.half_light_radius_pixels)
        assert read.blur == pytest.approx(made.texture.blur)


def test_the_same_specimens_give_the_same_bytes():
    assert encode_textures([specimen()]) == encode_textures([specimen()])
    assert encode_textures([specimen()]) != encode_textures([specimen(x_pixel=8)])


def test_rows_say_where_a_galaxy_is_from():
    table = pq.read_table(io.BytesIO(encode_textures([specimen(), specimen(mag_ab=None)])))
    first, second = table.drop_columns("pixels").to_pylist()
    assert first["half_light_radius_arcsec"] == pytest.approx(8 * 0.168)
    assert first["point_radius_arcsec"] == pytest.approx(0.1 * 8 * 0.168)
    assert (first["image"], first["x_pixel"], first["y_pixel"]) == ("i.fits#1", 7, 9)
    assert (first["source"], first["licence"]) == ("a field", "MIT")
    assert (first["mag_ab"], second["mag_ab"]) == (21.5, None)
    assert table.schema.field("half_light_radius_arcsec").metadata[b"unit"] == b"arcsec"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": [0.1] * 8}, r"row 1: pixels must be those of a square, got 8 values"),
        ({"pixels": []}, "row 1: pixels must be a square"),
        ({"pixels": [0.1, -0.1, 0.1, 0.1]}, "row 1: pixels must be finite, not negative"),
        ({"pixels": [0.1, None, 0.1, 0.1]}, "row 1: pixels must be finite, not negative"),
        ({"pixel_scale_arcsec": 0.0}, "row 1: pixel_scale_arcsec and half_light_radius_arcsec must be > 0, got 0.0"),
        ({"half_light_radius_arcsec": float("nan")}, "row 1: pixel_scale_arcsec and half_light_radius_arcsec must be > 0"),
        ({"half_light_radius_arcsec": 90.0}, "row 1: half_light_radius_pixels must be in"),
        ({"point_radius_arcsec": 9.0}, "row 1: blur must be in"),
        ({"point_radius_arcsec": None}, "row 1: point_radius_arcsec must have a value, got none"),
        ({"pixels": None}, "row 1: pixels must have a value, got none"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, changes, message):
    free = pa.schema([field.with_nullable(nullable=True) for field in SCHEMA])
    path = written(tmp_path / "t.parquet", rows(), rows(**changes), schema=free)
    with pytest.raises(TextureError, match=message):
        read_textures(path)


def test_other_files_are_refused(tmp_path):
    other = str(tmp_path / "other.parquet")
    pq.write_table(pa.table({"pixels": [[1.0]], "n": [1]}), other)
    with pytest.raises(TextureError, match="is no file of `lensscan textures`: it has no pixels, pixel_scale_arcsec"):
        read_textures(other)
    (tmp_path / "text.parquet").write_text("no textures")
    with pytest.raises(TextureError, match=r"text\.parquet: not a readable Parquet file"):
        read_textures(str(tmp_path / "text.parquet"))
    pq.ParquetWriter(tmp_path / "empty.parquet", SCHEMA).close()
    with pytest.raises(TextureError, match="holds no textures"):
        read_textures(str(tmp_path / "empty.parquet"))
    with pytest.raises(FileNotFoundError):
        read_textures(str(tmp_path / "missing.parquet"))


def test_a_damaged_file_is_refused(tmp_path):
    path = write_textures(tmp_path / "t.parquet")
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(TextureError, match="not a readable Parquet file"):
        read_textures(path)
