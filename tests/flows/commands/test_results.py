"""The place for results is checked before the work: whose results are there, and whether others can be written."""

import json

import numpy as np
import pytest

from flows.commands.counterfactuals import judge_counterfactuals
from flows.commands.evaluate import evaluate_shards
from flows.commands.probes import probe_ensemble
from flows.commands.results import COUNTERFACTUALS_FILE, EVALUATION_FILE, PROBES_FILE, check_place
from infra.progress import no_progress
from scanner.networks.card_file import write_card
from scanner.networks.errors import PackageError
from scanner.networks.nonlens_sample import NonLensTail, with_sample
from tests.scanner.cascades import candidate_stage, write_cascade
from tests.scanner.ensembles import SPECS, write_test_package
from tests.training.shards import write_shards
from training.errors import TrainingError

OTHER = {"ensemble": "other", "sha256": "f" * 64}


@pytest.fixture
def own(tmp_path):
    """Return the folder of an ensemble of one's own, and its card."""
    return tmp_path / "own", write_test_package(tmp_path / "own", SPECS[:1])


@pytest.fixture(params=["evaluate", "probes", "counterfactuals"])
def run(request, own, tmp_path, monkeypatch):
    """Return a function that evaluates into a folder, and fails before it loads a network."""
    monkeypatch.setattr(f"flows.commands.{request.param}.load_scorer", None)
    package = str(own[0])
    if request.param == "evaluate":
        shards = write_shards(tmp_path / "shards", 3)
        return lambda out: evaluate_shards(shards, package, str(out), no_progress)
    command = {"probes": probe_ensemble, "counterfactuals": judge_counterfactuals}[request.param]
    return lambda out: command(1, package, str(out), no_progress)


def results(folder, file, content):
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("file", [EVALUATION_FILE, PROBES_FILE, COUNTERFACTUALS_FILE])
def test_results_of_another_ensemble_are_not_overwritten(run, own, tmp_path, file):
    results(tmp_path / "out", file, OTHER)
    says = rf"{file}: holds results of other f{{12}}, must be absent or of test {own[1].sha256[:12]}; choose .* --out"
    with pytest.raises(TrainingError, match=says):
        run(tmp_path / "out")
    assert json.loads((tmp_path / "out" / file).read_text()) == OTHER


def test_a_folder_that_cannot_be_written_is_refused_first(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="file/below: cannot be written to: Not a directory"):
        run(tmp_path / "file" / "below")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "own"])
def test_own_and_damaged_results_are_replaced(own, tmp_path, content):
    package, card = own
    written = {"ensemble": "renamed", "sha256": card.sha256} if content == "own" else content
    results(tmp_path / "out", EVALUATION_FILE, written)
    check_place(tmp_path / "out", package, card)


def test_results_of_earlier_weights_beside_new_ones_are_replaced(own, tmp_path):
    package, card = own
    results(package, EVALUATION_FILE, OTHER)
    check_place(package, package, card)
    (tmp_path / "link").symlink_to(package)
    check_place(tmp_path / "link", package, card)


def test_results_with_another_candidate_network_are_of_another_ensemble(tmp_path):
    """Both cascades give the same `p_lens`, and tell the kinds of candidates apart in other ways."""
    other = write_cascade(tmp_path / "plain")
    card = write_cascade(tmp_path / "own", candidate_stage=candidate_stage())
    assert other.lens_sha256 == card.lens_sha256
    results(tmp_path / "out", EVALUATION_FILE, {"ensemble": "renamed", "sha256": card.sha256})
    check_place(tmp_path / "out", tmp_path / "own", card)
    results(tmp_path / "out", PROBES_FILE, {"ensemble": "plain", "sha256": other.sha256})
    with pytest.raises(TrainingError, match=f"holds results of plain {other.sha256[:12]}, must be absent or of test"):
        check_place(tmp_path / "out", tmp_path / "own", card)


def test_a_damaged_sample_is_noticed_before_the_scoring(own, tmp_path, monkeypatch):
    package, card = own
    after = with_sample(package, card, NonLensTail(np.float32([0.75]), 0.5, 9), "drawn")
    write_card(package, after)
    (package / after.nonlens_sample.file).write_bytes(b"damaged")
    monkeypatch.setattr("flows.commands.evaluate.load_scorer", None)
    with pytest.raises(PackageError, match=r"nonlenses-.*\.parquet: sha256 must be"):
        evaluate_shards(write_shards(tmp_path / "shards", 3), str(package), None, no_progress)
