"""A reference goes onto the card as it is when it is written, and into no folder of another ensemble."""

from types import SimpleNamespace

import numpy as np
import pytest

from flows.commands import reference
from infra.progress import no_progress
from scanner.networks.card_file import read_card
from scanner.networks.training_data_card import TrainingDataCard
from tests.scanner.catalogue_parts import write_shard
from tests.scanner.ensembles import SPECS, add_metric, write_test_package
from training.errors import TrainingError
from training.evaluation.shard_scores import shards_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return the folder of an ensemble, whose card another command changes while the objects are described."""
    write_test_package(tmp_path / "mine", SPECS[:1])

    def parts(*_):
        add_metric(tmp_path / "mine")
        return [SimpleNamespace(is_seen=np.ones(2, bool), kinds=np.array(["nonlens", "nonlens"]), p_lens=np.zeros(2))]

    monkeypatch.setattr(reference, "load_scorer", lambda *_, **__: None)
    monkeypatch.setattr(reference, "describe", parts)
    monkeypatch.setattr(reference, "importance_of", lambda *_: None)
    monkeypatch.setattr(reference, "fit_reference", lambda *_: None)
    monkeypatch.setattr(
        reference, "with_reference", lambda _, card, __, about: card.model_copy(update={"feature_reference": about})
    )
    return tmp_path / "mine"


def shards(folder, data_set=b'{"seed": 4}'):
    """Write a shard of a data set, and return its folder."""
    write_shard(folder / "shards" / "shard-00000.parquet", [1, 2], data_set)
    return str(folder / "shards")


@pytest.mark.parametrize("out", [None, "copy"])
def test_metrics_written_meanwhile_stay(package, tmp_path, out):
    folder = package if out is None else tmp_path / out
    reference.make_reference(str(package), [shards(tmp_path)], out and str(folder), None, no_progress)
    card = read_card(folder)
    assert card.metrics["of_another_command"] == 0.5
    assert card.feature_reference.n_objects == 2


def test_another_ensemble_is_not_overwritten(package, tmp_path):
    other = write_test_package(tmp_path / "other", SPECS[1:2])
    with pytest.raises(TrainingError, match="other: holds the card of another ensemble than test"):
        reference.make_reference(str(package), [shards(tmp_path)], str(tmp_path / "other"), None, no_progress)
    assert read_card(tmp_path / "other") == other


def test_shards_that_the_ensemble_knows_are_refused(tmp_path):
    """The seed decides, or the digest of shards that state none."""
    own = shards(tmp_path)
    by_seed = {"digest": None, "simulations": ('{"seed": 4, "preset": "broad"}',)}
    by_digest = {"digest": shards_digest([f"{own}/shard-00000.parquet"])}
    for known, says in ((by_seed, r"objects of this simulation \(seed=4\)"), (by_digest, "these shards")):
        data = TrainingDataCard(description="", n_objects={}, **known)
        write_test_package(tmp_path / "mine", SPECS[:1], training_data=data)
        with pytest.raises(TrainingError, match=f"shards: test was trained or calibrated on {says}; make its reference from"):
            reference.make_reference(str(tmp_path / "mine"), [own], None, None, no_progress)
