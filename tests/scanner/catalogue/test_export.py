"""Rows of the catalogue as files, read back by other packages."""

import json
import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.table import Table

from scanner.catalogue import export as module
from scanner.catalogue.export import EXPORT_SUFFIXES, ExportError, export, export_path
from scanner.catalogue.query import query
from tests.scanner.catalogue_parts import finished


@pytest.fixture
def rows(tmp_path):
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.6, 2: 0.9, -(2**62): 0.8}})
    return query(str(tmp_path / "catalogue"))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot"])
def test_every_table_has_all_rows_ids_and_units(rows, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    export(rows, export_path(str(path), "--out"), "s3://bucket/catalogue")
    found = pq.read_table(path).to_pydict() if suffix == ".parquet" else Table.read(path)
    assert list(found["object_id"]) == [2, -(2**62), 1]
    assert np.array(found["p_lens"], np.float32) == pytest.approx(np.float32([0.9, 0.8, 0.6]))
    if suffix in {".fits", ".vot"}:
        assert str(found["ra"].unit) == "deg"
    if suffix == ".fits":
        assert found.meta["CATALOGUE"] == "s3://bucket/catalogue"
    if suffix == ".vot":
        (resource,) = parse(path).resources
        assert [(info.name, info.value) for info in resource.infos if info.name == "catalogue"] == [
            ("catalogue", "s3://bucket/catalogue")
        ]
    if suffix == ".parquet":
        assert pq.read_schema(path).metadata == {b"lensscan.catalogue": b"s3://bucket/catalogue"}
        assert pq.read_schema(path).field("ra").metadata[b"unit"] == b"deg"


def test_regions_are_circles_with_names(rows, tmp_path):
    at = rows.column_names.index("candidate_id")
    named = rows.set_column(at, "candidate_id", pa.array(["LSC J1", "LSC J2", "LSC J3"]))
    nowhere = named.set_column(named.column_names.index("dec"), "dec", pa.array([1.0, None, -0.25]))
    assert export(nowhere, tmp_path / "x.reg", "c") == 2
    first, system, *circles = (tmp_path / "x.reg").read_text().splitlines()
    assert (first, system) == ("# Region file format: DS9 version 4.1", "icrs")
    found = [re.fullmatch(r'circle\(([-\d.]+),([-\d.]+),3"\) # text=\{(.*)\}', line).groups() for line in circles]
    assert [(float(ra), float(dec), name) for ra, dec, name in found] == [
        (2.0, 1.0, "LSC J1 p_lens=0.9"),
        (1.0, -0.25, "LSC J3 p_lens=0.6"),
    ]


def test_rows_without_scores_or_names_are_regions_too(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.6, 2: None}}, changes={"candidate_id": ["LSC J1", None]})
    for sql, names in (
        ("SELECT * FROM scores ORDER BY object_id", ["LSC J1 p_lens=0.6", "2"]),
        ("SELECT ra, dec, object_id, p_lens FROM scores ORDER BY object_id", ["1 p_lens=0.6", "2"]),
        ("SELECT 1.5 AS ra, dec, candidate_id, p_lens FROM scores ORDER BY object_id", ["LSC J1 p_lens=0.6", ""]),
    ):
        export(query(root, sql=sql), tmp_path / "x.reg", "c")
        assert re.findall(r"text=\{(.*)\}", (tmp_path / "x.reg").read_text()) == names


def test_no_score_of_a_region_is_certain(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.99998, 2: 0.999}})
    export(query(root, sql="SELECT * FROM scores ORDER BY object_id"), tmp_path / "x.reg", "c")
    assert re.findall(r"p_lens\S+(?=\})", (tmp_path / "x.reg").read_text()) == ["p_lens>0.999", "p_lens=0.999"]


@pytest.mark.parametrize("name", ["ra", "dec", "p_lens"])
@pytest.mark.parametrize("value", ["much", date(2026, 1, 2), [1.5]])
def test_columns_without_numbers_make_no_regions(tmp_path, name, value):
    row = {"ra": 1.0, "dec": 2.0, "p_lens": 0.5, "candidate_id": "x"} | {name: value}
    with pytest.raises(ExportError, match=f"a file of regions needs numbers in {name}, got (string|date32|list)"):
        export(pa.Table.from_pylist([row]), tmp_path / "x.reg", "c")


def test_rows_without_positions_make_no_regions(tmp_path):
    with pytest.raises(ExportError, match=r"needs the columns .*, these rows lack ra, dec, candidate_id"):
        export(pa.table({"p_lens": [0.5]}), tmp_path / "x.reg", "c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.txt", "x", "s3://bucket/x.csv"])
def test_other_files_are_refused(tmp_path, name):
    path = name if "://" in name else tmp_path / name
    with pytest.raises(ExportError, match=r"^FILE must be a (local file|file that ends in \.parquet, .*, \.reg), got"):
        export_path(str(path), "FILE")


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_a_file_is_replaced_only_if_that_is_asked(rows, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("mine")
    with pytest.raises(ExportError, match=r"^--out .* exists; it is not replaced without --overwrite$"):
        export_path(str(path), "--out")
    assert path.read_text() == "mine"
    named = rows.set_column(rows.column_names.index("candidate_id"), "candidate_id", pa.array(["a", "b", "c"]))
    export(named, export_path(str(path), "--out", overwrite=True), "c")
    assert path.read_bytes()[:4] != b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ExportError, match=r"^FILE .*folder\.csv is a folder, must be a file$"):
        export_path(str(tmp_path / "folder.csv"), "FILE", overwrite=overwrite)


def test_records_hold_every_row_and_no_nan(rows, tmp_path, monkeypatch):
    """A batch is smaller than the table; a program that knows no NaN reads the file."""
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 2)
    whole = rows.append_column("odd", pa.array([float("nan"), float("-inf"), 0.25]))
    whole = whole.append_column("many", pa.array([[1.5, float("nan")], [], None]))
    whole = whole.append_column("on", pa.array([date(2026, 1, 2), None, None]))
    export(whole, tmp_path / "x.json", "c")
    text = (tmp_path / "x.json").read_text()
    found = json.loads(text, parse_constant=pytest.fail)
    assert [(row["object_id"], row["odd"], row["many"], row["on"]) for row in found] == [
        (2, None, [1.5, None], "2026-01-02"),
        (-(2**62), None, [], None),
        (1, 0.25, None, None),
    ]
    assert [list(row) for row in found] == [whole.column_names] * 3
    assert [row["p_lens"] for row in found] == rows["p_lens"].to_pylist()
    assert len(text.splitlines()) == 5


def test_no_rows_are_an_empty_list(rows, tmp_path):
    for empty in (rows.slice(0, 0), rows.schema.empty_table()):
        export(empty, tmp_path / "x.json", "c")
        assert json.loads((tmp_path / "x.json").read_text()) == []
