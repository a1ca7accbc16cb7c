"""Tests of `lensscan evaluate` on shards that the ensemble was trained on, and on others."""

import json
from pathlib import Path

import numpy as np
import pytest

import flows.commands.evaluate
from flows.commands.evaluate import evaluate_shards, record_evaluation
from infra.progress import no_progress
from scanner.networks.card_file import read_card, write_card
from scanner.networks.engines import resolve_engine
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail, with_sample
from scanner.networks.package import load_scorer
from scanner.networks.prevalence import with_prevalence
from scanner.networks.training_data_card import TrainingDataCard
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard
from tests.scanner.ensembles import SPECS, add_metric, write_test_package
from tests.training.shards import state
from training.errors import TrainingError
from training.evaluation.cuts import CUTS
from training.evaluation.evaluate import Evaluation, nonlens_scores
from training.evaluation.matched_rates import matched_metrics
from training.evaluation.score_correlation import correlation_metrics
from training.evaluation.shard_scores import score_shards, shard_footers, shards_digest
from training.evaluation.stated_data import simulations


@pytest.fixture(scope="module")
def shard():
    return encode_shard(simulate_shard(DatasetSpec(n=40, seed=4), 0))


@pytest.fixture
def shards(shard, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(shard)
    return tmp_path / "shards"


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr("flows.commands.evaluate.draw_scored", lambda *_: None)


def write_package(folder, digest, data_sets=()):
    data = TrainingDataCard(description="", digest=digest, n_objects={}, data_sets=data_sets)
    return write_test_package(folder, SPECS[:1], training_data=data)


@pytest.mark.parametrize("one_of_many", [False, True])
def test_training_shards_are_refused_before_they_are_scored(shards, tmp_path, monkeypatch, one_of_many):
    """The digest of an ensemble with grades, and of a cascade, is not that of any one of its data sets."""
    own, other = shards_digest(map(str, shards.iterdir())), "f" * 64
    write_package(tmp_path / "trained", other if one_of_many else own, (other, own) if one_of_many else ())
    monkeypatch.setattr(flows.commands.evaluate, "load_scorer", None)
    with pytest.raises(TrainingError, match=rf"{shards}: test was trained or calibrated on these shards; evaluate it on"):
        evaluate_shards(str(shards), str(tmp_path / "trained"), str(tmp_path / "out"), no_progress)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("digest", [None, "f" * 64])
def test_other_shards_are_evaluated_beside_the_weights(shards, tmp_path, digest, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    card = write_package(tmp_path / "trained", digest)
    evaluation, folder = evaluate_shards(str(shards), str(tmp_path / "trained"), None, no_progress)
    assert folder == tmp_path / "trained"
    assert list(folder.glob("*.png"))
    written = json.loads((folder / "evaluation.json").read_text())
    assert (written["ensemble"], written["sha256"]) == ("test", card.sha256)
    assert sum(evaluation.n_objects.values()) == 40
    assert np.isfinite(evaluation.overall["auroc"].value)
    assert "(n=40, seed=4, geometry challenge, preset euclid)" in (folder / "EVALUATION.md").read_text()
    metrics = {**card.metrics, **matched_metrics(evaluation.matched)}
    assert read_card(folder) == card.model_copy(update={"metrics": metrics})


def test_a_folder_on_s3_is_refused_before_the_work(shards, tmp_path, monkeypatch):
    write_package(tmp_path / "mine", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flows.commands.evaluate, "load_scorer", None)
    with pytest.raises(TrainingError, match="s3://bucket/results: is on S3"):
        evaluate_shards(str(shards), str(tmp_path / "mine"), "s3://bucket/results", no_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "shards"]


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(("out", "is_written"), [(None, True), ("elsewhere", False)])
def test_cuts_are_written_on_the_card_beside_the_weights(shards, tmp_path, monkeypatch, out, is_written):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    with_prevalence(SHIPPED_DIR / "mer3-sim", tmp_path / "mine", "mine", 0.01, None)
    before = read_card(tmp_path / "mine")
    chosen = str(tmp_path / out) if out else None
    state(shards, geometry="mer10")
    evaluation, _ = evaluate_shards(str(shards), str(tmp_path / "mine"), chosen, no_progress)
    after = read_card(tmp_path / "mine")
    assert evaluation.prevalence == 0.01
    # The ensemble's own cut, twice its prevalence, is one more than the usual eight.
    assert [cut.p_lens for cut in evaluation.cuts] == sorted([*CUTS, 0.02])
    figures = {**matched_metrics(evaluation.matched), **correlation_metrics(evaluation.correlations)} if is_written else {}
    metrics = {**before.metrics, **figures}
    assert after == before.model_copy(update={"cuts": evaluation.cuts if is_written else (), "metrics": metrics})
    assert len(evaluation.correlations) == 3
    assert all(cut.natural_recall for cut in evaluation.cuts)
    assert (tmp_path / "mine" / "CARD.md").is_file() == is_written
    assert not list(tmp_path.glob("elsewhere/card.json"))


def test_a_second_evaluation_replaces_all_of_its_figures(tmp_path):
    """A recall that the second evaluation cannot give must not stay on the card."""
    card = with_prevalence(SHIPPED_DIR / "mer3-sim", tmp_path / "mine", "mine", 0.01, None)
    old = {"recall_single_at_false_positives_0.0001": 0.5, "matched_nonlenses_single": 9.0, "spearman_lenses_a_b": 0.1}
    write_card(tmp_path / "mine", card.model_copy(update={"metrics": {**card.metrics, **old}}))
    empty = Evaluation(n_objects={}, n_rejected={}, prevalence=0.01, overall={}, networks={}, groups=(), cuts=())
    record_evaluation(tmp_path / "mine", card, empty)
    assert read_card(tmp_path / "mine").metrics == card.metrics


def meanwhile(monkeypatch, change):
    """Let another command change the ensemble while its scores are compared with the truth."""

    def evaluate_scores(*given):
        change()
        return Evaluation(n_objects={}, n_rejected={}, prevalence=None, overall={}, networks={}, groups=(), cuts=())

    monkeypatch.setattr(flows.commands.evaluate, "evaluate_scores", evaluate_scores)


@pytest.mark.usefixtures("no_plots")
def test_metrics_written_meanwhile_stay(shards, tmp_path, monkeypatch):
    write_package(tmp_path / "mine", None)
    meanwhile(monkeypatch, lambda: add_metric(tmp_path / "mine"))
    evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress)
    assert read_card(tmp_path / "mine").metrics["of_another_command"] == 0.5


@pytest.mark.usefixtures("no_plots")
def test_a_failed_write_leaves_the_earlier_results(shards, tmp_path, monkeypatch):
    write_package(tmp_path / "mine", None)
    (tmp_path / "mine" / "evaluation.json").write_text("earlier")
    meanwhile(monkeypatch, lambda: None)
    monkeypatch.setattr(Path, "write_text", lambda self, *_, **__: self.write_bytes(b"{") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress)
    assert (tmp_path / "mine" / "evaluation.json").read_bytes() == b"earlier"


@pytest.mark.usefixtures("no_plots")
def test_the_card_of_a_new_ensemble_stays(shards, tmp_path, monkeypatch):
    """A training that ends meanwhile may have put other weights there."""
    write_package(tmp_path / "mine", None)
    meanwhile(monkeypatch, lambda: write_test_package(tmp_path / "mine", SPECS[1:2]))
    with pytest.raises(PackageError, match="mine: the card must still be that of test"):
        evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress)
    assert [network.name for network in read_card(tmp_path / "mine").networks] == ["OU-66"]


