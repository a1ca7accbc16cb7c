"""Tables of sources are read in pieces; astropy is the reference."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from scanner.files import fits_source_table as module
from scanner.files.fits_columns import SourceTableError
from scanner.files.fits_source_table import read_sources
from scanner.files.source_table import SourceColumns
from scanner.vocabulary.rejections import Rejection

N = 1000
COLUMNS = {
    "flag": ("7A", np.array([f"f{i}" for i in range(N)])),
    "OBJECT_ID": ("K", np.arange(N) * 2**53 + 1),
    "RIGHT_ASCENSION": ("D", np.linspace(0, 360, N)),
    "spectrum": ("20E", np.zeros((N, 20))),
    "DECLINATION": ("E", np.linspace(-90, 90, N)),
}


def write(path, changes=None, n=N):
    columns = COLUMNS | (changes or {})
    table = fits.BinTableHDU.from_columns([fits.Column(name, form, array=a[:n]) for name, (form, a) in columns.items()])
    other = fits.BinTableHDU.from_columns([fits.Column("OBJECT_ID", "J", array=[1])])
    fits.HDUList([fits.PrimaryHDU(np.zeros((50, 50))), other, table]).writeto(path, checksum=True)
    return str(path)


@pytest.mark.parametrize("piece_bytes", [1, 7 * 107, 2**25])
def test_rows_are_those_of_astropy_in_pieces_of_any_size(tmp_path, monkeypatch, piece_bytes):
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    n = 20 if piece_bytes == 1 else N
    uri = write(tmp_path / "c.fits", n=n)
    found = read_sources(uri, 2**20)
    sources = (found.ids, found.ra, found.dec)
    with fits.open(uri) as hdus:
        for array, name in zip(sources, ("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION"), strict=True):
            assert array.tolist() == hdus[2].data[name].tolist()
    assert [array.dtype for array in sources] == ["=i8", "=f8", "=f8"]


def test_an_empty_table_has_no_sources(tmp_path):
    found = read_sources(write(tmp_path / "c.fits", n=0), 2**20)
    assert [len(array) for array in (found.ids, found.ra, found.dec)] == [0, 0, 0]


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"OBJECT_ID": ("D", np.arange(N))}, "OBJECT_ID must be one integer per row, got >f8; floats lose digits"),
        ({"OBJECT_ID": ("2K", np.zeros((N, 2), int))}, "OBJECT_ID must be one integer per row, got arrays of >i8$"),
        ({"DECLINATION": ("5A", np.array(["1.0"] * N))}, "positions must be one number per row"),
        ({"DECLINATION": ("2D", np.zeros((N, 2)))}, "positions must be one number per row"),
    ],
)
@pytest.mark.parametrize("n", [0, N])
def test_columns_of_other_types_are_refused(tmp_path, changes, says, n):
    with pytest.raises(SourceTableError, match=says):
        read_sources(write(tmp_path / "c.fits", changes, n), 2**20)


@pytest.mark.parametrize("kind", ["i2", "i8", "u2", "u8"])
@pytest.mark.parametrize("row", [0, 6, N - 1])
def test_a_row_with_a_null_id_is_named(tmp_path, monkeypatch, kind, row):
    monkeypatch.setattr(module, "_PIECE_BYTES", 500)
    positions = {"RIGHT_ASCENSION": np.zeros(N), "DECLINATION": np.zeros(N)}
    uri = str(tmp_path / "c.fits")
    Table({"OBJECT_ID": np.where(np.arange(N) < row, np.arange(N), 7777).astype(kind)} | positions).write(uri)
    for null in (7777, 7777 - {"u2": 2**15, "u8": 2**63}.get(kind, 0)):
        fits.setval(uri, "TNULL1", value=null, ext=1)
        with pytest.raises(SourceTableError, match=f"^row {row + 1} has no OBJECT_ID$"):
            read_sources(uri, 2**20)
    fits.setval(uri, "TNULL1", value=-1, ext=1)
    assert read_sources(uri, 2**20).ids[-1] == 7777


@pytest.mark.parametrize("n", [0, 5])
def test_ids_of_text_are_refused(tmp_path, n):
    says = "ids must be whole numbers; without the key catalogue.id, ids are made from positions$"
    uri = write(tmp_path / "c.fits", {"OBJECT_ID": ("5A", np.array([f"obj{i}" for i in range(N)]))}, n)
    with pytest.raises(SourceTableError, match=f"^column OBJECT_ID holds text{', such as .obj0.' if n else ''}; {says}"):
        read_sources(uri, 2**20)


def test_unsigned_ids_must_fit_int64(tmp_path):
    columns = {"RIGHT_ASCENSION": np.zeros(2), "DECLINATION": np.zeros(2)}
    Table({"OBJECT_ID": np.array([1, 2**63 - 1], np.uint64)} | columns).write(tmp_path / "c.fits")
    assert read_sources(str(tmp_path / "c.fits"), 2**20).ids.tolist() == [1, 2**63 - 1]
    Table({"OBJECT_ID": np.array([1, 2**63 + 5], np.uint64)} | columns).write(tmp_path / "d.fits")
    with pytest.raises(SourceTableError, match=r"^column OBJECT_ID holds 9223372036854775813; ids must be below 2\^63$"):
        read_sources(str(tmp_path / "d.fits"), 2**20)


def test_a_file_without_the_columns_says_what_it_has(tmp_path):
    uri = write(tmp_path / "c.fits")
    has = "the file has a table with OBJECT_ID and a table with FLAG, OBJECT_ID, RIGHT_ASCENSION, SPECTRUM, DECLINATION"
    with pytest.raises(SourceTableError, match=f"^needs a table with the columns ID, ra, dec; {has}$"):
        read_sources(uri, 2**20, SourceColumns("ID", "ra", "dec"))
    fits.PrimaryHDU(np.zeros((5, 5))).writeto(tmp_path / "i.fits")
    with pytest.raises(SourceTableError, match=r"^needs a table with the columns ra, dec; the file has no table$"):
        read_sources(str(tmp_path / "i.fits"), 2**20, SourceColumns(None, "ra", "dec"))


@pytest.mark.fault(28)
def test_too_many_rows_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_SOURCES", N - 1)
    with pytest.raises(SourceTableError, match="must have at most 999 rows of 1048576 bytes, got 1000 of 107"):
        read_sources(write(tmp_path / "c.fits"), 2**20)


@pytest.mark.fault(23)
def test_a_flipped_bit_in_any_row_is_noticed(tmp_path):
    uri = write(tmp_path / "c.fits")
    with fits.open(uri) as hdus:
        at = hdus[2].fileinfo()["datLoc"] + 107 * N - 1
    data = bytearray((tmp_path / "c.fits").read_bytes())
    data[at] ^= 1
    (tmp_path / "c.fits").write_bytes(data)
    with pytest.raises(Rejection, match="DATASUM"):
        read_sources(uri, 2**20)
