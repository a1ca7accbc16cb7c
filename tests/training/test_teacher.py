"""Targets from a teacher: its own probabilities, mixed with labels, and what a fit on them ends with in closed form."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from infra.progress import no_progress
from scanner.networks.card_file import read_card, write_card
from scanner.networks.combiner import MeanCombiner
from scanner.networks.package import load_package
from scanner.sources.shards import decode_shard
from scanner.vocabulary.kinds import KINDS
from tests.training.tiny import LINEAR, tiny_config, tiny_dataset
from tests.training.tiny_build import BUILD_CONFIG, OU_66
from training.build import build_ensemble, work_folder
from training.dataset import open_dataset
from training.errors import TrainingError
from training.fit import fit_network
from training.limits import LENSES_ALONE
from training.teacher import ask_teacher, taught, teacher_file


def with_opinion(work, data, p_lens):
    """Save a teacher that gives every object the same probability of a single lens."""
    work.mkdir(parents=True, exist_ok=True)
    np.save(teacher_file(work), np.tile(np.float32([1 - p_lens, p_lens, 0, 0]), (len(data.kinds), 1)))


def test_the_teacher_gives_the_probabilities_of_its_combiner(built, mislabelled_uri, tmp_path):
    out, card, _ = built
    data = open_dataset(work_folder(out, "tiny") / "data")
    ask_teacher(out / "tiny", mislabelled_uri, data, tmp_path, no_progress)
    given = np.load(teacher_file(tmp_path))
    ensemble = load_package(out / "tiny")
    stamps = [decode_shard(path.read_bytes()).stamps for path in sorted(Path(mislabelled_uri).iterdir())]
    fitted = card.combiner.assuming(None, None)
    expected = np.concatenate([fitted.combine(ensemble.logit_margins(of)).p_lens for of in stamps])
    assert given.shape == (len(data.kinds), len(KINDS))
    assert np.abs(given.sum(axis=1) - 1).max() < 1e-6
    assert np.abs(1 - given[:, 0] - expected).max() < 1e-5


def test_a_teacher_is_asked_once(built, mislabelled_uri, tmp_path):
    out, _, _ = built
    data, calls = open_dataset(work_folder(out, "tiny") / "data"), []
    for _ in range(2):
        ask_teacher(out / "tiny", mislabelled_uri, data, tmp_path, lambda done, total: calls.append((done, total)))
    assert [done for done, total in calls if done == total] == [120]
    # A full disk cut off the note.
    teacher_file(tmp_path).with_suffix(".json").write_text("")
    ask_teacher(out / "tiny", mislabelled_uri, data, tmp_path, lambda done, total: calls.append((done, total)))
    assert [done for done, total in calls if done == total] == [120, 120]
    with pytest.raises(TrainingError, match="have changed since they were prepared"):
        ask_teacher(out / "tiny", mislabelled_uri, replace(data, kinds=data.kinds[::-1], digest="x"), tmp_path, no_progress)


def test_targets_mix_the_teacher_with_the_labels(tmp_path):
    data = tiny_dataset(50)
    with_opinion(tmp_path, data, 0.5)
    mixed = taught(data, tmp_path, 0.6)
    of_lens = mixed.targets(KINDS)[data.kinds == 1]
    assert of_lens == pytest.approx(np.tile([0.3, 0.7, 0, 0], (len(of_lens), 1)))
    assert mixed.targets(LINEAR.classes)[data.kinds == 0] == pytest.approx(np.tile([0.7, 0.3], ((data.kinds == 0).sum(), 1)))
    assert data.targets(LINEAR.classes).tolist() == data.labels(LINEAR.classes).tolist()


def test_a_fit_learns_what_the_teacher_says(tmp_path):
    """A linear function of nothing but noise ends at the teacher's probability, whatever the labels are."""
    data = tiny_dataset(400)
    config = tiny_config(LINEAR, epochs=30, batch_size=40, balance_classes=False, teacher=Path("given"), teacher_share=1.0)
    with_opinion(tmp_path / "sure", data, 0.8)
    fit_network(LINEAR, data, config, tmp_path / "sure")
    state = load_file(tmp_path / "sure" / "linear" / "last.safetensors")
    bias = next(value for name, value in state.items() if name.endswith("1.bias"))
    assert float(torch.softmax(bias, 0)[1]) == pytest.approx(0.8, abs=0.02)


def test_another_teacher_is_another_fit(tmp_path):
    data = tiny_dataset(60)
    config = tiny_config(LINEAR, epochs=1, balance_classes=False, teacher=Path("given"))
    with_opinion(tmp_path, data, 0.8)
    fit_network(LINEAR, data, config, tmp_path)
    fit_network(LINEAR, data, config.model_copy(update={"teacher": Path("same, elsewhere")}), tmp_path)
    with_opinion(tmp_path, data, 0.7)
    with pytest.raises(TrainingError):
        fit_network(LINEAR, data, config, tmp_path)


def test_a_network_is_built_with_a_teacher(built, mislabelled_uri, tmp_path):
    config = BUILD_CONFIG.model_copy(update={"epochs": 1, "networks": (OU_66,), "teacher": built[0] / "tiny"})
    card = build_ensemble(config, mislabelled_uri, tmp_path, "small")
    assert teacher_file(work_folder(tmp_path, "small")).exists()
    assert "taught by tiny (share 0.7)" in card.training_data.description


def test_a_teacher_that_does_not_separate_kinds_is_refused(built, mislabelled_uri, tmp_path):
    data = open_dataset(work_folder(built[0], "tiny") / "data")
    package = tmp_path / "mean"
    shutil.copytree(built[0] / "tiny", package)
    card = read_card(package)
    mean = MeanCombiner(kind="mean", networks=tuple(network.name for network in card.networks))
    write_card(package, card.model_copy(update={"combiner": mean, "cuts": ()}))
    with pytest.raises(TrainingError, match="must separate the kinds"):
        ask_teacher(package, mislabelled_uri, data, tmp_path, no_progress)
    with pytest.raises(TrainingError, match="nowhere"):
        ask_teacher(tmp_path / "nowhere", mislabelled_uri, data, tmp_path, no_progress)


def test_a_teacher_that_learnt_from_lenses_alone_is_refused(built, mislabelled_uri, tmp_path):
    data = open_dataset(work_folder(built[0], "tiny") / "data")
    package = tmp_path / "kind"
    shutil.copytree(built[0] / "tiny", package)
    write_card(package, read_card(package).model_copy(update={"limits": (LENSES_ALONE,)}))
    with pytest.raises(TrainingError, match="kind: a teacher must have learnt from non-lenses too"):
        ask_teacher(package, mislabelled_uri, data, tmp_path, no_progress)
    assert not teacher_file(tmp_path).exists()
