"""Averages of weights by hand: the mean of two packages, one tensor at a time."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import FeatureReferenceCard, NonLensSampleCard
from scanner.networks.card_file import read_card, write_card
from scanner.networks.training_data_card import TrainingDataCard
from scanner.preprocess.channel import channels
from scanner.purity import Cut, ValueWithInterval
from tests.scanner.cascades import candidate_stage, early_exit, write_cascade
from tests.scanner.ensembles import write_test_package
from training.average import average_packages
from training.errors import TrainingError
from training.limits import LENSES_ALONE

SPEC = NetworkSpec("A", "equivariant_light", channels("sky_asinh", "VIS"))


@pytest.fixture
def packages(tmp_path):
    """Return three packages of one network with other weights each."""
    for seed in (1, 2, 3):
        write_test_package(tmp_path / str(seed), (SPEC,), seed, geometry="mer10", name=f"seed-{seed}")
    return [tmp_path / str(seed) for seed in (1, 2, 3)]


def test_every_tensor_is_the_mean_of_the_given(packages, tmp_path):
    for digit, package in enumerate(packages):
        data = TrainingDataCard(
            description="",
            digest=str(digit) * 64,
            n_objects={},
            simulations=("all", str(digit)),
            calibrated_on=("2",) if digit == 2 else (),
        )
        write_card(package, read_card(package).model_copy(update={"training_data": data}))
    card = average_packages(packages, "mean", tmp_path / "mean")
    assert read_card(tmp_path / "mean") == card
    assert card.training_data.data_sets == ("0" * 64, "1" * 64, "2" * 64)
    assert card.training_data.simulations == ("all", "0", "1", "2")
    assert card.training_data.calibrated_on == ("2",)
    found, *given = (load_file(folder / "A.safetensors") for folder in (tmp_path / "mean", *packages))
    for name, tensor in found.items():
        parts = [of[name] for of in given]
        expected = torch.tensor(np.mean([part.double().numpy() for part in parts], axis=0), dtype=tensor.dtype)
        torch.testing.assert_close(tensor, expected if tensor.is_floating_point() else parts[0], rtol=1e-6, atol=1e-7)
    assert all(card.networks[0].sha256 != read_card(package).networks[0].sha256 for package in packages)
    assert all(
        f"seed-{seed} ({read_card(package).sha256[:12]})" in card.description for seed, package in enumerate(packages, 1)
    )


def test_all_stages_of_a_cascade_are_averaged(tmp_path):
    kinds = candidate_stage(metrics={"auroc_compound": 0.9})
    write_cascade(tmp_path / "a", early_exit=early_exit(0.02, metrics={"natural_lenses_lost": 0.1}), candidate_stage=kinds)
    measured = read_card(tmp_path / "a").model_copy(update={"metrics": {"auroc": 0.9}, "probes": "good"})
    write_card(tmp_path / "a", measured)
    write_cascade(tmp_path / "b", 0.03, early_exit(0.04), candidate_stage=candidate_stage(), seed=7)
    card = average_packages([tmp_path / "a", tmp_path / "b"], "mean", tmp_path / "mean")
    # The limits are those of the first package, without what was measured.
    assert (card.first.exclude_below, card.early_exit.exclude_below) == (0.01, 0.02)
    assert (card.metrics, card.probes, card.early_exit.metrics, card.candidate_stage.metrics) == ({}, "", {}, {})
    assert "before its weights were averaged" in card.calibration
    assert card.limits == ("Nothing was measured since the weights were averaged. Before, test had limits of its own.",)
    for network in card.all_networks:
        found, *given = (load_file(tmp_path / name / network.weights_file) for name in ("mean", "a", "b"))
        assert any(not torch.equal(given[0][name], given[1][name]) for name in found)
        for name, tensor in found.items():
            expected = (given[0][name] + given[1][name]) / 2 if tensor.is_floating_point() else given[0][name]
            torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=1e-7)


def test_nothing_that_was_measured_is_kept(tmp_path):
    write_cascade(tmp_path / "a", early_exit=early_exit(0.02), candidate_stage=candidate_stage())
    write_cascade(tmp_path / "b", early_exit=early_exit(0.02), candidate_stage=candidate_stage())
    card, auroc = read_card(tmp_path / "a"), {"metrics": {"auroc": 0.9}}
    half = ValueWithInterval(value=0.5, low=0.4, high=0.6)
    cut = Cut(p_lens=0.02, n_false_positives=3, recall=half, purity=half, expected_purity=0.5, to_inspect_per_million=half)
    scored = {"sha256": "0" * 64, "ensemble_sha256": card.lens_sha256, "n_objects": 9, "description": ""}
    first, last = (
        of.model_copy(update={**auroc, "network": of.network.model_copy(update=auroc)})
        for of in (card.first, card.candidate_stage)
    )
    measured = {
        "first": first,
        "networks": tuple(network.model_copy(update=auroc) for network in card.networks),
        "candidate_stage": last,
        "cuts": (cut,),
        "nonlens_sample": NonLensSampleCard(file="n.parquet", n_stored=1, least=0.5, **scored),
        "feature_reference": FeatureReferenceCard(file="r.safetensors", n_natural=1, **scored),
    }
    write_card(tmp_path / "a", card.model_copy(update=measured))
    found = average_packages([tmp_path / "a", tmp_path / "b"], "mean", tmp_path / "mean")
    assert (found.cuts, found.nonlens_sample, found.feature_reference) == ((), None, None)
    assert [network.metrics for network in found.all_networks] == [{}] * 4
    assert (found.first.metrics, found.candidate_stage.metrics) == ({}, {})


@pytest.mark.parametrize("digit", [0, 1, 2])
def test_what_learnt_from_lenses_alone_is_still_named(packages, tmp_path, digit):
    write_card(packages[digit], read_card(packages[digit]).model_copy(update={"limits": ("Other.", LENSES_ALONE)}))
    first, *others = average_packages(packages, "mean", tmp_path / "mean").limits
    assert first == LENSES_ALONE
    assert [limit.startswith("Nothing was measured since") for limit in others] == [True]


def test_ensembles_of_other_networks_are_refused(packages, tmp_path):
    with pytest.raises(TrainingError, match="at least two ensembles, got 1"):
        average_packages(packages[:1], "mean", tmp_path / "mean")
    write_cascade(tmp_path / "cascade")
    with pytest.raises(
        TrainingError, match=r"cascade: must have the networks of .*1 to be averaged with it, but A, B, light differ"
    ):
        average_packages([packages[0], tmp_path / "cascade"], "mean", tmp_path / "mean")
    with pytest.raises(TrainingError, match="cascade: must have the networks of"):
        average_packages([*packages[:2], tmp_path / "cascade"], "mean", tmp_path / "mean")
    other = NetworkSpec("A", "equivariant_light", channels("sky_asinh", "H"))
    write_test_package(tmp_path / "other", (other,), 1, geometry="mer10", name="other")
    with pytest.raises(TrainingError, match="but A differ"):
        average_packages([packages[0], tmp_path / "other"], "mean", tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
