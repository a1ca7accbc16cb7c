"""Shards that cannot calibrate a cascade are refused before any network runs."""

import numpy as np
import pytest

from scanner.networks.training_data_card import TrainingDataCard
from scanner.vocabulary.kinds import KINDS
from tests.scanner.ensembles import card
from tests.training.shards import state, write_shards
from training.calibration_shards import CalibrationShards
from training.errors import TrainingError
from training.evaluation.stated_data import simulations
from training.margins import random_half


def test_natural_and_broad_objects_are_counted(tmp_path):
    natural, broad = write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60)
    shards = CalibrationShards.read(natural, broad)
    assert (shards.n_natural, shards.n_objects) == (80, 140)
    assert (shards.natural_uri, shards.broad_uri) == (natural, broad)


def test_shards_that_cannot_calibrate_are_refused(tmp_path):
    natural, broad = write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60)
    few = write_shards(tmp_path / "few", 80, kinds=("nonlens", "single", "single", "double_ring"))
    lenses = write_shards(tmp_path / "lenses", 8, kinds=("single",))
    unknown = write_shards(tmp_path / "unknown", 8, kinds=(None,))
    others = write_shards(tmp_path / "others", 8, kinds=("nonlens",))
    # The first random half of 40 objects has five of each kind, but the second one has not.
    names = np.full(40, "nonlens", object)
    names[random_half(40)] = [KINDS[i % 4] for i in range(20)]
    half = write_shards(tmp_path / "half", 40, kinds=tuple(names))
    for data, says in (
        ((few, broad), r"few: needs at least 5 objects of each kind in each of two .*'compound_arc': 0.* in all"),
        ((half, broad), r"half: needs at least 5 objects of each kind .*, got .*'nonlens': 20, 'single': 0.* in one and"),
        ((natural, others), r"others: needs lenses and non-lenses, got .*'single': 0"),
        ((natural, lenses), r"lenses: needs lenses and non-lenses, got .*'nonlens': 0"),
        ((natural, unknown), r"unknown/shard-00000\.parquet: kind must be one of .*None"),
        ((natural, str(tmp_path / "nowhere")), "nowhere"),
    ):
        with pytest.raises(TrainingError, match=says):
            CalibrationShards.read(*data)


def test_the_halves_checked_are_those_of_the_fit(tmp_path):
    """Kinds that suit the halves of the natural objects alone may not suit those with further non-lenses, and the reverse."""
    broad, n_more = write_shards(tmp_path / "broad", 60), 25
    for halves, folder in ((random_half(40), "alone"), (random_half(40 + n_more)[:40], "together")):
        names = np.full(40, "nonlens", object)
        for half in (halves, ~halves):
            names[np.flatnonzero(half)[:15]] = KINDS[1:] * 5
        write_shards(tmp_path / folder, 40, kinds=tuple(names))
    alone, together = str(tmp_path / "alone"), str(tmp_path / "together")
    CalibrationShards.read(alone, broad)
    CalibrationShards.read(together, broad, n_more)
    with pytest.raises(TrainingError, match="alone: with 25 simulated non-lenses, needs at least 5 objects of each kind in"):
        CalibrationShards.read(alone, broad, n_more)


def stated(folder, **spec):
    return state(write_shards(folder, 80), **spec)


def test_natural_and_broad_shards_are_not_confused(tmp_path):
    natural, broad = stated(tmp_path / "natural"), stated(tmp_path / "broad", preset="broad")
    any_host = stated(tmp_path / "any_host", preset="any_host")
    assert CalibrationShards.read(natural, any_host).n_objects == 160
    with pytest.raises(TrainingError, match=r"broad: natural draws are needed, as of the preset euclid, got .* preset broad"):
        CalibrationShards.read(broad, natural)
    with pytest.raises(TrainingError, match="natural: shards of the preset broad are needed, got those of the preset euclid"):
        CalibrationShards.read(natural, natural)


def test_shards_have_the_pixels_of_the_networks(tmp_path):
    natural, broad = stated(tmp_path / "natural", geometry="mer"), stated(tmp_path / "broad", preset="broad", geometry="mer10")
    native = stated(tmp_path / "native", geometry="challenge")
    shards = CalibrationShards.read(natural, broad)
    shards.check_for("mer10", [])
    with pytest.raises(TrainingError, match="broad: the networks read stamps of the geometry mer, the shards hold mer10"):
        shards.check_for("mer", [])
    with pytest.raises(TrainingError, match=r"broad: the networks read .* geometry challenge, the shards hold mer10"):
        shards.check_for("challenge", [])
    with pytest.raises(TrainingError, match=r"native: the networks read .* geometry mer10, the shards hold challenge"):
        CalibrationShards.read(native, broad).check_for("mer10", [])


@pytest.mark.parametrize("which", [0, 1])
def test_networks_saw_none_of_the_shards(tmp_path, which):
    shards = CalibrationShards.read(write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60))
    data = TrainingDataCard(description="", digest=shards.digests[which], n_objects={"train single": 9})
    trained = card(name="mine", training_data=data)
    with pytest.raises(TrainingError, match=f"{('natural', 'broad')[which]}: mine was trained on these objects"):
        shards.check_for("mer10", [card(), trained])
    # A cascade that was calibrated on them may be calibrated again, whether or not its card tells what on.
    shards.check_for("mer10", [card(training_data=data.model_copy(update={"n_objects": {}}))])


@pytest.mark.parametrize("which", [0, 1])
def test_networks_of_a_cascade_saw_none_of_the_shards(tmp_path, which):
    shards = CalibrationShards.read(write_shards(tmp_path / "natural", 80), write_shards(tmp_path / "broad", 60))
    learnt, calibrated_on = shards.digests[which], shards.digests[1 - which]
    data = TrainingDataCard(description="", digest=None, n_objects={}, data_sets=shards.digests, calibrated_on=(calibrated_on,))
    with pytest.raises(TrainingError, match=f"{('natural', 'broad')[which]}: mine was trained on these objects"):
        shards.check_for("mer10", [card(name="mine", training_data=data)])
    other = data.model_copy(update={"data_sets": ("a" * 64, calibrated_on)})
    shards.check_for("mer10", [card(name="mine", training_data=other)])
    assert learnt != calibrated_on


def test_networks_saw_none_of_the_objects_in_other_shards(tmp_path):
    shards = CalibrationShards.read(stated(tmp_path / "natural", seed=3), write_shards(tmp_path / "broad", 60))
    told = simulations(shards.natural.values())
    data = TrainingDataCard(description="", digest="a" * 64, n_objects={"train single": 9}, simulations=told)
    with pytest.raises(TrainingError, match="natural: mine was trained on these objects"):
        shards.check_for("challenge", [card(name="mine", training_data=data)])
