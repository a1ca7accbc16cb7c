"""A training is refused before it begins if a split lacks a class; the message says how many objects are needed."""

import math

import numpy as np
import pytest

from scanner.networks.architectures import FLAGSHIP_NETWORKS
from tests.training.shards import state, write_shards
from tests.training.tiny_build import BUILD_CONFIG, OU_H
from training.dataset import hashed_fraction
from training.errors import TrainingError
from training.run import train_ensemble
from training.split_check import check_splits

N, FIRST_ID = 40, 1000
"""Number of objects, whose kinds come in turn, and the id of the first."""
PAPER = BUILD_CONFIG.model_copy(update={"networks": (OU_H,)})
FLAGSHIP = BUILD_CONFIG.model_copy(update={"networks": FLAGSHIP_NETWORKS[:1]})
ONE_OBJECT = float(np.sort(hashed_fraction(np.arange(FIRST_ID, FIRST_ID + N)))[:2].mean())
"""Fraction of a split that holds one object."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), N)


@pytest.mark.parametrize("config", [PAPER, FLAGSHIP])
def test_good_splits_are_counted(shards, config):
    assert check_splits(shards, config) == N


def test_a_test_split_of_one_object_is_refused_at_once(shards, tmp_path):
    config = PAPER.model_copy(update={"test_fraction": ONE_OBJECT})
    with pytest.raises(TrainingError, match=rf"^test split: .*, got \d nonlens, \d lens of {N} objects in all; \d+ objects"):
        train_ensemble(config, shards, tmp_path / "out", "few")
    assert not (tmp_path / "out").exists()


def test_small_networks_need_every_kind(shards):
    config = FLAGSHIP.model_copy(update={"test_fraction": 0.35, "validation_fraction": 0.05})
    found = r"got \d nonlens, \d single, \d compound_arc, \d double_ring"
    with pytest.raises(TrainingError, match=rf"^validation split: every class needs objects, {found} of {N} objects"):
        check_splits(shards, config)


def test_the_recommended_number_misses_a_class_once_in_hundred(shards):
    config = FLAGSHIP.model_copy(update={"test_fraction": 0.35, "validation_fraction": 0.05})
    with pytest.raises(TrainingError, match=r"; \d+ objects are enough$") as raised:
        check_splits(shards, config)
    n = int(str(raised.value).rpartition(";")[2].split()[0])
    # The numbers of objects of a kind, a quarter of all, in a twentieth of the data follow Poisson's law.
    assert 0.005 < math.exp(-n * 0.25 * 0.05) <= 0.01


def test_a_class_that_no_object_has_is_named(tmp_path):
    ids = FIRST_ID + np.arange(2, N, 4)
    without_compound_arcs = write_shards(tmp_path, N, mislabelled=set(ids.tolist()))
    with pytest.raises(TrainingError, match=rf"^every class needs objects: the {N} objects hold no compound_arc$"):
        check_splits(without_compound_arcs, FLAGSHIP)
    assert check_splits(without_compound_arcs, PAPER) == N


def test_unusable_shards_are_left_to_the_data_set(tmp_path):
    (tmp_path / "shard-0.parquet").write_bytes(b"not a shard")
    assert check_splits(str(tmp_path), PAPER) == 0
    assert check_splits(str(tmp_path / "nosuch"), PAPER) == 0


def test_stamps_that_are_smaller_than_the_networks_field_are_refused(tmp_path):
    shards = state(write_shards(tmp_path, N), geometry="mer10")
    with pytest.raises(TrainingError, match="stamps of the geometry challenge, and those of mer10 are smaller; simulate with"):
        check_splits(shards, PAPER)
    assert check_splits(shards, PAPER.model_copy(update={"geometry": "mer10"})) == N
