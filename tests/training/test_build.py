"""Tests of the whole path from shards to a package and back to scores."""

import shutil
import subprocess
import sys

import pytest
import torch
from sklearn.metrics import roc_auc_score

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.card_file import write_card
from scanner.networks.combiner import MeanCombiner
from scanner.networks.package import load_network
from tests.training.shards import write_shards
from tests.training.tiny_build import BUILD_CONFIG, N_BOOTSTRAP, OU_66, OU_H
from training.build import build_ensemble, work_folder
from training.errors import TrainingError


def test_progress_counts_epochs(built):
    assert built[2] == [[done, 8] for done in range(1, 9)]


def test_the_networks_and_their_combiner_have_learnt(scored):
    validation = scored["validation"]
    areas = {name: roc_auc_score(validation["kinds"] > 0, validation[name]) for name in ("p_lens", "OU-H", "OU-66")}
    assert min(areas.values()) > 0.8, areas
    assert areas["p_lens"] > 0.93


def test_a_second_build_trains_no_network_again(built, mislabelled_uri, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", N_BOOTSTRAP)
    out, card, _ = built
    weights = work_folder(out, "tiny") / "OU-66" / "last.safetensors"
    before = weights.stat().st_mtime_ns
    assert build_ensemble(BUILD_CONFIG, mislabelled_uri, out, "tiny") == card
    assert weights.stat().st_mtime_ns == before


def test_workers_import_no_library_for_publishing():
    # What Ray imports takes seconds and is no matter here.
    without_ray = "for name in ('ray', 'ray.exceptions', 'ray.train', 'ray.train.torch'): sys.modules[name] = MagicMock()\n"
    code = f"import sys\nfrom unittest.mock import MagicMock\n{without_ray}import training.trainer\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "training.trainer" in loaded
    assert not {"training.publish", "sklearn", "matplotlib", "captum"} & set(loaded)


def test_too_few_objects_give_an_uncalibrated_mean(tmp_path):
    config = BUILD_CONFIG.model_copy(update={"epochs": 1, "networks": (OU_H,)})
    card = build_ensemble(config, write_shards(tmp_path / "shards", 24), tmp_path, "few")
    assert isinstance(card.combiner, MeanCombiner)
    assert card.assumed_prevalence is None
    assert "fewer than 5" in card.calibration


def test_a_name_that_is_a_path_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"\.\./x"):
        build_ensemble(BUILD_CONFIG, str(tmp_path), tmp_path, "../x")


def test_training_can_start_from_the_weights_of_a_package(built, mislabelled_uri, tmp_path):
    out, card, _ = built
    start, seen = tmp_path / "tiny", card.training_data.known_data_sets
    shutil.copytree(out / "tiny", start)
    earlier = card.training_data.model_copy(update={"data_sets": ("e" * 64, *seen)})
    write_card(start, card.model_copy(update={"training_data": earlier}))
    config = BUILD_CONFIG.model_copy(update={"epochs": 1, "networks": (OU_66,), "learning_rate": 1e-12, "start_from": start})
    begun = build_ensemble(config, mislabelled_uri, tmp_path, "more")
    before, after = (
        load_network(folder, next(network for network in of.networks if network.name == "OU-66")).state_dict()
        for folder, of in ((out / "tiny", card), (tmp_path / "more", begun))
    )
    # Batch norm's running means follow the data whatever the learning rate.
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before if "running" not in name)
    assert "begun with the weights of tiny" in begun.training_data.description
    assert begun.training_data.data_sets == ("e" * 64, *seen)


def test_a_start_package_without_the_network_is_refused(built, mislabelled_uri, tmp_path):
    config = BUILD_CONFIG.model_copy(update={"networks": (PAPER_NETWORKS[0],), "start_from": built[0] / "tiny"})
    with pytest.raises(TrainingError, match=r"must hold OU-J \(ou66\), .* got OU-H \(ou66\), OU-66 \(ou66\)"):
        build_ensemble(config, mislabelled_uri, tmp_path, "more")
