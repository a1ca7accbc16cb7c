"""`lensscan train --with-grades`: from votes on a catalogue to an ensemble, and what its grades have gained."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from flows.cli.main import app
from flows.commands.graded import graded_shards
from flows.commands.train import train_package
from infra.progress import no_progress
from infra.store.storage import StorageError
from scanner.catalogue.find_units import find_input
from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.networks.card_file import read_card
from scanner.networks.engines import make_engine
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote, subject_of
from scanner.sources.shards import decode_shard
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.kinds import KINDS
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, scores
from tests.training.shards import write_shards
from tests.training.tiny_build import BUILD_CONFIG, OU_H
from training.build import build_ensemble, work_folder
from training.errors import TrainingError
from training.graded import GradedShards
from training.work_lock import LOCK_FILE, locked

FIRST_ID, N_OBJECTS = 7000, 40
GRADERS = ("ann", "bo", "cy")
AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
CONFIG = BUILD_CONFIG.model_copy(update={"networks": (OU_H,)})


def scan(root, shards, night, p_lens):
    """Write the scan of a night in which all objects have a `p_lens`; None rejects them."""
    plan = make_plan(night, EnsembleName(), ScanConfig(candidate_threshold=0.3), find_input(shards).units)
    freeze(plan, root)
    for unit, ids in zip(plan.units, np.array_split(np.arange(N_OBJECTS) + FIRST_ID, 2), strict=True):
        place = {"tile": [unit.unit_id] * len(ids), "night": [night or ""] * len(ids)}
        publish(scores(ids.tolist(), [p_lens] * len(ids), **place), unit, plan, root, "try")
    seal(plan, root)
    show(plan, root)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    return graded_catalogue(tmp_path_factory.mktemp("night"))


def graded_catalogue(folder):
    """Return a sealed catalogue of two shards whose objects all have p_lens 0.4.

    Three graders who never err have graded all objects but the last four.
    """
    root = str(folder / "catalogue")
    scan(root, write_shards(folder / "shards", N_OBJECTS, first_id=FIRST_ID, seed=5), NIGHT, 0.4)
    log = VoteLog(root)
    for number, grader in enumerate(GRADERS):
        for i in range(N_OBJECTS - 4):
            kind = KINDS[i % len(KINDS)]
            vote = Vote(
                act_id=f"{number * 1000 + i:032x}",
                act="grade",
                grader=grader,
                subject=subject_of(FIRST_ID + i),
                object_id=FIRST_ID + i,
                grade="X" if kind == "nonlens" else "A",
                is_compound=kind in KINDS[2:],
                graded_at=AT + timedelta(seconds=i),
            )
            log.append(vote)
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Return an ensemble that learnt from wrong labels, and shards with the right ones."""
    out = tmp_path_factory.mktemp("start")
    wrong = write_shards(out / "wrong", 120, mislabelled=range(1000, 1120))
    build_ensemble(CONFIG, wrong, out, "start")
    return out / "start", write_shards(out / "shards", 120)


def kinds_in(folder):
    shards = [decode_shard(path.read_bytes()) for path in sorted(folder.glob("*.parquet"))]
    return {int(i): kind for s in shards for i, kind in zip(s.object_ids, s.truth["kind"].to_pylist(), strict=True)}


def test_graded_objects_keep_their_pixels_and_answers(graded, tmp_path):
    made = graded_shards(graded, CHALLENGE.name, tmp_path)
    found = kinds_in(made.learnt) | kinds_in(made.held_out)
    of_grades = {"nonlens": "nonlens", "single": "single", "compound_arc": "compound_arc", "double_ring": "compound_arc"}
    assert found == {FIRST_ID + i: of_grades[KINDS[i % len(KINDS)]] for i in range(N_OBJECTS - 4)}
    given = {int(i): image for path in _inputs(graded) for i, image in _images(path)}
    for path in made.learnt.glob("*.parquet"):
        for i, image in _images(path):
            np.testing.assert_array_equal(image, given[int(i)])


def _inputs(root):
    return sorted((Path(root).parent / "shards").glob("*.parquet"))


def _images(path):
    shard = decode_shard(path.read_bytes())
    return zip(shard.object_ids, shard.stamps["H"], strict=True)


def test_objects_whose_files_are_gone_are_counted(tmp_path):
    graded = graded_catalogue(tmp_path)
    shard = _inputs(graded)[0]
    shard.unlink()
    made = graded_shards(graded, CHALLENGE.name, tmp_path / "graded")
    assert made.left_out.n_objects == N_OBJECTS // 2
    assert made.left_out.first_reason.endswith(f"{shard} is gone")


@pytest.mark.parametrize(("night", "p_lens"), [("2026-11-25", None), (None, 0.4)])
def test_pixels_come_from_the_newest_night_that_scored(graded, tmp_path, night, p_lens):
    """A later night rejects the objects, or a scan without a night has lost its files."""
    root, shards = str(tmp_path / "catalogue"), tmp_path / "shards"
    shutil.copytree(graded, root)
    shutil.copytree(_inputs(graded)[0].parent, shards)
    scan(root, str(shards), night, p_lens)
    shutil.rmtree(shards)
    assert graded_shards(root, CHALLENGE.name, tmp_path / "graded").left_out is None


