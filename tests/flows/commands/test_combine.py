"""Tests of `lensscan models combine` from its arguments to the files of the package."""

import json
from pathlib import Path

import numpy as np
import pytest

from flows.cli.models import combine
from flows.cli.train import train
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.engines import make_engine
from scanner.networks.package import load_scorer
from scanner.networks.training_data_card import TrainingDataCard
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import MER_10
from simulation.object_blocks import nonlenses
from simulation.products.dataset import per_object
from tests.scanner.ensembles import write_test_package
from tests.training.shards import write_shards
from training.cascade_networks import choose_networks
from training.config import PRESETS
from training.errors import TrainingError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Packages of one network each, named light, A, B and K, and two folders of shards."""
    folder = tmp_path_factory.mktemp("combine")
    for number, name in enumerate(("light", "A", "B", "K")):
        spec = NetworkSpec(name, "equivariant_light", channels("sky_asinh", "VIS"))
        write_test_package(folder / name, (spec,), number, geometry="mer10", name=name)
    write_shards(folder / "natural", 80)
    write_shards(folder / "broad", 60)
    return folder


@pytest.mark.parametrize(("first", "last"), [(None, None), ("light", None), ("light", "K")])
def test_an_ensemble_is_written_among_the_users_own(made, tmp_path, monkeypatch, capsys, first, last):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    members = [str(made / name) for name in "AB"]
    given = {"natural": str(made / "natural"), "broad": str(made / "broad"), "name": "mine", "json": True}
    combine(*members, first=first and str(made / first), candidates=last and str(made / last), **given)
    shown = json.loads(capsys.readouterr().out)
    card = read_card(tmp_path / "mine")
    assert shown["networks"] == ", ".join(network.name for network in card.all_networks)
    assert [network.name for network in card.all_networks] == [name for name in (first, "A", "B", last) if name]
    shown_of_last = [of for of in shown if of.startswith("candidates")]
    assert shown_of_last[:2] == (["candidates auroc compound of committee", "candidates auroc compound"] if last else [])
    assert ("first stage excludes below" in shown) == (first is not None)
    if card.early_exit:
        assert shown[f"early exit, {card.early_exit.network}, excludes below"] == f"{card.early_exit.exclude_below:.2e}"
        assert float(shown["both natural nonlenses passed"]) <= float(shown["natural nonlenses passed"])
    assert (tmp_path / "mine" / "CARD.md").read_text().startswith("# mine\n")


def test_the_chosen_engine_runs_the_networks(made, tmp_path, monkeypatch):
    """`auto` would take the best engine of the machine."""
    asked = []

    def engine_of(*given):
        asked.append(given[3])
        return make_engine(*given)

    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    monkeypatch.setattr("scanner.networks.package.make_engine", engine_of)
    combine(str(made / "A"), natural=str(made / "natural"), broad=str(made / "broad"), name="mine")
    assert asked == ["torch", "torch"]


def test_people_read_what_each_stage_passes_and_loses(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    given = {"natural": str(made / "natural"), "broad": str(made / "broad"), "first": str(made / "light")}
    combine(*(str(made / name) for name in "AB"), candidates=str(made / "K"), name="mine", **given)
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    card = read_card(tmp_path / "mine")
    of = card.early_exit.metrics
    assert lines["first stage"].strip().startswith(f"light: {card.first.metrics['natural_nonlenses_passed']:.1%} of natural")
    assert lines["early exit"].strip() == (
        f"{card.early_exit.network}, with the first stage: {of['natural_nonlenses_passed']:.1%} of natural non-lenses pass; "
        f"{of['natural_lenses_lost']:.2%} of the natural and {of['broad_lenses_lost']:.2%} of the broad lenses that the "
        "committee keeps are lost"
    )
    assert lines["candidates"].strip().startswith("K tells the kind; p_lens stays that of the committee.")
    assert lines["default cut"].strip().startswith(f"{card.default_cut:.2g}: ")


def test_a_second_opinion_may_look_at_the_candidates(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    asked = []

    def chosen(*given, **options):
        asked.append((given[3], options))
        return choose_networks(*given, **options)

    monkeypatch.setattr("flows.commands.combine.choose_networks", chosen)
    given = {"natural": str(made / "natural"), "broad": str(made / "broad"), "first": str(made / "light")}
    opinion = str(made / "B")
    combine(str(made / "A"), candidates=str(made / "K"), second_opinion=opinion, name="mine", turns=False, **given)
    assert asked == [(made / "B", {"turns": False})]


def test_a_candidate_network_is_trained_on_lenses_and_added(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "mine"))
    kind = PRESETS["kind"].model_copy(update={"validation_fraction": 0.3, "test_fraction": 0.3})
    monkeypatch.setattr("flows.commands.train.PRESETS", {"kind": kind})
    shards = write_shards(tmp_path / "shards", 80, seed=3, first_id=5000)
    train(shards, out=tmp_path, name="kinds", preset="kind", epochs=1, json=True)
    trained = read_card(Path(json.loads(capsys.readouterr().out)["package"]))
    expected = "Has learnt from lenses alone: p_lens means nothing. lensscan models combine --candidates adds it to a cascade."
    assert trained.limits[0] == expected
    data = {"natural": str(made / "natural"), "broad": str(made / "broad")}
    combine(str(made / "A"), first=str(made / "light"), candidates=str(tmp_path / "kinds"), name="mine", turns=False, **data)
    card = read_card(tmp_path / "mine" / "mine")
    assert card.candidate_stage.network.model_copy(update={"turns": 1}) == trained.networks[0]
    scorer = load_scorer(tmp_path / "mine" / "mine", candidate_threshold=1e-9)
    without = load_scorer(made / "A")
    rng = np.random.default_rng(0)
    stamps = {band: rng.normal(0, 3, (4, 100, 100)).astype(np.float32) for band in MER_10.grids}
    scores = scorer.score(stamps)
    margins = without.logit_margins(stamps)["A"]
    assert scores.p_networks["A"].tolist() == card.p_of_network("A", margins).astype(np.float32).tolist()
    assert (scores.kinds_given_lens != card.combiner.combine({"A": margins}).kinds_given_lens).all()


def test_simulated_non_lenses_calibrate_too(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    data = {"natural": str(made / "natural"), "broad": str(made / "broad"), "json": True}
    stages = {"first": str(made / "light"), "candidates": str(made / "K")}
    combine(str(made / "A"), name="with", nonlenses=3, seed=8, **data, **stages)
    card = read_card(tmp_path / "mine" / "with")
    assert card.training_data.description.endswith("on non-lenses alone: n=3, seed=8, geometry mer10, preset euclid")
    assert "fitted on 83 natural draws" in card.calibration
    assert card.combiner.training_fractions[0] == pytest.approx(23 / 83)
    # Margins that are there are used again, and give the same ensemble.
    (block,) = (tmp_path / "margins-with").iterdir()
    written = block.stat().st_mtime_ns
    combine(str(made / "A"), name="again", nonlenses=3, seed=8, margins=str(tmp_path / "margins-with"), **data, **stages)
    assert block.stat().st_mtime_ns == written
    assert read_card(tmp_path / "mine" / "again").sha256 == card.sha256


def test_shards_are_checked_before_the_simulation(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match="holds no shards"):
        combine(str(made / "A"), natural=str(tmp_path), broad=str(made / "broad"), name="mine", nonlenses=3)
    assert not (tmp_path / "margins-mine").exists()


def test_non_lenses_that_a_network_knows_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    # Other pixels and another number are the same objects, as far as both have them.
    known = (per_object(nonlenses(7, 8, "mer")),)
    data = TrainingDataCard(description="", digest=None, n_objects={}, simulations=known)
    spec = NetworkSpec("known", "equivariant_light", channels("sky_asinh", "VIS"))
    write_test_package(tmp_path / "known", (spec,), geometry="mer10", name="known", training_data=data)
    given = {"natural": str(made / "natural"), "broad": str(made / "broad"), "name": "new", "nonlenses": 3}
    for members in ([made / "A", tmp_path / "known"], [tmp_path / "known"]):
        with pytest.raises(TrainingError, match="seed must be one that known was not trained with, got 8"):
            combine(*map(str, members), first=str(made / "light"), seed=8, **given)
    assert not (tmp_path / "margins-new").exists()
    combine(str(tmp_path / "known"), seed=9, **given)
    made_of = read_card(tmp_path / "mine" / "new").training_data
    assert made_of.simulations[0] == known[0]
    assert known[0] not in made_of.calibrated_on
    # Non-lenses that only calibrated the cascade may calibrate it again.
    combine(str(tmp_path / "mine" / "new"), seed=9, **given | {"name": "newer"})
    assert read_card(tmp_path / "mine" / "newer").training_data.calibrated_on == made_of.calibrated_on
