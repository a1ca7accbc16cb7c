"""Shards state the data set that they belong to."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.sources.shards import DATA_SET_KEY
from scanner.vocabulary.geometry import GEOMETRIES, MER_10, Geometry, Grid
from simulation.products.dataset import DatasetSpec, simulate_objects, simulate_shard
from training.evaluation.stated_data import (
    data_sets,
    other_pixels,
    picked_by_hand,
    presets,
    same_objects,
    simulations,
    smaller_stamps,
)


@pytest.fixture
def footer(tmp_path):
    """Return a function that writes a shard, and returns its metadata; of an unknown origin without a specification."""

    def written(**spec):
        table = simulate_shard(DatasetSpec(n=2, **spec), 0) if spec else pa.table({"object_id": [1, 2, 3]})
        path = tmp_path / "shard.parquet"
        pq.write_table(table, path)
        return pq.read_metadata(path)

    return written


def stating(**spec):
    """Return the metadata of a shard of three objects that states this of its data set."""
    sink = io.BytesIO()
    table = pa.table({"object_id": [1, 2, 3]}).replace_schema_metadata({DATA_SET_KEY: json.dumps(spec)})
    pq.write_table(table, sink)
    return pq.read_metadata(pa.BufferReader(sink.getvalue()))


def test_data_sets_are_described_from_their_shards(footer):
    footers = [footer(seed=7, geometry="mer"), footer(seed=8, geometry="mer"), footer()]
    assert data_sets(footers) == ("n=2, seed=7, geometry mer, preset euclid; n=2, seed=8, geometry mer, preset euclid; n=3")


def test_presets_are_those_that_shards_state(footer):
    footers = [footer(seed=1, preset="broad", geometry="mer10"), footer(seed=1, geometry="mer10"), footer()]
    assert presets(footers) == {"broad", "euclid"}
    assert presets(footers[2:]) == set()


@pytest.mark.parametrize(
    ("shards", "networks", "found"),
    [
        ("mer10", "mer10", None),
        ("mer", "mer10", None),
        ("mer10", "mer", "mer10"),
        ("challenge", "mer10", "challenge"),
        ("mer10", "challenge", "mer10"),
        ("mer", "challenge", None),
        ("challenge", "mer", "challenge"),
        ("challenge", "challenge", None),
    ],
)
def test_stamps_need_the_pixels_and_the_field_of_the_networks(footer, shards, networks, found):
    assert other_pixels([footer(seed=1, geometry=shards), footer()], networks) == found


@pytest.mark.parametrize(
    ("shards", "networks", "found"),
    [("mer10", "challenge", "mer10"), ("mer10", "mer", "mer10"), ("challenge", "mer", None), ("mer", "challenge", None)],
)
def test_smaller_stamps_show_less_of_the_sky(footer, shards, networks, found):
    assert smaller_stamps([footer(), footer(seed=1, geometry=shards)], networks) == found


@pytest.mark.parametrize(
    ("n_pixels", "scale", "has_other_pixels", "shows_less"),
    [
        (99, 0.1, True, False),
        (97, 0.1, True, True),
        (101, 0.1, False, False),
        (200, 0.05, True, False),
        (100, 0.2, True, False),
    ],
)
def test_a_hundredth_of_the_sky_may_be_missing(monkeypatch, n_pixels, scale, has_other_pixels, shows_less):
    grid = Grid(n_pixels, scale)
    known = {**GEOMETRIES, "made_up": Geometry("made_up", dict.fromkeys(MER_10.grids, grid))}
    monkeypatch.setattr("training.evaluation.stated_data.GEOMETRIES", known)
    footers = [stating(geometry="made_up"), stating(geometry="of another version")]
    assert other_pixels(footers, "mer10") == ("made_up" if has_other_pixels else None)
    assert smaller_stamps(footers, "mer10") == ("made_up" if shows_less else None)


def test_shards_of_a_data_set_are_counted_and_named_together():
    one, other = stating(seed=7), stating(seed=8)
    assert data_sets([one, other, one]) == "n=6, seed=7; n=3, seed=8"
    assert simulations([other, one, other]) == ('{"seed": 8}', '{"seed": 7}')


def test_data_sets_of_one_seed_share_objects(footer):
    known = simulations([footer(seed=7, geometry="mer"), footer(seed=8, preset="broad", geometry="mer10"), footer()])
    assert len(known) == 2
    for spec, is_known in (
        ({"seed": 7}, True),
        ({"seed": 7, "geometry": "mer10", "pairs": True}, True),
        ({"seed": 7, "kinds": (("nonlens", 1.0),)}, True),
        ({"seed": 7, "min_einstein_radius_arcsec": 1.0}, True),
        ({"seed": 8, "preset": "broad", "geometry": "mer"}, True),
        ({"seed": 8, "preset": "any_host", "geometry": "mer"}, True),
        ({"seed": 9}, False),
        ({"seed": 78}, False),
    ):
        found = same_objects(simulations([footer(**spec)]), known)
        assert bool(found) == is_known
        if found:
            assert f"seed={spec['seed']}" in found
    assert same_objects([], known) is None


@pytest.mark.parametrize("other", [{"kinds": (("nonlens", 1.0),)}, {"preset": "any_host"}])
def test_objects_stay_the_same_with_other_settings(other):
    one, two = (
        simulate_objects(DatasetSpec(**{"n": 12, "seed": 77, "preset": "broad"} | more), range(12)) for more in ({}, other)
    )
    shared = sum(a == b for a, b in zip(one["VIS"].to_pylist(), two["VIS"].to_pylist(), strict=True))
    assert 0 < shared < 12


def test_descriptions_without_a_seed_are_compared_whole():
    known = simulations([stating(preset="one"), stating(seed=None)])
    assert same_objects(simulations([stating(preset="one")]), known) == "preset one"
    assert same_objects(simulations([stating(preset="two"), stating(seed=0)]), known) is None


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"kinds": (("double_ring", 0.25), ("twin", 0.25), ("ring_galaxy", 0.5))}, "chosen by name: twin, ring_galaxy"),
        ({"kinds": (("nonlens", 0.9), ("single", 0.05), ("star", 0.05))}, "chosen by name: star"),
        ({"pairs": True}, "each lens again without its arcs"),
        ({"min_einstein_radius_arcsec": 1.8}, "Einstein radius of at least 1.8 arcsec"),
    ],
)
def test_objects_picked_by_hand_are_named(footer, spec, found):
    assert found in picked_by_hand([footer(), footer(seed=1), footer(seed=2, **spec)])


@pytest.mark.parametrize("kinds", [None, (("nonlens", 0.9), ("single", 0.1), ("star", 0.0)), (("compound_arc", 1.0),)])
def test_any_shares_of_lenses_are_natural_draws(footer, kinds):
    assert picked_by_hand([footer(), footer(seed=1, **({"kinds": kinds} if kinds else {}))]) is None


@pytest.mark.parametrize("kinds", ["all", {"star": 1.0}, ["star"], [["star"]], None, 3])
def test_kinds_in_the_form_of_another_program_are_left_alone(kinds):
    assert picked_by_hand([stating(kinds=kinds)]) is None
