"""Tests of the card of a package that was just trained."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from scanner.networks.architectures import FIRST_STAGE_NETWORKS, PAPER_NETWORKS
from scanner.networks.card_file import read_card, write_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.log_odds import logit_margins
from scanner.networks.parameters import he_initialise
from scanner.networks.torch_engine import TorchEngine
from scanner.vocabulary.kinds import KINDS
from simulation.products.dataset import DatasetSpec, per_object
from tests.training.shards import state, write_shards
from tests.training.tiny_build import BUILD_CONFIG, OU_H
from training.build import build_ensemble, work_folder
from training.checkpoint import save_weights
from training.config import TrainConfig
from training.dataset import Dataset, PreparedInputs, open_dataset
from training.evaluation.metrics import auroc, interval
from training.fit import FitResult
from training.publish import _ensemble_metrics, _network_card, _prevalence, split_margins


def test_the_card_has_the_metrics_of_the_test_split(built, scored):
    """Measure again by scanning the shards as a user would; pixels are rounded in training, hence the tolerances."""
    card = built[1]
    test = scored["test"]
    is_lens, kinds = test["kinds"] > 0, test["kinds"]
    areas = {name: roc_auc_score(is_lens, test[name]) for name in ("p_lens", "OU-H", "OU-66")}
    said = {"p_lens": card.metrics["auroc"]} | {network.name: network.metrics["auroc"] for network in card.networks}
    assert said == pytest.approx(areas, abs=0.02)
    # The areas are far from those of the other splits, where labels are right.
    assert max(areas.values()) < 0.8
    fitted = 1 - card.combiner.training_fractions[0]
    p = test["p_lens"].astype(float)
    odds = p / (1 - p) / (5e-4 / (1 - 5e-4)) * fitted / (1 - fitted)
    # One object more or less is 1/31 of the lenses.
    assert card.metrics["recall"] == pytest.approx(recall_score(is_lens, odds >= 1), abs=0.07)
    assert card.metrics["precision"] == pytest.approx(precision_score(is_lens, odds >= 1), abs=0.07)
    assert card.metrics["auroc_compound"] == pytest.approx(roc_auc_score(kinds >= 2, test["p_compound"]), abs=0.02)
    assert card.metrics["subclass_accuracy"] == pytest.approx((test["subclass"] == np.array(KINDS)[kinds]).mean(), abs=0.03)
    p = odds / (1 + odds)
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(is_lens[bins == k].mean() - p[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    assert card.metrics["calibration_error"] == pytest.approx(sum(gaps), abs=0.03)
    assert f"error on the test split {card.metrics['calibration_error']:.3f}" in card.calibration


def test_the_card_has_the_assumed_or_the_fitted_prevalence(built, scored):
    card = built[1]
    assert card.assumed_prevalence == card.combiner.prevalence == BUILD_CONFIG.prevalence
    share = np.mean(scored["validation"]["kinds"] > 0)
    assert _prevalence(card.combiner.assuming(None, None)) == pytest.approx(share)


def test_the_card_describes_the_training_data(built):
    out, card, _ = built
    dataset = open_dataset(work_folder(out, "tiny") / "data")
    assert card.training_data.digest == dataset.digest
    assert card.training_data.data_sets == (dataset.digest,)
    assert sum(card.training_data.n_objects.values()) == len(dataset.kinds)
    assert isinstance(card.combiner, SoftmaxStack)
    validation = dataset.kinds[dataset.rows("validation", 0.35, 0.35)]
    assert card.combiner.training_fractions == pytest.approx(np.bincount(validation, minlength=4) / len(validation))
    assert (card.assumed_prevalence, card.combiner.compound_share) == (5e-4, 0.02)


def test_the_package_files_show_the_figures(built):
    out, card, _ = built
    text = (out / "tiny" / "CARD.md").read_text()
    assert f"{card.metrics['auroc']:.3f} ({card.metrics['auroc_low']:.3f}-{card.metrics['auroc_high']:.3f})" in text
    assert card.training_data.digest in text
    assert all(sentence in text for sentence in card.limits)
    assert all(f"| {kind}" in text for kind in KINDS)
    history = json.loads((out / "tiny" / "history.json").read_text())
    assert {name: len(rows) for name, rows in history.items()} == {"OU-H": 4, "OU-66": 4}
    assert (out / "tiny" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_repeated_training_keeps_what_was_measured_since(built, mislabelled_uri, tmp_path, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 5)
    shutil.copytree(built[0], tmp_path / "out")
    folder = tmp_path / "out" / "tiny"
    measured = built[1].model_copy(update={"probes": "no bias found", "metrics": {**built[1].metrics, "map_recall": 0.5}})
    # A prolonged training may keep the weights, but not the description of the training.
    before = measured.training_data.model_copy(update={"description": "fewer epochs"})
    write_card(folder, measured.model_copy(update={"training_data": before}))
    assert build_ensemble(BUILD_CONFIG, mislabelled_uri, tmp_path / "out", "tiny") == measured == read_card(folder)
    assert "no bias found" in (folder / "CARD.md").read_text()


def test_a_training_replaces_a_card_of_other_scores(built, mislabelled_uri, tmp_path, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 5)
    shutil.copytree(built[0], tmp_path / "out")
    folder = tmp_path / "out" / "tiny"
    write_card(folder, built[1].model_copy(update={"combiner": built[1].combiner.assuming(0.2, 0.02), "probes": "old"}))
    made = build_ensemble(BUILD_CONFIG, mislabelled_uri, tmp_path / "out", "tiny")
    assert (made.probes, made.sha256) == ("", built[1].sha256)


def test_compound_lenses_are_those_of_two_sources():
    kinds = np.tile(np.arange(len(KINDS), dtype=np.int8), 5)
    is_compound = np.isin(np.array(KINDS)[kinds], ["compound_arc", "double_ring"])
    subclass = np.where(kinds == 0, "single", np.array(KINDS)[kinds])
    said = SimpleNamespace(p_lens=(kinds > 0) * 0.8 + 0.1, p_compound=is_compound * 0.5, subclass=subclass)
    found = _ensemble_metrics(SimpleNamespace(combine=lambda _: said), {}, kinds)
    assert found["auroc_compound"] == found["auroc"] == 1
    assert found["subclass_accuracy"] == 0.75
    assert found["calibration_error"] == pytest.approx(0.1)


def test_a_card_has_the_intervals_of_seed_zero(rng):
    """A package that is built again has the same figures, and all of its networks have the same resamples."""
    kinds = (np.arange(40) % 2).astype(np.int8)
    margin = rng.normal(kinds, 1.0)
    p_lens = 1 / (1 + np.exp(-margin))
    low, high = interval(auroc, p_lens, kinds > 0, np.random.default_rng(0))
    said = SimpleNamespace(p_lens=p_lens, p_compound=None, subclass=None)
    fit = SimpleNamespace(name=OU_H.name, best=SimpleNamespace(epoch=1, validation_loss=0.5))
    network = _network_card(fit, BUILD_CONFIG, margin[:, None], kinds).metrics
    for found in (_ensemble_metrics(SimpleNamespace(combine=lambda _: said), {}, kinds), network):
        assert (found["auroc_low"], found["auroc_high"]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("spec", [FIRST_STAGE_NETWORKS[0], PAPER_NETWORKS[5]], ids=lambda spec: spec.name)
def test_margins_are_those_of_torch(spec, tmp_path, rng):
    """The first network sees the middle 80 of 100 pixels, the second all of its 66."""
    network, side = spec.build(), spec.input_pixels
    torch.manual_seed(0)
    he_initialise(network)
    save_weights(tmp_path / "weights.safetensors", network)
    pixels = rng.normal(0, 3, (9, len(spec.channels), side, side)).astype(np.float16)
    dataset = Dataset({side: PreparedInputs(spec.channels, pixels)}, np.zeros(9, np.int8), np.arange(9), "")
    fits = [FitResult(spec.name, tmp_path / "weights.safetensors", ())]
    rows = np.array([7, 0, 3])
    margins = split_margins(fits, dataset, TrainConfig(networks=(spec,)), rows)
    expected = logit_margins(TorchEngine(network).logits(pixels[rows].astype(np.float32)))
    assert margins[spec.name] == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01


def test_the_card_lists_the_simulations_of_data_and_start(tmp_path, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 5)
    config = BUILD_CONFIG.model_copy(update={"networks": (OU_H,), "epochs": 1})
    folders = [state(write_shards(tmp_path / str(seed), 60), seed=seed) for seed in (8, 9)]
    told = [per_object(DatasetSpec(n=1, seed=seed)) for seed in (8, 9)]
    first = build_ensemble(config, folders[0], tmp_path, "first")
    assert first.training_data.simulations == (told[0],)
    later = config.model_copy(update={"start_from": tmp_path / "first"})
    made = build_ensemble(later, folders[1], tmp_path, "later").training_data
    assert made.simulations == made.trained_on.simulations == tuple(told)
