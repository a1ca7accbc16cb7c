"""Catalogues in Parquet and CSV give the same sources and columns as the same table in FITS."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from infra.store.storage import StorageError, info
from scanner.files.fits_columns import MissingColumnsError, SourceTableError
from scanner.files.fits_source_table import read_sources
from scanner.files.source_table import SourceColumns
from scanner.sources.source_tables import read_table_sources

COLUMNS = SourceColumns("objid", "ra", "dec")
VALUES = {
    "ObjID": np.array([2**60 + 1, 5, -7]),
    "RA": np.array([10.5, 359.25, 0.125]),
    "Dec": np.array([-1.5, 89.0, 0.0]),
    "Flux_I": np.array([1.5, np.nan, 3.25]),
    "flag": np.array([0, 2**40, 3]),
    "type": np.array(["galaxy", "star", "PSF"]),
}


def written(path, values):
    """Write a table in the format that the path's ending names, NaN as an empty cell; return its path."""
    columns = {name: pa.array(column, from_pandas=True) for name, column in values.items()}
    (pq.write_table if path.suffix == ".parquet" else pa.csv.write_csv)(pa.table(columns), path)
    return str(path)


@pytest.fixture(params=["parquet", "csv"])
def uri(request, tmp_path):
    """Write the table in a format; return its path."""
    return written(tmp_path / f"c.{request.param}", VALUES)


def test_columns_are_those_of_the_same_fits_table(uri, tmp_path):
    Table(VALUES).write(tmp_path / "c.fits")
    asked = {"needed": ("FLUX_I", "flag"), "wanted": ("type", "nosuch")}
    found = read_table_sources(uri, 2**20, COLUMNS, **asked)
    expected = read_sources(str(tmp_path / "c.fits"), 2**20, COLUMNS, **asked)
    for name in ("ids", "ra", "dec"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert found.others.to_pydict() == expected.others.to_pydict()
    assert found.others.to_pydict()["flux_i"] == [1.5, None, 3.25]
    assert found.known == expected.known


def test_ids_may_be_missing(uri):
    found = read_table_sources(uri, 2**20, SourceColumns(None, "ra", "dec"))
    assert found.ids is None
    assert found.ra.tolist() == VALUES["RA"].tolist()
    assert found.others.num_columns == 0


def test_a_column_may_be_position_and_condition(uri):
    found = read_table_sources(uri, 2**20, COLUMNS, needed=("dec", "objid"))
    assert found.others.to_pydict() == {"dec": VALUES["Dec"].tolist(), "objid": VALUES["ObjID"].tolist()}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_empty_coordinate_is_nan_and_other_rows_stay(tmp_path, kind):
    empty = {"RA": np.array([10.5, np.nan, 0.125]), "Dec": np.array([np.nan, 89.0, 0.0])}
    found = read_table_sources(written(tmp_path / f"c.{kind}", VALUES | empty), 2**20, COLUMNS)
    np.testing.assert_array_equal(found.ra, empty["RA"])
    np.testing.assert_array_equal(found.dec, empty["Dec"])
    assert found.ids.tolist() == VALUES["ObjID"].tolist()


def test_padded_coordinates_of_a_csv_file_are_numbers(tmp_path):
    (tmp_path / "c.csv").write_text("ObjID,RA,Dec\n7,005.1234,+02.20\n8,010,-02\n")
    found = read_table_sources(str(tmp_path / "c.csv"), 2**20, COLUMNS)
    assert (found.ra.tolist(), found.dec.tolist()) == ([5.1234, 10.0], [2.2, -2.0])


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_empty_id_is_refused(tmp_path, kind):
    uri = written(tmp_path / f"c.{kind}", VALUES | {"ObjID": pa.array([1, None, 3])})
    with pytest.raises(SourceTableError, match="objid must be one integer per row, got 1 nulls and type int64"):
        read_table_sources(uri, 2**20, COLUMNS)


def test_a_csv_file_without_rows_has_no_sources(tmp_path):
    (tmp_path / "c.csv").write_text("ObjID,RA,Dec\n")
    found = read_table_sources(str(tmp_path / "c.csv"), 2**20, COLUMNS)
    assert (len(found.ids), len(found.ra), len(found.dec)) == (0, 0, 0)


def test_an_empty_column_of_a_csv_file_has_no_type(tmp_path):
    (tmp_path / "c.csv").write_text("ObjID,RA,Dec,phz,class\n7,5,2,,\n8,1,2, ,star\n")
    others = read_table_sources(str(tmp_path / "c.csv"), 2**20, COLUMNS, wanted=("phz", "class")).others
    assert others.schema.types == [pa.null(), pa.string()]
    assert others.to_pydict() == {"phz": [None, None], "class": ["", "star"]}


def test_missing_columns_are_named(uri):
    with pytest.raises(MissingColumnsError) as caught:
        read_table_sources(uri, 2**20, COLUMNS, needed=("FLUX_I", "FLUX_Z"))
    assert caught.value.missing == ("flux_z",)
    assert "flux_i" in caught.value.known
    with pytest.raises(SourceTableError, match=r"has no column alpha; it has ObjID, RA"):
        read_table_sources(uri, 2**20, SourceColumns("objid", "alpha", "dec"))


def test_only_the_listed_version_is_read(uri):
    listed = info(uri)
    assert read_table_sources(uri, 2**20, COLUMNS, listed=listed).ids.tolist() == VALUES["ObjID"].tolist()
    Path(uri).write_bytes(Path(uri).read_bytes() + b"\n")
    with pytest.raises(StorageError, match="changed while it was read"):
        read_table_sources(uri, 2**20, COLUMNS, listed=listed)


def test_large_files_are_refused(uri):
    with pytest.raises(SourceTableError, match="must have at most 10 bytes, got"):
        read_table_sources(uri, 10, COLUMNS)


def test_columns_of_lists_are_refused_or_left_out(tmp_path):
    columns = {name: VALUES[name] for name in ("ObjID", "RA", "Dec")} | {"mags": [[1.0], [2.0], [3.0]]}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    with pytest.raises(SourceTableError, match="column mags must hold one number, flag or text in each row"):
        read_table_sources(str(tmp_path / "c.parquet"), 2**20, COLUMNS, needed=("mags",))
    assert read_table_sources(str(tmp_path / "c.parquet"), 2**20, COLUMNS, wanted=("mags",)).others.num_columns == 0
