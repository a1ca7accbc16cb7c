"""Readers of other projects open a published collection and agree on its rows, units and positions."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from astropy.table import Table
from mocpy import MOC

from scanner.catalogue.columns import HEALPIX
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.hats.publish import publish
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.hats.lsdb_reads import CIRCLE
from tests.scanner.hats.published import LONG_REFERENCE, NIGHTS, add_night, current, in_order, known_lenses, read
from tests.sources import ROOT

MAPS = {column.name for column in MAP_COLUMNS}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a collection of three nights, of which one has maps and one has networks of its own, and its catalogue."""
    folder = tmp_path_factory.mktemp("published")
    catalogue, collection = str(folder / "catalogue"), str(folder / "collection")
    for i, options in enumerate(({}, {"maps_per_unit": 5}, {"networks": ("OU-66", "OU-VIS")})):
        add_night(catalogue, i, **options)
    publish(catalogue, collection, known=known_lenses(folder))
    return collection, catalogue


@pytest.fixture(scope="module")
def rows(published):
    return in_order(read(current(published[0])))


def leaves(published):
    return f"{current(published[0])}/dataset/**/*.parquet"


def test_rows_are_those_of_the_catalogue(published, rows):
    found = [pq.read_table(f"{published[1]}/candidates/{night}.parquet") for night in NIGHTS]
    expected = pa.concat_tables(found, promote_options="default")
    names = [name for name in expected.column_names if name not in MAPS]
    texts = [name for name in names if pa.types.is_string(expected.schema.field(name).type)]
    for name in texts:
        filled = expected[name].fill_null("")
        expected = expected.set_column(expected.column_names.index(name), name, filled)
    assert in_order(rows.select(names)).to_pylist() == in_order(expected.select(names)).to_pylist()
    for name in MAPS:
        assert in_order(rows.select(["night", "object_id", name])).to_pylist() == (
            in_order(expected.select(["night", "object_id", name])).to_pylist()
        )
    assert set(rows["code_version"].to_pylist()) != {""}
    assert set(rows["ensemble_sha256"].to_pylist()) == {"e" * 64}


@pytest.mark.skipif(find_spec("lsdb") is None, reason="lsdb is not installed: pip install 'lensscan[hats]'")
def test_hats_accepts_and_lsdb_searches_and_matches(published, rows):
    command = [sys.executable, "-m", "tests.scanner.hats.lsdb_reads", published[0]]
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    light = [name for name in rows.column_names if name not in MAPS | {HEALPIX.name}]
    assert found["is_valid"]
    assert found["columns"] == light
    assert set(found["all_columns"]) == set(light) | MAPS
    assert found["ids"] == sorted(rows["object_id"].to_pylist())
    assert found["healpix"] == sorted(rows[HEALPIX.name].to_pylist())
    assert found["n_maps"] == sum(rows["map_occlusion"].is_valid().to_pylist()) == 5
    assert found["known"] == {"1.0": "Nearest", "2.0": "", "60.0": "Edge"}
    middle = SkyCoord(CIRCLE["ra"], CIRCLE["dec"], unit="deg")
    near = SkyCoord(rows["ra"], rows["dec"], unit="deg").separation(middle).arcsec < CIRCLE["radius_arcsec"]
    assert found["in_cone"] == sorted(rows["object_id"].filter(pa.array(near)).to_pylist())
    assert found["matched"] == sorted(rows.filter(pc.equal(rows["ra"], 60.0))["object_id"].to_pylist())
    assert found["names"] == ["one"]


def test_duckdb_polars_and_pandas_agree(published, rows):
    light = [name for name in rows.column_names if name not in MAPS]
    source = f"read_parquet('{leaves(published)}', union_by_name = true, hive_partitioning = true)"
    by_duckdb = duckdb.sql(f"FROM {source}").to_arrow_table()
    assert in_order(by_duckdb.select(light)).to_pylist() == rows.select(light).to_pylist()
    pixels = by_duckdb["Npix"].to_pylist()
    assert {int(pixel) for pixel in pixels} == set((rows[HEALPIX.name].to_numpy() >> 48).tolist())
    options = {"hive_partitioning": False, "missing_columns": "insert", "extra_columns": "ignore"}
    frame = (
        pl.scan_parquet(leaves(published), **options).select("night", "object_id", "ra").sort("night", "object_id").collect()
    )
    assert frame.rows() == [tuple(row.values()) for row in rows.select(["night", "object_id", "ra"]).to_pylist()]
    by_pandas = pd.read_parquet(f"{current(published[0])}/dataset", columns=["night", "object_id"])
    assert sorted(by_pandas["object_id"]) == sorted(rows["object_id"].to_pylist())


def test_astropy_reads_units_from_every_leaf(published):
    n_rows = 0
    for path in current(published[0]).glob("dataset/**/*.parquet"):
        table = Table.read(path, format="parquet.votable")
        assert {str(table[name].unit) for name in ("ra", "dec")} == {"deg"}
        assert "map_cam" not in table.colnames or str(table["attribution_peak_arcsec"].unit) == "arcsec"
        assert table["p_lens"].description.startswith("Probability of a lens")
        assert len(table["plan_id"][0]) == 64
        assert str(table["known_separation_arcsec"].unit) == "arcsec"
        expected = {1.0: ("Nearest", LONG_REFERENCE), 2.0: ("", ""), 60.0: ("Edge", "")}
        for row in table:
            assert (row["known_name"], row["known_reference"]) == expected[row["ra"]]
        n_rows += len(table)
    assert n_rows == read(current(published[0]), ["night"]).num_rows


def test_the_votable_names_every_column_in_order(published, tmp_path):
    for path in current(published[0]).glob("dataset/**/*.parquet"):
        metadata, schema = pq.read_metadata(path).metadata, pq.read_schema(path)
        assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
        (tmp_path / "x.vot").write_bytes(metadata[b"IVOA.VOTable-Parquet.content"])
        fields = parse(tmp_path / "x.vot", verify="exception").get_first_table().fields
        assert [field.name for field in fields] == schema.names
        for field, described in zip(fields, schema, strict=True):
            about = described.metadata
            assert (field.ucd or "", str(field.unit or "")) == (about[b"ucd"].decode(), about[b"unit"].decode())
            assert field.description == about[b"description"].decode()


def test_the_moc_is_the_area_of_scored_objects(published):
    moc = MOC.from_fits(str(current(published[0]) / "moc.fits"))
    scanned = [1.0, 2.0, 60.0, 140.0, 141.0, 142.0]
    assert moc.contains_lonlat(scanned * units.deg, [1.0] * 6 * units.deg).all()
    assert not moc.contains_lonlat([1.2, 3.0] * units.deg, [1.0, 1.0] * units.deg).any()
    assert moc.sky_fraction == pytest.approx(len(scanned) / (12 * 4**10))


def test_candidates_without_a_position_are_counted_and_left_out(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    finished(catalogue, {"a": {1: 0.9, 2: 0.8}}, changes={"ra": [None, 5.0]})
    done = publish(catalogue, collection)
    assert (done.n_rows, done.n_without_position) == (1, 1)
    assert read(current(collection))["night"].to_pylist() == [NIGHT]
