"""Tiles that a person asks for by their number."""

import pytest

from flows.commands import simulate
from infra.progress import no_progress
from simulation.products.render import SimulationError


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


def test_every_parameter_of_the_shards_arrives(tmp_path, monkeypatch):
    asked = {}

    def spec(*given, **options):
        asked.update(options, given=given)
        raise SimulationError("seen")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(simulate, "dataset_spec", spec)
    options = {"components": True, "pairs": True, "min_einstein_radius_arcsec": 1.5}
    given = 7, 8, "broad", "twin=1", "mer10"
    with pytest.raises(SimulationError, match="seen"):
        simulate.simulate_shards("out", *given, "psf.fits", "t.parquet", 3, no_progress, **options)
    files = {"psf_uri": str(tmp_path / "psf.fits"), "textures_uri": str(tmp_path / "t.parquet")}
    assert asked == {**options, **files, "given": given}
