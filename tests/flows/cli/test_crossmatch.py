"""`lensscan crossmatch` on a catalogue with candidates at known positions."""

import json

import pytest
from astropy.table import Table

from tests.scanner.catalogue_parts import finished


@pytest.fixture
def catalogue(tmp_path):
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.6, 2: 0.9, 3: 0.3}})
    return str(tmp_path / "catalogue")


@pytest.mark.server
def test_several_nights_are_told_apart(lensscan, catalogue, tmp_path):
    finished(catalogue, {"a": {2: 0.8}}, night="2026-11-25")
    table = tmp_path / "known.csv"
    table.write_text("object_id,ra,dec\nL2,2.0001,1.0\n")
    told = lensscan("crossmatch", catalogue, str(table)).stdout
    assert "2 matches of a candidate in a night with a position" in " ".join(told.split())
    assert [night in told for night in ("2026-11-24", "2026-11-25")] == [True, True]


@pytest.mark.server
def test_known_lenses_are_found_with_their_columns(lensscan, catalogue, tmp_path):
    table = tmp_path / "known.csv"
    table.write_text("object_id,ra,dec,grade\nL2,2.0001,1.0,A\nfar,77,1,B\n")
    rows = json.loads(lensscan("crossmatch", catalogue, str(table), "--json").stdout)
    assert [(row["object_id"], row["match_id"], row["match_grade"]) for row in rows] == [(2, "L2", "A")]
    assert rows[0]["separation_arcsec"] == pytest.approx(0.36, abs=0.001)
    assert "1 of 2 positions have a candidate within 1 arcsec." in lensscan("crossmatch", catalogue, str(table)).stdout
    near = lensscan("crossmatch", catalogue, str(table), "--radius-arcsec", "0.1", "--json")
    assert json.loads(near.stdout) == []
    low = lensscan("crossmatch", catalogue, str(table), "--radius-arcsec", "4000", "--min-p-lens", "0", "--json")
    assert [row["object_id"] for row in json.loads(low.stdout)] == [2, 1, 3]
    done = lensscan("crossmatch", catalogue, str(table), "--out", str(tmp_path / "x.fits"))
    assert "1 row written" in done.stdout
    assert Table.read(tmp_path / "x.fits")["match_grade"][0] == "A"
    told = lensscan("crossmatch", catalogue, str(table), "--out", str(tmp_path / "y.csv"), "--json")
    assert json.loads(told.stdout) == {"rows": 1, "file": str(tmp_path / "y.csv")}
    again = lensscan("crossmatch", catalogue, str(table), "--out", str(tmp_path / "x.fits"), "--radius-arcsec", "0.1")
    assert (again.returncode, len(Table.read(tmp_path / "x.fits"))) == (2, 1)
    lensscan("crossmatch", catalogue, str(table), "--out", str(tmp_path / "x.fits"), "--radius-arcsec", "0.1", "--overwrite")
    assert len(Table.read(tmp_path / "x.fits")) == 0
