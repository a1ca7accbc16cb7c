"""Tiles that a person asks for by their number."""

from flows.commands import simulate
from infra.progress import no_progress


def test_tiles_differ_in_name_and_seed(tmp_path, monkeypatch):
    run = []
    monkeypatch.setattr(simulate, "simulate_night", lambda specs, *how: run.append((specs, *how)) or ["a.fits"])
    out = str(tmp_path / "tiles")
    assert simulate.simulate_tiles(out, 3, 5, "broad", 7, no_progress) == ["a.fits"]
    ((specs, *how),) = run
    assert how[:3] == [out, 7, no_progress]
    assert [(spec.tile_id, spec.seed, spec.preset) for spec in specs] == [
        ("100000001", 5, "broad"),
        ("100000002", 6, "broad"),
        ("100000003", 7, "broad"),
    ]
    assert {spec.n_galaxies + spec.n_single + spec.n_compound for spec in specs} == {260}