def test_the_chosen_engine_scores_the_objects(shards, tmp_path, monkeypatch):
    write_package(tmp_path / "mine", None)
    asked = []
    monkeypatch.setenv("LENSSCAN_ENGINE", "auto")
    monkeypatch.setattr(flows.commands.evaluate, "load_scorer", lambda _, engine: asked.append(engine) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress)
    assert asked == [resolve_engine("auto")]


def test_the_sample_of_non_lenses_sets_the_thresholds(shards, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("flows.commands.evaluate.draw_scored", lambda *given: drawn.append(given[-1].n))
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    card = write_package(tmp_path / "mine", None)
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    write_card(tmp_path / "mine", with_sample(tmp_path / "mine", card, NonLensTail.of(scores, 0.5), ""))
    evaluation, _ = evaluate_shards(str(shards), str(tmp_path / "mine"), str(tmp_path / "out"), no_progress)
    assert {of.n_nonlenses for of in evaluation.matched} == {*drawn} == {1000}
    by_rate = {of.rate: of.recall for of in evaluation.matched}
    # Ten of a thousand non-lenses pass at 0.01; one would at 0.001, which is too few.
    assert by_rate[0.01] is not None
    assert by_rate[0.001] is by_rate[0.0001] is None


@pytest.mark.usefixtures("no_plots")
def test_thresholds_of_other_shards_leave_the_card(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    before = write_package(tmp_path / "mine", None)
    natural = tmp_path / "natural"
    natural.mkdir()
    (natural / "a.parquet").write_bytes(encode_shard(simulate_shard(DatasetSpec(n=3, seed=5, kinds=(("nonlens", 1.0),)), 0)))
    _, folder = evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress, str(natural))
    assert json.loads((folder / "evaluation.json").read_text())["thresholds_from"] == str(natural)
    assert read_card(folder) == before


@pytest.mark.slow
def test_thresholds_of_natural_shards_are_used_and_named(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    (tmp_path / "natural").mkdir()
    content = encode_shard(simulate_shard(DatasetSpec(n=30, seed=5, kinds=(("nonlens", 1.0),)), 0))
    (tmp_path / "natural" / "shard-00000.parquet").write_bytes(content)
    with_prevalence(SHIPPED_DIR / "ou7-sim", tmp_path / "mine", "mine", 0.01, None)
    steps = []
    evaluation, folder = evaluate_shards(
        str(shards), str(tmp_path / "mine"), None, lambda *step: steps.append(step), str(tmp_path / "natural")
    )
    assert steps[-1] == (70, 70)
    natural = str(tmp_path / "natural")
    assert json.loads((folder / "evaluation.json").read_text())["thresholds_from"] == natural
    assert f"of all non-lenses of {natural} (n=30, seed=5" in (folder / "EVALUATION.md").read_text()
    scorer = load_scorer(tmp_path / "mine")
    others = np.sort(nonlens_scores(*score_shards(shard_footers(natural), scorer, no_progress)))[::-1]
    scores, truth = score_shards(shard_footers(str(shards)), scorer, no_progress)
    p, kinds = scores["p_lens"].to_numpy(), np.array(truth["kind"].to_pylist())
    assert evaluation.overall["recall_single_at_0.05"].value == (p[kinds == "single"] > others[len(others) // 20]).mean()
    # Cuts on the card are those of a natural mixture.
    assert read_card(folder).cuts == ()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"preset": "broad"}, "purity needs natural draws"),
        ({"pairs": True}, "purity needs natural draws, and these hold each lens again without its arcs"),
        ({"geometry": "mer10"}, "read stamps of the geometry challenge"),
    ],
)
def test_the_purity_of_no_sky_stays_off_the_card(tmp_path, monkeypatch, caplog, spec, reason):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "a.parquet").write_bytes(encode_shard(simulate_shard(DatasetSpec(n=20, seed=4, **spec), 0)))
    before = write_package(tmp_path / "mine", None)
    _, folder = evaluate_shards(str(shards), str(tmp_path / "mine"), None, no_progress)
    assert read_card(folder) == before
    assert (folder / "EVALUATION.md").exists()
    assert f"{reason}" in caplog.text
    assert "the purity on the card of test stays as it is" in caplog.text