def test_an_error_of_the_store_leaves_no_grades_behind(graded, tmp_path, monkeypatch):
    def fail(_uri):
        raise StorageError("no route to the store")

    monkeypatch.setattr("scanner.catalogue.unit_inputs.info", fail)
    with pytest.raises(StorageError, match="no route to the store"):
        graded_shards(graded, CHALLENGE.name, tmp_path)
    assert not GradedShards(tmp_path).is_complete


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 20)


def test_the_chosen_engine_runs_the_trained_networks(start, tmp_path, monkeypatch):
    """`auto` would take the best engine of the machine."""
    asked = []

    def made(*given):
        asked.append(given[3])
        return make_engine(*given)

    monkeypatch.setattr("flows.commands.train.PRESETS", {"laptop": CONFIG})
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    for module in ("training.publish", "scanner.networks.package"):
        monkeypatch.setattr(f"{module}.make_engine", made)
    package, shards = start
    given = (shards, tmp_path, "mine", "laptop", 1, 1, None, None, None, str(package), None, no_progress)
    train_package(*given)
    # The teacher runs, then each split through each network.
    assert asked == ["torch"] * 3 * len(CONFIG.networks)


def test_training_learns_grades_and_tells_the_gain(graded, start, tmp_path, monkeypatch, capsys):
    package, shards = start
    monkeypatch.setattr("flows.commands.train.PRESETS", {"laptop": CONFIG})
    monkeypatch.setenv("COLUMNS", "140")
    names = ["--out", str(tmp_path), "--name", "mine", "--epochs", "1", "--start-from", str(package)]
    app(["train", shards, *names, "--with-grades", graded], result_action="return_value")
    out = capsys.readouterr().out
    assert "Before and after the grades" in out
    for words in ("graded, held out", "simulated, test split"):
        assert out.count(words) == 2
    told = json.loads((tmp_path / "mine" / "grades.json").read_text())
    # A second call finds the same grades and the same fits.
    result = train_package(shards, tmp_path, "mine", "laptop", 1, 1, str(package), None, None, None, graded, no_progress)
    assert result.gain.model_dump(mode="json") == told
    n_held = len(kinds_in(tmp_path / "mine-work" / "graded" / "held_out"))
    compared = result.gain.graded
    assert compared.n_lenses + compared.n_others == n_held > 5
    n_test = sum(n for name, n in read_card(package).training_data.n_objects.items() if name.startswith("test "))
    assert result.gain.simulated.n_lenses + result.gain.simulated.n_others == n_test
    assert compared.before.auroc < compared.after.auroc
    assert result.gain.simulated.before.auroc < result.gain.simulated.after.auroc
    assert f"{N_OBJECTS - 4 - n_held} graded objects" in read_card(result.package).training_data.description


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"start_from": None}, "give --start-from, and no --teacher"),
        ({"teacher": "mer3-sim"}, "give --start-from, and no --teacher"),
    ],
)
def test_grades_need_an_ensemble_to_start_from(graded, start, tmp_path, options, says):
    package, shards = start
    chosen = {"start_from": str(package), "teacher": None} | options
    with pytest.raises(TrainingError, match=says):
        train_package(
            shards, tmp_path, "mine", "laptop", 1, 1, chosen["start_from"], None, None, chosen["teacher"], graded, no_progress
        )


def test_an_ensemble_of_other_networks_is_not_replaced(start, tmp_path):
    package, shards = start
    before = read_card(package)
    with pytest.raises(TrainingError, match=r"start: holds an ensemble of .*, not of light; choose another --name or --out"):
        train_package(shards, package.parent, "start", "first_stage", 1, 1, None, None, None, None, None, no_progress)
    assert read_card(package) == before


def test_a_second_training_at_once_is_refused(start, tmp_path, monkeypatch):
    monkeypatch.setattr("flows.commands.train.PRESETS", {"laptop": CONFIG})
    _, shards = start
    given = (shards, tmp_path, "mine", "laptop", 1, 1, None, None, None, None, None, no_progress)
    work = work_folder(tmp_path, "mine")
    with locked(work):
        with pytest.raises(TrainingError, match=r"mine-work: another training uses it"):
            train_package(*given)
        assert [path.name for path in work.iterdir()] == [LOCK_FILE]
    assert train_package(*given).ensemble == "mine"


@pytest.mark.parametrize(("teacher", "grades"), [("mer3-sim", None), (None, "catalogue")])
def test_what_learns_from_lenses_alone_needs_lenses(start, tmp_path, teacher, grades):
    package, shards = start
    with pytest.raises(TrainingError, match="the preset kind learns from lenses alone: give no --teacher and no --with-grades"):
        train_package(shards, tmp_path, "mine", "kind", 1, 1, str(package), None, None, teacher, grades, no_progress)


def test_a_catalogue_without_grades_is_an_error(tmp_path_factory, start, tmp_path):
    with pytest.raises(TrainingError, match="holds no grades; give some with `lensscan vet"):
        graded_shards(str(tmp_path), CHALLENGE.name, tmp_path / "graded")
