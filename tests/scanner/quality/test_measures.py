"""Measures are made once, stored with few digits, and read back whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from infra.store.storage import StorageError
from scanner.catalogue.paths import measured_uri, unit_uri
from scanner.files.wcs_client import WcsProcessError
from scanner.quality.errors import QualityError
from scanner.quality.measures import measured, stored_measures
from scanner.quality.objects import column
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.quality.scanned import N_OBJECTS, N_PIXELS, scanned, write_night
from tests.tiles import PIXEL_SCALE_DEG

NIGHT = "2026-01-01"


@pytest.fixture
def held(tmp_path):
    write_night(tmp_path / "tiles")
    root = str(tmp_path / "catalogue")
    return root, scanned(root, tmp_path / "tiles", NIGHT)


def test_the_stored_measures_are_read_again(held):
    root, plan = held
    assert stored_measures(root, plan.plan_id) is None
    found = measured(plan, root)
    assert found == stored_measures(root, plan.plan_id) == measured(plan, root)
    assert found.catalogue_rows == {unit.unit_id: N_OBJECTS for unit in plan.units}
    assert {name: unit.n_scored for name, unit in found.units.items()} == {unit.unit_id: N_OBJECTS for unit in plan.units}
    # tests/tiles.py: noise of 0.01 in each band beside crowded light, a profile of 0.4 arcsec scale, MAGZERO 24.6.
    noise = np.median(found.values(column("noise_ujy", "VIS")))
    assert noise == pytest.approx(0.01 * 10 ** (-0.4 * (24.6 - 23.9)), rel=0.08)
    colour = found.values(column("mag", "VIS")) - found.values(column("mag", "H"))
    # H is four times as bright as VIS.
    assert np.nanmedian(colour) == pytest.approx(2.5 * np.log10(4), abs=0.04)
    assert found.values("nosuch").shape == (0,)


def test_objects_of_a_tile_do_not_depend_on_its_neighbours(tmp_path):
    """A tile lists objects that a neighbour in the same night owns."""
    write_night(tmp_path / "tiles")
    first, second = (fits.getdata(path) for path in sorted((tmp_path / "tiles").glob("*CAT*")))
    second[:3] = first[:3]
    fits.writeto(max((tmp_path / "tiles").glob("*CAT*")), second, overwrite=True)
    plan = scanned(str(tmp_path / "catalogue"), tmp_path / "tiles", NIGHT)
    assert [unit.n_rows for unit in plan.units] == [N_OBJECTS, N_OBJECTS - 3]
    assert set(measured(plan, str(tmp_path / "catalogue")).catalogue_rows.values()) == {N_OBJECTS}


def test_damaged_files_are_named(held):
    root, plan = held
    Path(unit_uri(root, plan.plan_id, plan.units[0].unit_id)).write_text("no table")
    with pytest.raises(QualityError, match=f"plan {plan.plan_id[:12]}: a unit file cannot be read"):
        measured(plan, root)
    path = Path(measured_uri(root, plan.plan_id))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    with pytest.raises(QualityError, match=r"measured\.json: not the measures of a night"):
        measured(plan, root)


def test_missing_unit_files_are_named(held):
    root, plan = held
    Path(unit_uri(root, plan.plan_id, "000000002")).unlink()
    with pytest.raises(QualityError, match=r"1 of 2 units are missing, such as 000000002; `lensscan verify"):
        measured(plan, root)
    assert stored_measures(root, plan.plan_id) is None


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Rejection(RejectCode.IO_ERROR, "timed out"), StorageError), (WcsProcessError("killed"), WcsProcessError)],
)
def test_a_failure_that_may_pass_stores_nothing(held, monkeypatch, failure, error):
    root, plan = held

    def failing(*_args):
        raise failure
        yield

    with monkeypatch.context() as patched:
        patched.setattr("scanner.quality.sample.read_unit_objects", failing)
        with pytest.raises(error):
            measured(plan, root)
    assert stored_measures(root, plan.plan_id) is None
    assert measured(plan, root).n_sampled == 2 * N_OBJECTS


def test_a_tile_that_is_back_is_measured_again(held, tmp_path):
    root, _ = held
    (mosaic,) = (tmp_path / "tiles").glob("*MOSAIC-NIR-J_TILE000000002*")
    # A link goes and comes back as a mount does: a file that is renamed has another change time, and counts as replaced.
    mosaic.rename(tmp_path / "away")
    mosaic.symlink_to(tmp_path / "away")
    plan = scanned(root, tmp_path / "tiles", "2026-01-02")
    mosaic.unlink()
    found = measured(plan, root)
    assert (found.n_sampled, found.n_chosen) == (N_OBJECTS, 2 * N_OBJECTS)
    assert stored_measures(root, plan.plan_id) is None
    mosaic.symlink_to(tmp_path / "away")
    assert measured(plan, root).n_sampled == 2 * N_OBJECTS
    assert stored_measures(root, plan.plan_id) is not None


def test_filled_stamps_are_measured(held, tmp_path):
    root, plan = held
    whole = measured(plan, root)
    for path in (tmp_path / "tiles").glob("*MOSAIC-NIR-J*"):
        with fits.open(path) as hdus:
            pixels, header = hdus[0].data.astype("f4"), hdus[0].header
        pixels[::50, ::50] = np.nan
        fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True, checksum=True)
    found = measured(scanned(root, tmp_path / "tiles", NIGHT), root)
    assert found.n_sampled == found.n_chosen == 2 * N_OBJECTS
    for name in ("noise_ujy", "mag"):
        now, before = (np.nanmedian(one.values(column(name, "J"))) for one in (found, whole))
        assert now == pytest.approx(before, rel=0.01)


def test_padded_stamps_are_not_of_the_sample(tmp_path):
    n_at_edge, n_from_edge = 40, 20
    write_night(tmp_path / "tiles")
    (path,) = (tmp_path / "tiles").glob("*FINAL-CAT_TILE000000001*")
    with fits.open(path) as hdus:
        rows = hdus[1].data.copy()
        rows["DECLINATION"][:n_at_edge] = -44.0 + (n_from_edge - (N_PIXELS - 1) / 2) * PIXEL_SCALE_DEG
        fits.BinTableHDU(rows).writeto(path, overwrite=True)
    root = str(tmp_path / "catalogue")
    found = measured(scanned(root, tmp_path / "tiles", NIGHT), root)
    assert found.n_sampled == found.n_chosen == 2 * N_OBJECTS - n_at_edge


def test_measures_of_another_version_are_made_anew(held):
    root, plan = held
    found = measured(plan, root)
    path = Path(measured_uri(root, plan.plan_id))
    stored = path.read_bytes()
    first = json.loads(stored)
    del first["version"]
    path.write_text(json.dumps(first))
    assert stored_measures(root, plan.plan_id) is None
    assert measured(plan, root) == found
    assert path.read_bytes() == stored


def test_shards_of_larger_pixels_are_measured(tmp_path, rng):
    stamps = {
        band: rng.normal(0.02, 0.1, (N_OBJECTS, grid.n_pixels, grid.n_pixels)).astype(np.float32)
        for band, grid in CHALLENGE.grids.items()
    }
    (tmp_path / "shards").mkdir()
    table = shard_table(np.arange(N_OBJECTS), stamps, {}, CHALLENGE)
    (tmp_path / "shards" / "a.parquet").write_bytes(encode_shard(table))
    root = str(tmp_path / "catalogue")
    found = measured(scanned(root, tmp_path / "shards", NIGHT), root)
    assert found.n_sampled == found.n_chosen == N_OBJECTS
    # In VIS the pixels stay as they are.
    assert np.median(found.values(column("level_sigma", "VIS"))) == pytest.approx(0.2, abs=0.03)
    for band in CHALLENGE.grids:
        assert np.isfinite(found.values(column("level_sigma", band))).all()
