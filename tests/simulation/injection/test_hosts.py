"""Galaxies that can host injected lenses: no candidates, like lens galaxies, and the same for the same seed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from scanner.catalogue.visible import VisibleError
from scanner.explain.photometry import photometry
from scanner.scan.chosen_objects import read_objects
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER_10
from simulation.injection.hosts import FAINTEST_VIS_MAG, _no_candidates, find_hosts
from tests.scanner.catalogue_parts import unit_of
from tests.simulation.injection.hosting import N_CANDIDATES, hosting, simulated_tile


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    simulated_tile(folder)
    return folder


@pytest.fixture(scope="module")
def there(tiles, tmp_path_factory):
    return hosting(tiles, tmp_path_factory.mktemp("hosts") / "catalogue")


def found_in(there, most=200, seed=1, threshold=0.01):
    return find_hosts(there.plan.units[0], there.uri, there.plan, MER_10, threshold, most, np.random.default_rng(seed))


def test_hosts_are_bright_galaxies_and_no_candidates(there, tiles):
    hosts = found_in(there)
    ids = [host.object_id for host in hosts.found]
    assert 8 < len(ids) == len(set(ids))
    assert not set(ids) & set(there.ids[: N_CANDIDATES + 1].tolist())
    assert all(host.host.mag_vis <= FAINTEST_VIS_MAG for host in hosts.found)
    catalogue = Table.read(next(tiles.rglob("*FINAL-CAT*")))
    flux = dict(zip(catalogue["OBJECT_ID"].tolist(), catalogue["FLUX_DETECTION_TOTAL"].tolist(), strict=True))
    off = [host.host.mag_vis - (23.9 - 2.5 * np.log10(flux[host.object_id])) for host in hosts.found]
    assert abs(np.median(off)) < 0.3
    assert hosts.how == (
        "by magnitude, colours and shape on their stamps (the catalogue lacks spurious_prob, segmentation_area, "
        "mumax_minus_mag, mu_max for lens-hosts)"
    )


def test_their_pixels_are_those_of_a_scan(there, tiles):
    for host in found_in(there).found[:3]:
        stamps = read_objects(str(tiles), [str(host.object_id)], MER_10, 1).stamps
        for band in EUCLID:
            np.testing.assert_array_equal(host.host.stamps[band], stamps[band][0])
        measured = photometry(stamps, MER_10, {band: EUCLID[band].zero_point_ab_mag for band in EUCLID})
        assert host.vis_minus_h == pytest.approx(measured["lens_vis_minus_h"][0])
        assert host.sky_sigma_vis_ujy == pytest.approx(measured["sky_sigma_vis_ujy"][0])
        np.testing.assert_allclose(host.look[1:3], [measured["lens_vis_minus_h"][0], measured["lens_y_minus_h"][0]])


def test_few_are_picked_at_random(there):
    everything = [host.object_id for host in found_in(there).found]
    assert [host.object_id for host in found_in(there).found] == everything
    some = [[host.object_id for host in found_in(there, most=3, seed=seed).found] for seed in range(4)]
    assert all(set(ids) <= set(everything) and 1 <= len(ids) <= 3 for ids in some)
    assert len({tuple(ids) for ids in some}) == 4


def test_no_candidates_is_judged_by_the_shown_threshold(there):
    ids = {host.object_id for host in found_in(there, threshold=0.95).found}
    assert ids & set(there.ids[:N_CANDIDATES].tolist())
    assert int(there.ids[N_CANDIDATES]) not in ids, "it was rejected"
    assert not found_in(there, threshold=1e-7).found


def test_a_damaged_unit_file_is_named(tmp_path):
    (tmp_path / "a.unit").write_bytes(b"PAR1 and no more")
    with pytest.raises(VisibleError, match=r"a\.unit: cannot be read"):
        _no_candidates(str(tmp_path / "a.unit"), 0.5)


def test_the_condition_on_the_catalogue_chooses_first(tiles, tmp_path):
    shutil.copytree(tiles, tmp_path / "tiles")
    path = next(Path(tmp_path / "tiles").rglob("*FINAL-CAT*"))
    table = Table.read(path)
    is_lens_like = np.arange(len(table)) % 2 == 0
    table["SPURIOUS_PROB"] = np.where(is_lens_like, 0.0, 0.9)
    for name, value in {"SEGMENTATION_AREA": 500, "MUMAX_MINUS_MAG": -1.0, "MU_MAX": 20.0}.items():
        table[name] = np.full(len(table), value)
    for name in ("CHECKSUM", "DATASUM"):
        table.meta.pop(name)
    table.write(path, overwrite=True)
    there = hosting(tmp_path / "tiles", tmp_path / "catalogue")
    hosts = found_in(there)
    assert hosts.found
    assert {host.object_id for host in hosts.found} <= set(there.ids[is_lens_like].tolist())
    assert hosts.how.startswith("by the condition lens-hosts on the catalogue, then by magnitude")


def test_shards_have_no_catalogue(there, monkeypatch):
    monkeypatch.setattr("simulation.injection.hosts.read_unit_objects", lambda *_: iter(()))
    unit = unit_of("s", [1, 2], kind="shard")
    hosts = find_hosts(unit, there.uri, there.plan, MER_10, 0.01, 5, np.random.default_rng(1))
    assert hosts.how.endswith("(shards have no catalogue)")
