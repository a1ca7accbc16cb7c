"""Tests of `lensscan reproduce wilde2022` from the command line to the page, with a kill on the way."""

import json
import shutil
import subprocess
import sys
from inspect import signature

import pytest

from flows.cli.reproduce import wilde2022
from flows.commands.reproduce import OWN, contenders_of, samples_of
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.prevalence import with_prevalence
from tests.faults.harness.patience import wait_for
from tests.shared import PUBLISHED
from training.errors import TrainingError
from training.reproduction import pictures
from training.reproduction.page import reproduction_markdown
from training.reproduction.reproduce import PAPER
from training.reproduction.results import Reproduction

N, SEED = 24, 31


@pytest.fixture
def no_maps(monkeypatch):
    """Leave out the maps and ascents, which take a minute; `test_every_figure_is_drawn` draws them."""
    monkeypatch.setattr(pictures, "_of_maps", lambda *_: [])
    monkeypatch.setattr(pictures, "_of_features", lambda *_: [])
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)


def files_in(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*-*.parquet")}


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path, no_maps, capsys):
    out = tmp_path / "out"
    command = [sys.executable, "-P", "-c", "import lensscan; lensscan.main()"]
    options = ["reproduce", "wilde2022", "--out", str(out), "--n", str(N), "--seed", str(SEED), "--steps", "1"]
    running = subprocess.Popen([*command, *options])
    try:
        wait_for("the first part", lambda: list(out.rglob("paper-*/*.truth.parquet")), 100, running)
    finally:
        running.kill()
        running.wait()
    kept = files_in(out)
    assert not list(out.rglob("own-*/*.truth.parquet"))
    wilde2022(out=out, n=N, seed=SEED, steps=1, json=True)
    results = Reproduction.model_validate(json.loads(capsys.readouterr().out))
    done = files_in(out)
    assert {path: done[path] for path in kept} == kept
    assert len(done) == 2 + 3
    assert [sum(data.n_objects.values()) for data in results.data.values()] == [N, N]
    assert (out / "wilde2022.md").read_text() == reproduction_markdown(results)
    assert f"--n {N} --seed {SEED}" in (out / "wilde2022.md").read_text()
    assert (out / "figures" / "wilde2022_fig6.png").is_file()

    wilde2022(out=out, n=N, seed=SEED, steps=1)
    assert files_in(out) == done
    assert "objects  48" in capsys.readouterr().out


@pytest.fixture
def contenders(tmp_path):
    return contenders_of(tmp_path, None, "ou7-sim", "mer3-cascade")


def test_parts_belong_to_their_seed_and_ensembles(tmp_path, contenders):
    def files(n, seed, ours=contenders["ours"]):
        samples = samples_of(tmp_path, n, seed, {**contenders, "ours": ours})
        return {part.file(label) for sample in samples.values() for part in sample.parts for label in sample.labels}

    with_prevalence(SHIPPED_DIR / "ou7-sim", tmp_path / "other", "ou7-sim", 0.01, None)
    other = contenders_of(tmp_path, None, str(tmp_path / "other"), "mer3-cascade")["ours"]
    assert not files(200, 1) & files(200, 2)
    assert files(200, 1) < files(300, 1)
    assert len(files(200, 1) & files(200, 1, other)) == 2, "the scores of the flagship"


def test_data_sets_are_the_papers_and_ours(tmp_path, contenders):
    samples = samples_of(tmp_path, 10, 1, contenders)
    assert (samples[PAPER].spec.preset, samples[PAPER].spec.geometry) == ("wilde2022", "challenge")
    assert (samples[OWN].spec.preset, samples[OWN].spec.geometry) == ("euclid", "mer")
    assert [c.name for c in samples[PAPER].contenders] == ["ou7-sim"]
    assert [c.name for c in samples[OWN].contenders] == ["ou7-sim", "mer3-cascade"]


@pytest.mark.parametrize(("seed", "name"), [(2611, "ou7-sim"), (8211, "mer3-cascade"), (1810, "mer3-cascade")])
def test_a_seed_that_an_ensemble_knows_is_refused(tmp_path, contenders, seed, name):
    with pytest.raises(TrainingError, match=f"seed must be one that {name} was not trained or calibrated with, got {seed}"):
        samples_of(tmp_path, 10, seed, contenders)


def test_the_default_seed_is_accepted(tmp_path, contenders):
    seed = signature(wilde2022).parameters["seed"].default
    assert [*samples_of(tmp_path, 10, seed, contenders)] == [PAPER, OWN]


@pytest.mark.parametrize(
    ("ensemble", "flagship", "words"),
    [
        ("mer3-sim", "mer3-cascade", "mer3-sim: must have the paper's networks OU-J, .*, got compact-sky"),
        ("ou7-sim", "ou7-sim", "must have different names, got ou7-sim, ou7-sim"),
        ("nosuch", "mer3-cascade", "nosuch: no ensemble of that name"),
    ],
)
def test_ensembles_that_cannot_be_compared_are_refused(tmp_path, ensemble, flagship, words):
    with pytest.raises(PackageError, match=words):
        contenders_of(tmp_path, None, ensemble, flagship)


@pytest.mark.needs_shared("published_ensemble")
def test_published_weights_come_first(tmp_path):
    contenders = contenders_of(tmp_path, PUBLISHED, "ou7-sim", "mer3-cascade")
    samples = samples_of(tmp_path, 10, 1, contenders)
    assert [c.name for c in samples[PAPER].contenders] == ["published", "ou7-sim"]
    assert [c.name for c in samples[OWN].contenders] == ["published", "ou7-sim", "mer3-cascade"]


@pytest.mark.slow
def test_every_figure_is_drawn(tmp_path, capsys):
    wilde2022(out=tmp_path, n=N, seed=SEED, steps=1, json=True)
    results = Reproduction.model_validate(json.loads(capsys.readouterr().out))
    missing = {picture.figure for picture in results.pictures if picture.file is None}
    assert missing == {"13"}
    drawn = [tmp_path / "figures" / picture.file for picture in results.pictures if picture.file]
    assert all(path.is_file() for path in drawn)
    shutil.rmtree(tmp_path / "figures")
    wilde2022(out=tmp_path, n=N, seed=SEED, steps=1)
    assert all(path.is_file() for path in drawn)
