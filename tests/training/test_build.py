"""Tests of the whole path from shards to a package and back to scores."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.combiner import MeanCombiner, SoftmaxStack
from scanner.networks.package import load_network, load_package
from scanner.sources.shards import decode_shard
from scanner.vocabulary.kinds import KINDS
from tests.training.shards import write_shards
from training.build import build_ensemble, work_folder
from training.config import TrainConfig
from training.dataset import SPLITS, hashed_fraction, open_dataset
from training.errors import TrainingError
from training.publish import _ensemble_metrics, _prevalence

OU_H, OU_66 = PAPER_NETWORKS[2], PAPER_NETWORKS[5]
CONFIG = TrainConfig(
    epochs=2,
    batch_size=8,
    networks=(OU_H, OU_66),
    learning_rate=2e-3,
    validation_fraction=0.35,
    test_fraction=0.35,
    bfloat16=False,
)
"""Two networks that read 66 pixels; large held-out splits, so that the combiner has enough objects."""


@pytest.fixture(scope="module")
def shards_uri(tmp_path_factory):
    """Write shards with wrong labels for two of three test objects, so that the test figures differ from other splits'."""
    ids = np.arange(1000, 1120)
    of_test = ids[hashed_fraction(ids) < CONFIG.test_fraction]
    return write_shards(tmp_path_factory.mktemp("shards"), 120, mislabelled=of_test[np.arange(len(of_test)) % 3 > 0])


@pytest.fixture(scope="module")
def built(shards_uri, tmp_path_factory):
    out = tmp_path_factory.mktemp("built")
    progress = []
    card = build_ensemble(CONFIG, shards_uri, out, "tiny", lambda done, total: progress.append((done, total)))
    return out, card, progress


@pytest.fixture(scope="module")
def scored(built, shards_uri):
    """Return scores of the shards as a user's scan gives them, and the true kinds, by split."""
    out, _, _ = built
    ensemble = load_package(out / "tiny")
    scores = [ensemble.score(decode_shard(path.read_bytes()).stamps) for path in sorted(Path(shards_uri).iterdir())]
    dataset = open_dataset(work_folder(out, "tiny") / "data")
    found = {name: np.concatenate([getattr(s, name) for s in scores]) for name in ("p_lens", "p_compound", "subclass")} | {
        name: np.concatenate([s.p_networks[name] for s in scores]) for name in ("OU-H", "OU-66")
    }
    rows = {split: dataset.rows(split, 0.35, 0.35) for split in SPLITS}
    return {
        split: {name: values[chosen] for name, values in (found | {"kinds": dataset.kinds}).items()}
        for split, chosen in rows.items()
    }


def test_progress_counts_epochs(built):
    assert built[2] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_networks_and_their_combiner_have_learnt(scored):
    validation = scored["validation"]
    areas = {name: roc_auc_score(validation["kinds"] > 0, validation[name]) for name in ("p_lens", "OU-H", "OU-66")}
    assert min(areas.values()) > 0.8, areas
    assert areas["p_lens"] > 0.93


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
    assert card.assumed_prevalence == card.combiner.prevalence == CONFIG.prevalence
    share = np.mean(scored["validation"]["kinds"] > 0)
    assert _prevalence(card.combiner.assuming(None, None)) == pytest.approx(share)


def test_the_card_describes_the_training_data(built):
    out, card, _ = built
    dataset = open_dataset(work_folder(out, "tiny") / "data")
    assert card.training_data.digest == dataset.digest
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
    assert {name: len(rows) for name, rows in history.items()} == {"OU-H": 2, "OU-66": 2}
    assert (out / "tiny" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_build_trains_no_network_again(built, shards_uri):
    out, card, _ = built
    weights = work_folder(out, "tiny") / "OU-66" / "last.safetensors"
    before = weights.stat().st_mtime_ns
    assert build_ensemble(CONFIG, shards_uri, out, "tiny") == card
    assert weights.stat().st_mtime_ns == before


def test_workers_import_no_library_for_publishing():
    code = "import sys, training.trainer; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "training.trainer" in loaded
    assert not {"training.publish", "sklearn", "matplotlib", "captum"} & set(loaded)


def test_too_few_objects_give_an_uncalibrated_mean(tmp_path):
    config = CONFIG.model_copy(update={"epochs": 1, "networks": (OU_H,)})
    card = build_ensemble(config, write_shards(tmp_path / "shards", 24), tmp_path, "few")
    assert isinstance(card.combiner, MeanCombiner)
    assert card.assumed_prevalence is None
    assert "fewer than 5" in card.calibration


def test_a_test_split_without_lenses_is_refused(tmp_path):
    ids = np.arange(1000, 1024)
    fraction = float(np.sort(hashed_fraction(ids))[:2].mean())
    config = CONFIG.model_copy(update={"epochs": 1, "networks": (OU_H,), "test_fraction": fraction})
    with pytest.raises(TrainingError, match=r"^test split: both classes need objects, got \d non-lenses and 0 lenses"):
        build_ensemble(config, write_shards(tmp_path / "shards", len(ids)), tmp_path, "few")


def test_compound_lenses_are_those_of_two_sources():
    kinds = np.tile(np.arange(len(KINDS), dtype=np.int8), 5)
    is_compound = np.isin(np.array(KINDS)[kinds], ["compound_arc", "double_ring"])
    subclass = np.where(kinds == 0, "single", np.array(KINDS)[kinds])
    said = SimpleNamespace(p_lens=(kinds > 0) * 0.8 + 0.1, p_compound=is_compound * 0.5, subclass=subclass)
    found = _ensemble_metrics(SimpleNamespace(combine=lambda _: said), {}, kinds)
    assert found["auroc_compound"] == found["auroc"] == 1
    assert found["subclass_accuracy"] == 0.75
    assert found["calibration_error"] == pytest.approx(0.1)


def test_a_name_that_is_a_path_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"\.\./x"):
        build_ensemble(CONFIG, str(tmp_path), tmp_path, "../x")


def test_training_can_start_from_the_weights_of_a_package(built, shards_uri, tmp_path):
    out, card, _ = built
    config = CONFIG.model_copy(update={"epochs": 1, "networks": (OU_66,), "learning_rate": 1e-12, "start_from": out / "tiny"})
    begun = build_ensemble(config, shards_uri, tmp_path, "more")
    before, after = (
        load_network(folder, next(network for network in of.networks if network.name == "OU-66")).state_dict()
        for folder, of in ((out / "tiny", card), (tmp_path / "more", begun))
    )
    # Batch norm's running means follow the data whatever the learning rate.
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before if "running" not in name)
    assert "begun with the weights of tiny" in begun.training_data.description


def test_a_start_package_without_the_network_is_refused(built, shards_uri, tmp_path):
    config = CONFIG.model_copy(update={"networks": (PAPER_NETWORKS[0],), "start_from": built[0] / "tiny"})
    with pytest.raises(TrainingError, match=r"must hold a network OU-J .*\['OU-H', 'OU-66'\]"):
        build_ensemble(config, shards_uri, tmp_path, "more")
