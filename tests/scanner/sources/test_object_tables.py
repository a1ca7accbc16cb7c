"""Texts of CSV cells, and the columns that go through to the output."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.files.parquet_checked import ParquetInput
from scanner.sources.object_tables import ManifestError, coordinates, csv_texts, parquet_others, typed


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-20", ""], [1, -20, None]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1e-3", ""], [0.001, None]),
        (["007", "8"], ["007", "8"]),
        (["007", "8.5"], ["007", "8.5"]),
        (["+49", "8.5"], ["+49", "8.5"]),
        (["+02.20", "-005.5", "08.0", ""], [2.2, -5.5, 8.0, None]),
        (["a", ""], ["a", ""]),
        (["", ""], ["", ""]),
        ([str(2**63), "1"], [str(2**63), "1"]),
        (["12345678901234567890", "1.5"], ["12345678901234567890", "1.5"]),
        (["150.1234567890123456", "-0.5"], [150.1234567890123456, -0.5]),
        (["123456789012345.5", "1"], [123456789012345.5, 1.0]),
        (["1234567890123456.5", "1"], ["1234567890123456.5", "1"]),
        (["true", "false"], ["true", "false"]),
    ],
)
def test_numbers_become_numbers_and_names_stay(texts, values):
    assert typed("mag", pa.chunked_array([texts])).to_pylist() == values


@pytest.mark.parametrize("texts", [["1.10", "1.1"], ["12E3", "12000"], [str(10**19), str(10**19 + 1)], ["nan", "1"]])
def test_ids_that_are_no_integers_stay_text(texts):
    assert typed("source_id", pa.chunked_array([texts])).to_pylist() == texts
    assert typed("ID", pa.chunked_array([["-7", "", str(2**62)]])).to_pylist() == [-7, None, 2**62]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["+02.20", "005", "-00.5", "+.5", "", "1e2"], [2.2, 5.0, -0.5, 0.5, None, 100.0]),
        (["10:20:30", "5"], ["10:20:30", "5"]),
        (["+-5", "5"], ["+-5", "5"]),
        (["", ""], ["", ""]),
    ],
)
def test_coordinates_may_have_a_plus_sign_and_zeros(texts, values):
    assert coordinates(pa.chunked_array([texts])).to_pylist() == values


def test_cells_are_trimmed_texts():
    names, columns = csv_texts("t", b" a ,b\r\n 1 ,x y\r\n,\r\n")
    assert names == ["a", "b"]
    assert [column.to_pylist() for column in columns] == [["1", ""], ["x y", ""]]


@pytest.mark.parametrize("header", ["#ID,RA,DEC", "# ID, RA, DEC", "\ufeff#ID,RA,DEC", '"#ID","RA","DEC"'])
def test_a_hash_before_the_first_name_is_left_out(header):
    names, (ids, *_) = csv_texts("t", f"{header}\n1,2,3\n".encode())
    assert (names, ids.to_pylist()) == (["ID", "RA", "DEC"], ["1"])
    assert csv_texts("t", b"#,RA\n1,2\n")[0] == ["#", "RA"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"SIMPLE  =                    T", "t: is a FITS file; its name must end in .fits"),
        (b"<?xml version='1.0'?>", "t: is XML; a VOTable of positions needs --tiles"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "t: must be CSV, Parquet, FITS or a folder of FITS files"),
        (b"a,b\n1\n", "t: neither Parquet nor CSV"),
        (b"ID;RA;DEC\n1;2,5;3\n", "t: the separator must be a comma; the first line is 'ID;RA;DEC'$"),
        (b"ID\tRA\n1\t2\n", r"t: the separator must be a comma; the first line is 'ID\\tRA'$"),
        (b"\xef\xbb\xbfID RA DEC\r\n1 2 3\r\n", "t: the separator must be a comma; the first line is 'ID RA DEC'$"),
        (b"# %ECSV 1.0\n# ---\nID RA\n", "t: comment lines and ECSV are not read; the first line is '# %ECSV 1.0'$"),
        (b"# made by me, by hand\nID,RA\n1,2\n", "t: comment lines and ECSV are not read; the first line is '# made by me, by"),
        (b"#lenses\nID,RA\n1,2\n", "t: comment lines and ECSV are not read; the first line is '#lenses'$"),
    ],
)
def test_other_kinds_of_files_are_named(data, says):
    with pytest.raises(ManifestError, match=says):
        csv_texts("t", data)


def test_flat_columns_of_parquet_go_through(tmp_path):
    columns = {
        "known": [1],
        "mag": [21.5],
        "name": pa.array(["x"]).dictionary_encode(),
        "pixels": [[1, 2]],
        "both": pa.array([{"a": 1}]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with (tmp_path / "t.parquet").open("rb") as file:
        others = parquet_others("t", ParquetInput(file, 10**6, 10), ("known",))
    assert {name: column.to_pylist() for name, column in others.items()} == {"mag": [21.5], "name": ["x"]}
    assert others["name"].type == pa.string()
