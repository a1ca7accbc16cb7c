"""Gold subjects: arcs in real hosts, and the same hosts without; fixed by the seed, and made like the candidates' pixels."""

import numpy as np
import pytest

from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.catalogue.unit_inputs import InputChangedError, planned_ids
from scanner.catalogue.units import SelectedRows
from scanner.explain.cutout_pixels import cutout_pixels
from scanner.scan.chosen_objects import read_objects
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from simulation.injection.arcs import InjectionError
from simulation.injection.gold import MOST_UNITS, bytes_to_read, make_gold
from tests.scanner.catalogue_parts import EnsembleName
from tests.tiles import write_tiles
from tests.vetting import catalogue_with_tile

ROLES = ["training_lens", "gold_lens", "gold_nonlens", "gold_lens", "gold_nonlens"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a catalogue, its plan, its tiles and gold subjects."""
    folder = tmp_path_factory.mktemp("gold")
    root, tiles = str(folder / "catalogue"), folder / "tiles"
    plan = catalogue_with_tile(root, tiles)
    return root, plan, tiles, make_gold(root, plan, MER_10, ROLES, 3)


def test_roles_come_in_order_with_different_names(made):
    subjects = made[3]
    assert [gold.answer.role for gold in subjects] == ROLES
    assert len({gold.answer.name for gold in subjects}) == len(ROLES)
    assert [bool(gold.answer.kind) for gold in subjects] == [role.endswith("_lens") for role in ROLES]
    assert {gold.answer.kind for gold in subjects} <= {"", "single", "compound_arc", "double_ring"}


def test_hosts_are_clearly_no_candidates(made):
    hosts = [int(gold.answer.host.split()[1]) for gold in made[3]]
    assert len(set(hosts)) == len(hosts)
    # The first eight objects of the tile are candidates, and the next four nearly are.
    assert not set(hosts) & {-1_000_000 - i for i in range(12)}


def test_non_lenses_are_their_hosts_and_lenses_have_arcs_more(made):
    """The pixels are those that a scan would store of the host: `read_objects` reads it in its own way."""
    _, _, tiles, subjects = made
    for gold in subjects:
        stamps = read_objects(str(tiles), [gold.answer.host.split()[1]], MER_10, 1).stamps
        pixels, unit = cutout_pixels(stamps, MER_10)
        light = gold.values * gold.answer.step - pixels[0] * unit[0]
        tolerance = 0.51 * (gold.answer.step + unit[0])
        if gold.answer.role.endswith("nonlens"):
            assert np.abs(light).max() < tolerance
            assert not gold.arcs.any()
        else:
            assert gold.answer.einstein_radius_arcsec > 0
            assert gold.arcs.any()
            # Arcs add light to all bands, most where the page outlines them.
            assert light[:, gold.arcs].mean() > 3 * np.abs(np.median(light[:, ~gold.arcs])) + 0.5
            assert light[0][gold.arcs].mean() > 1


def test_the_training_begins_with_lenses_that_nobody_doubts(made):
    """Measured on the pixels: arcs of 0.6 arcsec or more that outshine host and noise over an area."""
    _, _, tiles, subjects = made
    (lens,) = (gold for gold in subjects if gold.answer.role == "training_lens")
    host = read_objects(str(tiles), [lens.answer.host.split()[1]], MER_10, 1).stamps
    pixels, unit = cutout_pixels(host, MER_10)
    before, after = pixels[0, 0] * unit[0], lens.values[0] * lens.answer.step
    # Pixels of a picture are in sigma of the sky.
    assert ((after - before) > np.maximum(3, before) - 0.2).sum() > 100
    assert lens.answer.einstein_radius_arcsec >= 0.6


def test_a_selection_of_sources_does_not_mix_up_the_hosts(made):
    """The plan numbers only the rows that it scores."""
    root, plan, tiles, _ = made
    (unit,) = plan.units
    ids = planned_ids(unit)
    is_selected = np.arange(len(ids)) >= 11
    some = plan.model_copy(update={"units": (unit.model_copy(update={"selected": SelectedRows.of(is_selected, ids)}),)})
    found = make_gold(root, some, MER_10, ["gold_nonlens"] * 4, 3)
    assert found
    for gold in found:
        host = int(gold.answer.host.split()[1])
        assert host in ids[is_selected]
        stamps = read_objects(str(tiles), [str(host)], MER_10, 1).stamps
        np.testing.assert_array_equal(gold.values, cutout_pixels(stamps, MER_10)[0][0])


def test_the_seed_decides_about_everything(made):
    root, plan, _, subjects = made
    again = make_gold(root, plan, MER_10, ROLES, 3)
    for one, other in zip(subjects, again, strict=True):
        assert one.answer == other.answer
        np.testing.assert_array_equal(one.values, other.values)
    others = make_gold(root, plan, MER_10, ROLES[:2], 4)
    assert {gold.answer.name for gold in others}.isdisjoint(gold.answer.name for gold in subjects)


def test_arcs_are_as_bright_at_another_zero_point(made, tmp_path):
    other = str(tmp_path / "catalogue")
    plan = catalogue_with_tile(other, tmp_path / "tiles", zero_point_ab_mag=27.1)
    here, there = (
        {gold.answer.name: gold for gold in make_gold(root, of, MER_10, ["gold_lens"] * 40, 3)}
        for root, of in ((made[0], made[1]), (other, plan))
    )
    same = here.keys() & there.keys()
    assert len(same) > 5
    for name in same:
        # Pixels of a picture are in units of its noise, and the tile's noise is ten times as large in the tile's unit.
        light, same_light = (gold.values * gold.answer.step for gold in (here[name], there[name]))
        assert same_light == pytest.approx(light, abs=2 * there[name].answer.step)


def test_few_hosts_give_few_subjects(made):
    root, plan, _, _ = made
    found = make_gold(root, plan, MER_10, ROLES * 10, 3)
    # 28 objects are clearly no candidates, and some of them lie too close to an edge or to another galaxy.
    assert 10 < len(found) <= 28


def test_hosts_of_arcs_without_an_outline_are_left_out(made, monkeypatch):
    """A grader would be asked for a lens that the picture cannot show."""
    root, plan, _, subjects = made
    smallest = min(gold.arcs.sum() for gold in subjects if gold.answer.kind)
    monkeypatch.setattr("simulation.injection.gold._LEAST_OUTLINED_PIXELS", smallest + 1)
    others = make_gold(root, plan, MER_10, ROLES, 3)
    assert min(gold.arcs.sum() for gold in others if gold.answer.kind) > smallest
    monkeypatch.setattr("simulation.injection.gold._OUTLINED_SIGMA", 1e9)
    assert make_gold(root, plan, MER_10, ROLES, 3) == []


def test_coarse_pixels_are_refused(made):
    with pytest.raises(InjectionError, match="not into those of challenge"):
        make_gold(made[0], made[1], CHALLENGE, ROLES, 3)


def test_changed_tiles_are_refused(tmp_path):
    root, tiles = str(tmp_path / "catalogue"), tmp_path / "tiles"
    plan = catalogue_with_tile(root, tiles, n_objects=12, n_candidates=2)
    next(tiles.glob("*VIS*")).unlink()
    with pytest.raises(InputChangedError, match=r"VIS.* is gone"):
        make_gold(root, plan, MER_10, ROLES, 3)


def test_the_size_is_that_of_few_tiles(tmp_path):
    write_tiles(tmp_path, MOST_UNITS + 1, 2, n_pixels=260)
    plan = build_plan(str(tmp_path), None, EnsembleName(), ScanConfig())
    sizes = [sum(file.size for file in unit.files.values()) for unit in plan.units]
    assert bytes_to_read(plan, 3) == MOST_UNITS * sizes[0] == sum(sizes) - sizes[0]
