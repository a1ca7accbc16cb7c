"""`lensscan yield`, `--fdr` of the commands that read candidates, and the sample of non-lenses, from end to end."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.cli.yields import COLUMNS
from scanner.networks.card_file import read_card
from scanner.networks.nonlens_sample import read_sample
from scanner.review.yields.guarantee import guaranteed
from scanner.review.yields.night import expected_lists, read_night
from simulation.object_blocks import nonlenses
from simulation.scored_objects import score_simulated
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.review.yields.nights import N_ROWS, PURITY, known_night


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return known_night(tmp_path_factory.mktemp("yields"))


@pytest.fixture
def run(lensscan, made):
    """Return a function that runs a command with the night's ensembles, and returns what it prints."""

    def run(*words, code=0):
        done = lensscan(*words, LENSSCAN_ENSEMBLES_DIR=made.ensembles, COLUMNS="200")
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_json_holds_every_list(run, made):
    shown = json.loads(run("yield", made.root, "--night", NIGHT, "--cut", "0.01", "--cut", "0.2", "--json"))
    assert shown == expected_lists(read_night(made.root), (0.01, 0.2)).model_dump(mode="json")
    assert [of["p_lens"] for of in shown["lists"]] == [0.01, 0.2]


def test_the_table_has_a_row_for_each_cut(run, made):
    shown = run("yield", made.root)
    assert f"Night {NIGHT}, {N_ROWS} scored rows" in shown
    assert all(word in shown for word in COLUMNS)
    for of in expected_lists(read_night(made.root)).lists:
        assert f" {of.p_lens:g} " in shown
        assert f" {of.n_listed} " in shown
    assert "as if one object in 2000 is a lens" in shown


def test_a_guaranteed_list_is_queried_and_exported(run, made, tmp_path):
    found = guaranteed(made.root, None, 0.2, tmp_path.__class__(made.ensembles))
    expected = sorted(np.flatnonzero(made.p_lens >= found.least_p_lens).tolist())
    assert 5 < len(expected) < len(made.p_lens) / 10
    shown = json.loads(run("query", made.root, "--fdr", "0.2", "--limit", "2000", "--json"))
    assert sorted(row["object_id"] for row in shown) == expected
    run("export", made.root, tmp_path / "list.parquet", "--fdr", "0.2", "--night", NIGHT)
    assert sorted(pq.read_table(tmp_path / "list.parquet")["object_id"].to_pylist()) == expected
    text = run("query", made.root, "--fdr", "0.2")
    assert f"{min(20, len(expected))} of {len(expected)} candidates" in text
    assert "at most 0.2 of such a list are no lenses" in text


def test_another_survey_is_warned_of_on_stderr(lensscan, made, tmp_path):
    other = known_night(tmp_path, survey=ATLAS)
    file = str(tmp_path / "list.csv")
    commands = (("yield",), ("yield", "--json"), ("query", "--fdr", "0.2", "--json"), ("export", file, "--fdr", "0.2"))
    for command, *options in commands:
        done = lensscan(command, other.root, *options, LENSSCAN_ENSEMBLES_DIR=other.ensembles)
        assert done.stderr.startswith(f"lensscan: warning: {UNCALIBRATED}"), (command, options)
        assert len(done.stderr.splitlines()) == 1
        if command == "yield" and options:
            assert json.loads(done.stdout)["warning"].startswith(UNCALIBRATED)
    assert lensscan("yield", made.root, LENSSCAN_ENSEMBLES_DIR=made.ensembles).stderr == ""


def test_no_list_is_an_error_and_not_an_empty_table(run, made):
    text = run("query", made.root, "--fdr", "0.0001", code=2)
    assert "no list of this night can hold a false discovery rate of 0.0001: with 20000 non-lenses" in text
    assert len(text.strip().splitlines()) == 1


@pytest.mark.parametrize("condition", ["--min-p-lens 0.1", "--subclass single", "--cone 1 2 3", "--plan abc", "--all-plans"])
def test_a_guarantee_goes_with_no_other_condition(run, made, condition):
    text = run("query", made.root, "--fdr", "0.2", *condition.split(), code=2)
    assert "--fdr holds for the whole list of a night: no other condition than --night goes with it" in text


def test_a_guaranteed_list_has_no_other_promise(run, made):
    text = run("query", made.root, "--fdr", "0.2")
    assert "at most 0.2 of such a list are no lenses" in text
    assert "at or above p_lens" not in text
    assert "at or above p_lens" in run("query", made.root)


def test_the_folder_of_the_ensemble_is_asked_for(lensscan, made, tmp_path):
    done = lensscan("query", made.root, "--fdr", "0.2", LENSSCAN_ENSEMBLES_DIR=str(tmp_path))
    assert f"set LENSSCAN_ENSEMBLES_DIR to the folder that holds the folder test; it is {tmp_path} now" in done.stderr


def test_several_nights_need_a_name(run, made, tmp_path):
    shutil.copytree(made.root, tmp_path / "two")
    finished(str(tmp_path / "two"), {"z": {1: 0.9}}, night="2026-11-25", purity=PURITY)
    assert "choose one with --night" in run("yield", tmp_path / "two", code=2)
    assert json.loads(run("yield", tmp_path / "two", "--night", "2026-11-25", "--json"))["n_scored"] == 1
    finished(str(tmp_path / "two"), {"y": {1: 0.9, 2: 0.1}}, night=None, purity=PURITY)
    assert json.loads(run("yield", tmp_path / "two", "--night", "undated", "--json"))["n_scored"] == 2


def test_non_lenses_are_scored_onto_the_card(run, tmp_path):
    card = write_test_package(tmp_path / "mine", SPECS[:1])
    words = ["models", "nonlenses", "--ensemble", tmp_path / "mine", "--n", 6, "--seed", 8, "--workers", 1]
    shown = json.loads(run(*words, "--scores", tmp_path / "scores", "--json"))
    assert (shown["non-lenses"], shown["folder"]) == (6, str(tmp_path / "mine"))
    after = read_card(tmp_path / "mine")
    tail = read_sample(tmp_path / "mine", after)
    table = score_simulated(nonlenses(6, 8, "challenge"), tmp_path / "mine", "torch", str(tmp_path / "again"))
    p_lens = np.sort(table["p_lens"].to_numpy())
    assert tail.p_lens == pytest.approx(p_lens[p_lens >= card.candidate_threshold], rel=1e-4)
    assert (tail.n, tail.least) == (6, card.candidate_threshold)
    assert after.nonlens_sample.description == "n=6, seed=8, geometry challenge, preset euclid"
    assert after.model_copy(update={"nonlens_sample": None}) == card
    assert "6 non-lenses" in (tmp_path / "mine" / "CARD.md").read_text()
    copied = json.loads(run(*words, "--scores", tmp_path / "scores", "--out", tmp_path / "copy", "--json"))
    assert copied["folder"] == str(tmp_path / "copy")
    assert read_card(tmp_path / "copy") == after
    assert read_sample(tmp_path / "copy", after).p_lens.tolist() == tail.p_lens.tolist()
