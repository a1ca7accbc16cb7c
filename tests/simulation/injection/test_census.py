"""Lenses of one unit: arcs on the pixels of its galaxies, scored as the public scorer does."""

import numpy as np
import pytest

import lensscan
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from simulation.injection import census as module
from simulation.injection.census import Census, UnitTask
from simulation.injection.hosts import find_hosts
from simulation.injection.looks import alike
from tests.simulation.injection.hosting import PACKAGE, hosting, simulated_tile


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    folder = tmp_path_factory.mktemp("census")
    simulated_tile(folder / "tiles")
    return hosting(folder / "tiles", folder / "catalogue")


def census_of(there, seed=4, **options):
    return Census(there.root, {there.plan.plan_id: there.plan}, PACKAGE, "openvino", 0.01, seed, **options)


def task_of(there, n=5):
    return UnitTask(there.plan.plan_id, there.plan.units[0].unit_id, n)


@pytest.fixture(scope="module")
def made(there):
    """Return the result of a task, the stamps that were scored, and the hosts."""
    census, scored, hosts = census_of(there), [], []
    score = census._scorer.score
    patch = pytest.MonkeyPatch()
    patch.setattr(census._scorer, "score", lambda stamps: (scored.append(stamps), score(stamps))[1])
    patch.setattr(module, "find_hosts", lambda *given: (hosts.append(find_hosts(*given)), hosts[-1])[1])
    patch.setattr(module, "LIKELY_P_LENS", 0.0)
    result = census.unit(task_of(there))
    patch.undo()
    return result, {band: np.concatenate([stamps[band] for stamps in scored]) for band in EUCLID}, hosts[0].found


def test_scores_are_those_of_the_public_scorer(made):
    result, stamps, _ = made
    expected = lensscan.load("mer3-cascade").score(stamps).to_arrow().to_pydict()
    np.testing.assert_allclose([row["p_lens"] for row in result.rows], expected["p_lens"], rtol=1e-4)
    np.testing.assert_allclose([row["p_compound"] for row in result.rows], expected["p_compound"], rtol=1e-4)
    assert [row["subclass"] for row in result.rows] == expected["subclass"]


def test_arcs_are_added_to_a_galaxy_of_the_tile(made):
    result, stamps, hosts = made
    by_id = {host.object_id: host for host in hosts}
    y, x = np.indices((100, 100)) - 49.5
    radius = np.hypot(x, y) * 0.1
    assert len(result.rows) == len(stamps["VIS"]) >= 3
    for i, row in enumerate(result.rows):
        host = by_id[row["object_id"]]
        added = stamps["VIS"][i] - host.host.stamps["VIS"]
        near = (radius < 2 * row["einstein_radius_arcsec"] + 0.5) | (radius < 1.2)
        assert added[near].sum() > 0.5 * added[added > 0].sum() > 0
        assert row["lens_mag_vis"] == host.host.mag_vis
        assert (row["lens_vis_minus_h"], row["sky_sigma_vis_ujy"]) == (host.vis_minus_h, host.sky_sigma_vis_ujy)
        assert row["tile"] == "000000007"


def test_numbers_for_realism_are_those_of_single_lenses(made):
    result, stamps, _ = made
    singles = [i for i, row in enumerate(result.rows) if row["kind"] == "single"]
    assert len(result.measured) == len(singles) > 0
    for i, numbers in zip(singles, result.measured, strict=True):
        assert {"mag_vis_1arcsec", "lens_y_minus_h", "arc_snr_vis", "p_light", "p_single_given_lens"} <= numbers.keys()
        expected = module.photometry({b: stamps[b][i : i + 1] for b in EUCLID}, MER_10, {"VIS": 24.6})
        assert numbers["sky_sigma_vis_ujy"] / expected["sky_sigma_vis_ujy"][0] > 0


def test_the_psf_of_a_file_is_used(there, made, psf_file):
    """A wider PSF spreads the arcs, so the same seeds give other pixels and scores."""
    wide = census_of(there, psf_uri=psf_file).unit(task_of(there, 2))
    assert [row["p_lens"] for row in wide.rows] != [row["p_lens"] for row in made[0].rows[:2]]


def test_lenses_that_no_host_looks_like_are_counted(there, made, monkeypatch):
    draws = []
    monkeypatch.setattr(module, "alike", lambda looks, look: draws.append(alike(looks, look)) or draws[-1])
    result = census_of(there).unit(task_of(there))
    assert result.rows == made[0].rows
    assert result.n_drawn == len(draws) >= 5
    assert result.n_unlike == sum(not len(found) for found in draws) > 0


def test_without_hosts_nothing_is_drawn(there, monkeypatch):
    monkeypatch.setattr(module.forecast, "draw_lens", None)
    census = Census(there.root, {there.plan.plan_id: there.plan}, PACKAGE, "openvino", 1e-9, 4)
    result = census.unit(task_of(there, 2))
    assert (result.rows, result.measured, result.n_hosts, result.failure) == ([], [], 0, "")


def test_a_damaged_unit_has_no_lenses_but_a_reason(there, monkeypatch):
    def damaged(*_):
        raise Rejection(RejectCode.MISSING_BAND, "VIS: the tile has no mosaic")

    monkeypatch.setattr(module, "find_hosts", damaged)
    result = census_of(there).unit(task_of(there, 2))
    assert (result.rows, result.failure) == ([], "missing_band: VIS: the tile has no mosaic")


def test_an_unknown_unit_is_an_error(there):
    with pytest.raises(ValueError, match="has no unit 123"):
        census_of(there).unit(UnitTask(there.plan.plan_id, "123", 1))
