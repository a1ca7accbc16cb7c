import numpy as np
import pytest

from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.kinds import UNCHANGED
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.optics.observation import Conditions, Optics
from simulation.population.galaxies import total_vis_mag
from simulation.products.counterfactuals import CHANGES, _lone_lens, changed_lens, counterfactual


@pytest.fixture(scope="module")
def base():
    return _lone_lens(Optics(MER_10, Conditions.nominal(0.0)), np.random.default_rng(1))


@pytest.fixture(scope="module")
def images():
    return changed_lens(np.random.default_rng(5), MER_10)


def changed(base, name):
    return CHANGES[name](base, np.random.default_rng(2))


def test_each_change_changes_one_thing(base):
    assert changed(base, UNCHANGED) is base
    for mag in (1, 2, 3, 4):
        brighter = changed(base, f"source {mag} mag brighter")
        assert total_vis_mag(brighter.source1) == pytest.approx(total_vis_mag(base.source1) - mag)
        assert (brighter.masses, brighter.galaxy) == (base.masses, base.galaxy)
    dim = changed(base, "deflector 2 mag fainter")
    assert total_vis_mag(dim.galaxy) == pytest.approx(total_vis_mag(base.galaxy) + 2)
    assert (dim.source1, dim.masses) == (base.source1, base.masses)
    for name in ("red source", "blue source"):
        assert total_vis_mag(changed(base, name).source1) == pytest.approx(total_vis_mag(base.source1))
    h = {name: changed(base, name).source1[0].sed.h_mag for name in ("red source", "blue source")}
    assert h["red source"] < h["blue source"] - 0.5
    twin = changed(base, "no arcs")
    assert (twin.kind, twin.source1, twin.galaxy) == ("nonlens", (), base.galaxy)


@pytest.mark.parametrize("factor", [1.6, 2.5])
def test_a_larger_ring_keeps_the_pattern_of_its_images(base, factor):
    larger = changed(base, f"Einstein radius x {factor}")
    before, after = (effective_einstein_radius_arcsec(s.masses, s.z_source1) for s in (base, larger))
    assert after == pytest.approx(factor * before)
    offsets = [
        (s.source1[0].x_arcsec - s.masses[0].x_arcsec, s.source1[0].y_arcsec - s.masses[0].y_arcsec) for s in (base, larger)
    ]
    np.testing.assert_allclose(offsets[1], factor * np.array(offsets[0]))
    assert larger.source1[0].half_light_radius_arcsec == base.source1[0].half_light_radius_arcsec


def test_galaxies_inside_bend_light_too(base):
    for n, change in enumerate(("1 galaxy inside", "2 galaxies inside", "3 galaxies inside"), start=1):
        crowded = changed(base, change)
        assert len(crowded.masses) == len(crowded.galaxy) - len(base.galaxy) + 1 == n + 1
        assert crowded.masses[0] == base.masses[0]


def test_a_second_source_lies_behind_the_first_which_gains_mass(base):
    compound = changed(base, "second source")
    assert compound.kind == "compound_arc"
    assert compound.z_source2 > base.z_source1 + 0.3
    assert compound.masses[-1].z == base.z_source1
    assert compound.source1 == base.source1


def test_a_change_does_not_depend_on_the_changes_before_it(images, monkeypatch):
    few = {name: CHANGES[name] for name in ("second source", "1 galaxy inside", UNCHANGED)}
    monkeypatch.setattr("simulation.products.counterfactuals.CHANGES", few)
    for name, bands in changed_lens(np.random.default_rng(5), MER_10).items():
        for band, image in bands.items():
            np.testing.assert_array_equal(image, images[name][band], err_msg=name)


def test_images_differ_where_the_change_is(images):
    assert images.keys() == CHANGES.keys()
    vis = {name: bands["VIS"] for name, bands in images.items()}
    brighter = np.abs(vis["source 4 mag brighter"] - vis[UNCHANGED])
    y, x = np.indices(brighter.shape)
    is_far = np.hypot(y - 49.5, x - 49.5) > 42
    # The same noise: far from the lens nothing changes but by the tail of bright light.
    assert np.median(brighter[is_far]) < 0.1 * 0.0027
    assert brighter.max() > 20 * 0.0027


def test_a_lens_depends_on_its_seed_and_index_only():
    first, again, second = (counterfactual(index, 9, MER_10) for index in (0, 0, 1))
    for name in CHANGES:
        np.testing.assert_array_equal(first[name]["H"], again[name]["H"])
        assert (first[name]["H"] != second[name]["H"]).any()