def test_stamps_of_mosaics_give_purity_to_any_networks(tmp_path, monkeypatch):
    """A scan regrids stamps of MER mosaics to the pixels of `challenge` as an evaluation does."""
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
    (tmp_path / "shards").mkdir()
    content = encode_shard(simulate_shard(DatasetSpec(n=20, seed=4, geometry="mer"), 0))
    (tmp_path / "shards" / "a.parquet").write_bytes(content)
    before = write_package(tmp_path / "mine", None)
    evaluation, folder = evaluate_shards(str(tmp_path / "shards"), str(tmp_path / "mine"), None, no_progress)
    assert before.geometry == "challenge"
    assert read_card(folder).metrics == {**before.metrics, **matched_metrics(evaluation.matched)}


def test_natural_shards_of_the_calibration_are_refused(shards, tmp_path, monkeypatch):
    (tmp_path / "natural").mkdir()
    (tmp_path / "natural" / "a.parquet").write_bytes(encode_shard(simulate_shard(DatasetSpec(n=3, seed=5), 0)))
    monkeypatch.setattr(flows.commands.evaluate, "load_scorer", None)
    natural = shard_footers(str(tmp_path / "natural"))
    known = {"digest": shards_digest(natural)}, {"digest": "f" * 64, "simulations": simulations(natural.values())}
    for name, data in zip(("digest", "simulation"), known, strict=True):
        trained = TrainingDataCard(description="", n_objects={}, **data)
        write_test_package(tmp_path / name, SPECS[:1], training_data=trained)
        with pytest.raises(TrainingError, match=r"natural: test was trained or calibrated on .*; evaluate it on "):
            evaluate_shards(str(shards), str(tmp_path / name), None, no_progress, str(tmp_path / "natural"))


def test_objects_of_a_training_are_refused_in_other_shards(shards, tmp_path):
    told = simulations(shard_footers(str(shards)).values())
    data = TrainingDataCard(description="", digest="f" * 64, n_objects={}, simulations=told)
    write_test_package(tmp_path / "mine", SPECS[:1], training_data=data)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.parquet").write_bytes(encode_shard(simulate_shard(DatasetSpec(n=3, seed=4), 0)))
    with pytest.raises(TrainingError, match=r"test was trained or calibrated on objects of this simulation \(seed=4, "):
        evaluate_shards(str(tmp_path / "other"), str(tmp_path / "mine"), str(tmp_path / "out"), no_progress)
    assert not (tmp_path / "out").exists()
