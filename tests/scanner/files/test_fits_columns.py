"""Columns of FITS tables have the values, types and units that astropy finds."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from scanner.files import fits_source_table as module
from scanner.files.fits_columns import MissingColumnsError, SourceTableError
from scanner.files.fits_source_table import read_sources

N = 9
COLUMNS = {
    "OBJECT_ID": fits.Column("OBJECT_ID", "K", array=np.arange(N)),
    "RIGHT_ASCENSION": fits.Column("RIGHT_ASCENSION", "D", array=np.zeros(N)),
    "DECLINATION": fits.Column("DECLINATION", "D", array=np.zeros(N)),
    "FLUX": fits.Column("FLUX", "E", unit="uJy", array=np.array([np.nan, np.inf, *range(N - 2)], np.float32)),
    "Flag": fits.Column("Flag", "I", null=-99, array=np.array([-99, *range(N - 1)], np.int16)),
    "WORD": fits.Column("WORD", "6A", array=[f"w{i} " for i in range(N)]),
    "STAR": fits.Column("STAR", "L", array=np.arange(N) % 2 == 0),
    "COUNT": fits.Column("COUNT", "J", bzero=2**31, array=np.arange(N, dtype=np.uint32) + 2**31),
    "SCALED": fits.Column("SCALED", "I", array=np.arange(N, dtype=np.int16)),
    "BYTE": fits.Column("BYTE", "B", array=np.arange(N, dtype=np.uint8)),
    "SPECTRUM": fits.Column("SPECTRUM", "3E", array=np.zeros((N, 3))),
    "JAGGED": fits.Column("JAGGED", "PE()", array=np.array([np.zeros(i) for i in range(N)], object)),
}
VALUES = {
    "flux": (pa.float32(), [None, None, *map(float, range(N - 2))]),
    "flag": (pa.int16(), [None, *range(N - 1)]),
    "word": (pa.string(), [f"w{i}" for i in range(N)]),
    "star": (pa.bool_(), [i % 2 == 0 for i in range(N)]),
    "count": (pa.uint32(), [i + 2**31 for i in range(N)]),
    "scaled": (pa.float64(), [i * 0.5 + 3 for i in range(N)]),
    "byte": (pa.uint8(), list(range(N))),
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "c.fits"
    fits.BinTableHDU.from_columns(list(COLUMNS.values())).writeto(path)
    number = list(COLUMNS).index("SCALED") + 1
    for key, value in (("TSCAL", 0.5), ("TZERO", 3.0)):
        fits.setval(path, f"{key}{number}", value=value, ext=1)
    return str(path)


@pytest.mark.parametrize("piece_bytes", [1, 2**25])
def test_columns_have_their_values_types_and_units(uri, monkeypatch, piece_bytes):
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    found = read_sources(uri, 2**20, needed=("Flux", "flag"), wanted=[*VALUES, "nosuch"])
    assert {name: (found.others[name].type, found.others[name].to_pylist()) for name in found.others.column_names} == VALUES
    assert found.others.field("flux").metadata == {b"unit": b"uJy"}
    assert found.known == tuple(name.lower() for name in COLUMNS)
    assert found.ids.tolist() == list(range(N))


def test_a_missing_column_is_found_before_rows_are_read(uri, monkeypatch):
    monkeypatch.setattr(module, "_pieces", None)
    with pytest.raises(MissingColumnsError, match="has no column flx, nosuch") as found:
        read_sources(uri, 2**20, needed=("FLX", "flux", "nosuch"))
    assert "flux" in found.value.known


@pytest.mark.parametrize(("name", "form"), [("spectrum", "3E"), ("jagged", r"PE\(8\)")])
def test_a_column_of_arrays_is_refused(uri, name, form):
    with pytest.raises(SourceTableError, match=f"column {name} must hold one number or text in each row, has TFORM = '{form}'"):
        read_sources(uri, 2**20, needed=(name,))
    assert read_sources(uri, 2**20, wanted=(name, "flux")).others.column_names == ["flux"]


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "u2", "u4", "u8"])
def test_nulls_that_astropy_writes_are_null(tmp_path, kind):
    uri = str(tmp_path / "c.fits")
    values = np.array([1, 0, 3, 2 ** (np.iinfo(kind).bits - 1) - 1], kind)
    positions = {name: np.zeros(4) for name in ("RIGHT_ASCENSION", "DECLINATION")}
    Table({"OBJECT_ID": np.arange(4), "N": MaskedColumn(values, mask=[0, 1, 0, 0])} | positions).write(uri)
    masked = Table.read(uri)["N"]
    assert masked.mask.tolist() == [False, True, False, False]
    found = read_sources(uri, 2**20, needed=("N",)).others["n"]
    assert found.type == pa.from_numpy_dtype(masked.dtype.newbyteorder("="))
    assert found.to_pylist() == masked.tolist()


@pytest.mark.parametrize(
    ("form", "scaling", "values"),
    [
        ("I", {}, [1, None, 300]),
        ("I", {"TSCAL": 1, "TZERO": 2**15}, [2**15 + 1, None, 2**15 + 300]),
        ("J", {"TZERO": 2**31}, [2**31 + 1, None, 2**31 + 300]),
        ("K", {"TZERO": 2**63}, [2**63 + 1, None, 2**63 + 300]),
        ("J", {"TSCAL": 0.1, "TZERO": 3}, [1 * 0.1 + 3, None, 300 * 0.1 + 3]),
        ("I", {"TSCAL": 2}, [2.0, None, 600.0]),
    ],
)
def test_nulls_of_the_standard_are_stored_integers(tmp_path, form, scaling, values):
    assert read_sources(scaled(tmp_path, form, scaling), 2**20, needed=("N",)).others["n"].to_pylist() == values


@pytest.mark.parametrize(("form", "zero"), [("I", 2.0**15), ("J", 2.0**31)])
def test_unsigned_integers_may_have_a_float_as_tzero(tmp_path, form, zero):
    found = read_sources(scaled(tmp_path, form, {"TZERO": zero}), 2**20, needed=("N",)).others["n"]
    assert found.to_pylist() == [zero + 1, None, zero + 300]


@pytest.mark.parametrize(
    ("form", "scaling", "says"),
    [
        ("K", {"TZERO": 5}, "TFORM4 = 'K', TSCAL4 = 1 and TZERO4 = 5: TSCAL of unsigned integers must be 1, TZERO of 64-bit"),
        ("J", {"TSCAL": 0.5, "TZERO": 2**31}, "TFORM4 = 'J', TSCAL4 = 0.5 and TZERO4 = 2147483648: TSCAL of unsigned"),
        ("I", {"TZERO": "abc"}, "TZERO4 must be a number, got 'abc'"),
    ],
)
def test_a_scaling_that_astropy_cannot_read_is_refused(tmp_path, form, scaling, says):
    with pytest.raises(SourceTableError, match=says):
        read_sources(scaled(tmp_path, form, scaling), 2**20, needed=("N",))


def scaled(tmp_path, form, scaling):
    """Write a table with a column N of the integers 1, null and 300, and return its path."""
    path = tmp_path / "c.fits"
    columns = [COLUMNS[name] for name in ("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION")]
    stored = fits.Column("N", form, array=np.array([1, -99, 300]), null=-99)
    fits.BinTableHDU.from_columns([*columns, stored], nrows=3).writeto(path)
    for key, value in scaling.items():
        fits.setval(path, f"{key}4", value=value, ext=1)
    return str(path)
