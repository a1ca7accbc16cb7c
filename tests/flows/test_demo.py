"""Test the demo on one small tile."""

import pyarrow.parquet as pq
import pytest

from flows import demo
from infra.store.storage import StorageError
from simulation.products.survey_tile import TileSpec

TILE = TileSpec(tile_id="100000009", n_galaxies=2, n_single=1, n_compound=2, side_pixels=600, seed=11)


def test_the_demo_ends_with_truth_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "TILES", (TILE,))
    monkeypatch.setenv("COLUMNS", "120")
    demo.run_demo(tmp_path, as_flow=False, as_json=False)
    printed = capsys.readouterr().out
    (candidates,) = tmp_path.glob("catalogue/candidates/*.parquet")
    found = pq.read_table(candidates).select(["object_id", "candidate_id"]).to_pylist()
    assert found
    assert f"Best {len(found)} of {len(found)} candidates in 5 galaxies" in printed
    (truth,) = tmp_path.rglob("truth.parquet")
    kinds = {row["object_id"]: row["kind"] for row in pq.read_table(truth).to_pylist()}
    for row in found:
        line = next(line for line in printed.splitlines() if row["candidate_id"] in line)
        assert line.split("│")[-2].strip() == kinds[row["object_id"]]
    assert f"picture of the best  {tmp_path / 'best.png'}" in printed
    assert (tmp_path / "best.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_is_refused_before_anything_is_simulated(tmp_path, monkeypatch, place):
    monkeypatch.setattr(demo, "simulate_night", lambda *_: pytest.fail("a night was simulated"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file: is a file|file is a file"):
        demo.run_demo(tmp_path / place, as_flow=False, as_json=True)
