"""Tests of the data that a card names."""

import json

import pytest

from infra.provenance import digest
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.training_data_card import DataSets, TrainingDataCard, data_lists

A, B, C = "a" * 64, "b" * 64, "c" * 64


def data(**given):
    return TrainingDataCard(**{"description": "", "digest": None, "n_objects": {}} | given)


def test_data_of_the_calibration_alone_are_not_trained_on():
    card = data(data_sets=(A, B), simulations=("s", "t"), calibrated_on=(B, "s"))
    assert card.trained_on == DataSets((A,), ("t",))
    assert card.known_data_sets == (A, B)
    assert data(digest=A).trained_on == DataSets((A,), ())
    assert data().trained_on == DataSets()


def test_calibration_data_must_be_listed():
    with pytest.raises(ValueError, match="calibrated_on must be among data_sets and simulations, got other"):
        data(data_sets=(A,), simulations=("s",), calibrated_on=(A, "other", "s"))


def test_lists_name_each_data_set_once_in_order():
    lists = data_lists([data(digest=A), data(data_sets=(B, A)), data()], DataSets((C, B), ("s",)))
    assert lists == {"data_sets": (A, B, C), "simulations": ("s",), "calibrated_on": ()}


@pytest.mark.parametrize("first", [0, 1])
def test_training_on_calibration_data_outweighs(first):
    """It does so in either order, and where the training is a new one."""
    calibrated = data(data_sets=(A, B), simulations=("s", "t"), calibrated_on=(A, "s"))
    trained = data(data_sets=(A,), simulations=("s",), n_objects={"train single": 1})
    pair = [calibrated, trained] if first else [trained, calibrated]
    assert data_lists(pair)["calibrated_on"] == ()
    assert data_lists([calibrated], trained_on=DataSets((A,), ()))["calibrated_on"] == ("s",)
    again = data_lists([calibrated], calibrated_on=DataSets((B, A), ("u",)))
    assert again == {"data_sets": (A, B), "simulations": ("s", "t", "u"), "calibrated_on": (A, "s", "u")}


def test_a_card_that_tells_nothing_apart_does_not_outweigh():
    """The cascade of an earlier release can be calibrated again and again on the same data."""
    again = data(**data_lists([data(data_sets=(A, B))], calibrated_on=DataSets((B, C), ())))
    assert (again.trained_on.digests, again.calibrated_on) == ((A,), (B, C))


def test_the_shipped_cascade_tells_its_calibration_apart():
    """Its default non-lenses may calibrate it again, and no object of its training may."""
    known = read_card(SHIPPED_DIR / "mer3-cascade").training_data
    seeds = [json.loads(stated)["seed"] for stated in known.trained_on.simulations]
    assert seeds == [8211, 8212, 8214, 8213, 8215, 8218, 8216, 8217]
    assert len(known.simulations) == len(seeds) + 3
    # The last calibration is that of natural and broad shards, and of the non-lenses of the one before.
    natural, broad = known.calibrated_on[-2:]
    nonlenses = known.calibrated_on[2]
    assert digest([natural, broad, nonlenses]) == known.digest
    assert not {natural, broad, nonlenses} & {*known.trained_on.digests}
