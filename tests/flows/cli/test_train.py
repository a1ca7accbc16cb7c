"""`lensscan train` prints the package, and with grades both ensembles on the same objects."""

import json
from pathlib import Path

import numpy as np
import pytest

from flows.cli.train import GAIN_COLUMNS, train
from flows.commands.train import TrainResult
from training.grade_gain import Compared, GradeGain, separation
from training.graded import LeftOut

IS_LENS = np.array([1, 0, 1, 0], bool)
GAIN = GradeGain(
    graded=Compared(
        n_lenses=2,
        n_others=2,
        before=separation(np.array([0.9, 0.8, 0.1, 0.2]), IS_LENS),
        after=separation(np.array([0.9, 0.1, 0.8, 0.2]), IS_LENS),
    ),
    simulated=Compared(n_lenses=0, n_others=0, before=None, after=None),
)


@pytest.fixture
def trained(monkeypatch):
    """Return a function that makes the training end at once, with a gain or without."""

    def end(gain, left_out=None):
        result = TrainResult(ensemble="new", package=Path("runs/new"), test_auroc=0.5, gain=gain, left_out=left_out)
        monkeypatch.setattr("flows.commands.train.train_package", lambda **_: result)

    monkeypatch.setenv("COLUMNS", "150")
    return end


def test_grades_add_a_table_with_four_rows(trained, capsys):
    trained(GAIN)
    train("shards", out=Path("runs"), name="new", with_grades="catalogue")
    out = capsys.readouterr().out
    assert "runs/new" in out
    assert "gain" not in out
    for name in GAIN_COLUMNS:
        assert name in out
    rows = [line for line in out.splitlines() if "graded, held out" in line or "simulated, test split" in line]
    assert len(rows) == 4
    assert "0.500" in rows[0]
    assert "1.000" in rows[1]


def test_json_holds_the_gain(trained, capsys):
    trained(GAIN)
    train("shards", out=Path("runs"), name="new", json=True)
    assert json.loads(capsys.readouterr().out)["gain"] == GAIN.model_dump(mode="json")


def test_objects_that_are_left_out_give_a_warning(trained, capsys):
    gone = LeftOut(n_objects=3, first_reason="unit a: shard a is gone")
    trained(GAIN, gone)
    train("shards", out=Path("runs"), name="new", with_grades="catalogue", json=True)
    told = capsys.readouterr()
    assert told.err == f"lensscan: warning: {gone.warning}\n"
    assert json.loads(told.out)["left_out"] == gone.model_dump()


def test_grades_of_which_none_is_held_out_give_a_warning(trained, capsys):
    trained(GAIN)
    train("shards", out=Path("runs"), name="new", with_grades="catalogue", json=True)
    assert "warning" not in capsys.readouterr().err
    trained(GAIN.model_copy(update={"graded": GAIN.simulated}))
    train("shards", out=Path("runs"), name="new", with_grades="catalogue", json=True)
    assert capsys.readouterr().err.startswith("lensscan: warning: no graded object is held out, ")
