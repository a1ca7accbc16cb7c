"""Tests of the command line: fast help, an example in each help text, and no traceback for a user's mistake."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flows.cli.main import CLOSED_PIPE
from infra.store.storage import create_if_absent
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from tests.flows.command_names import COMMANDS
from tests.imports_of_commands import heavy_imports

LENSSCAN = str(Path(sys.executable).with_name("lensscan"))


def installed(*args, cwd=None, **env):
    return subprocess.run(
        [LENSSCAN, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_imports_nothing_that_takes_long():
    assert heavy_imports("--help") == set()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_shows_an_example_that_names_the_command(lensscan, command):
    out = lensscan(*command, "--help", COLUMNS="200").stdout
    assert re.search(rf"For example:\s+lensscan {' '.join(command)}", out), out


def test_help_covers_every_command():
    listed = set(re.findall(r"^│ ([a-z][a-z-]+) ", installed("--help").stdout, flags=re.MULTILINE))
    assert listed == {command[0] for command in COMMANDS}


def test_completion_script_can_be_generated(tmp_path):
    done = installed("--install-completion", "--shell", "bash", "--output", tmp_path / "lensscan.bash", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "lensscan.bash").read_text()
    assert "import-published" in script
    assert subprocess.run(["bash", "-n", tmp_path / "lensscan.bash"], check=False).returncode == 0


def test_a_mistake_in_the_installed_command_ends_in_one_line(tmp_path):
    done = installed("score", "missing.csv", "--out", "x.parquet", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lensscan: manifest missing.csv: no such file\n"


@pytest.mark.parametrize("arguments", [["--help"], ["surveys"], ["models", "show", "mer3-sim"]])
def test_a_reader_that_closes_the_pipe_ends_a_command_silently(arguments):
    command = subprocess.Popen([LENSSCAN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    command.stdout.close()
    assert (command.stderr.read(), command.wait(120)) == (b"", CLOSED_PIPE)
    command.stderr.close()


def test_a_broken_connection_is_no_closed_pipe():
    code = "import flows.cli.main as m\ndef app(): raise BrokenPipeError(32, 'Broken pipe', 'store')\nm.app = app; m.main()"
    command = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (command.stderr, command.returncode) == ("lensscan: store: Broken pipe\n", 2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["score", "missing.csv", "--out", "x.parquet"], "missing.csv"),
        (["score", "bad.csv", "--out", "x.parquet"], "object_id"),
        (["score", "good.csv", "--out", "x.parquet", "--ensemble", "nosuch"], "nosuch"),
        (["scan", "empty", "--out", "cat", "--night", "2026-01-01"], "empty"),
        (["query", "nowhere"], "nowhere"),
        (["plan", "nowhere"], "nowhere"),
        (["models", "show", "nosuch"], "nosuch"),
        (["models", "import-published", "empty", "--name", "x"], "OU_"),
        (["evaluate", "empty", "--out", "out"], "holds no shards"),
        (["evaluate", "--out", "out"], "needs either shards, or --counterfactuals N"),
        (["evaluate", "empty", "--counterfactuals", "4"], "needs either shards, or --counterfactuals N"),
        (["models", "combine", "--first", "mer3-sim", "--natural", "a", "--broad", "b", "--name", "x"], "name at least one"),
        (["train", "empty", "--out", "out", "--name", "x", "--networks", "nosuch"], "networks must be among"),
        (["models", "check-maps", "empty", "--ensemble", "mer3-sim"], "holds no shards"),
        (["evaluate", "good.csv", "--ensemble", "nosuch", "--out", "out"], "nosuch"),
        (["inject", "missing.csv", "--out", "out"], "missing.csv"),
        (["inject", "empty", "--out", "out"], "no Euclid MER tile under"),
        (["inject", "good.csv", "--out", "out"], "0 of 1 cutouts could host arcs; the first, 1: missing_file"),
        (["simulate", "--kinds", "quasar", "--out", "out"], "kind must be one of nonlens, single"),
        (["simulate", "--preset", "wilde2022", "--kinds", "spiral", "--out", "out"], "no look-alike but 'twin'"),
        (["simulate", "--psf", "good.csv", "--out", "out"], "good.csv"),
        (["simulate", "--psf", "missing.fits", "--out", "out"], "missing.fits"),
        (["simulate", "--out", "good.csv"], "good.csv: is a file, must be a folder"),
        (["simulate", "--kinds", "", "--out", "out"], "kind must be one of"),
        (["simulate", "--preset", "wilde2022", "--geometry", "mer10", "--out", "out"], "must be challenge or mer, got mer10"),
    ],
)
def test_a_mistake_ends_in_one_line(lensscan, tmp_path, args, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("number,VIS\n1,a.fits\n")
    (tmp_path / "good.csv").write_text("object_id,VIS,Y,J,H\n1,a.fits,a.fits,a.fits,a.fits\n")
    done = lensscan(*args, cwd=tmp_path, LENSSCAN_ENSEMBLES_DIR=str(tmp_path / "ensembles"))
    assert done.returncode == 2
    assert done.stderr.startswith("lensscan: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "x.parquet").exists()


def test_a_wrong_option_is_named(lensscan, tmp_path):
    done = lensscan("scan", "t", "--out", "c", "--night", "2026-13-01", cwd=tmp_path)
    assert done.returncode != 0
    assert "2026-13-01" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_mistake_of_a_simulation_ends_in_one_line(lensscan, tmp_path):
    stamps = {band: np.ones((1, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    table = shard_table(np.array([7]), stamps, {}, CHALLENGE)
    create_if_absent(str(tmp_path / "data" / "shard-00000.parquet"), encode_shard(table), "test")
    done = lensscan("simulate", "--n", 2, "--seed", 2, "--out", tmp_path / "data")
    assert done.returncode == 2
    assert done.stderr.startswith("lensscan: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "shard-00000" in done.stderr


def test_warnings_of_prefect_queues_are_not_shown():
    code = """
import logging, flows.cli.main
def app(**_):
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    for worker in (APILogWorker(), EventsWorker(object, ())):
        worker._logger.warning("Still processing items")
    logging.getLogger("scanner.workers.dispatch").warning("unit a: raised")
flows.cli.main.app = app
flows.cli.main.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "unit a: raised" in done.stderr
    assert "Still processing" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "env", "says"),
    [
        (["models", "list"], {"LENSSCAN_WORKERS": "0"}, "workers"),
        (["score", "good.csv", "--out", "s3://bucket/x.parquet"], {}, "s3://bucket/x.parquet"),
        (["score", "good.csv", "--out", "good.csv/x.parquet"], {}, "good.csv"),
        (["score", "good.csv", "--out", "good.csv"], {}, "not a file of scores"),
        (["models", "import-published", ".", "--name", "ou7-sim"], {}, "shipped"),
        (["models", "restate", "ou7-sim", "--name", "mine", "--prevalence", "1.5"], {}, "got 1.5"),
    ],
)
def test_unusable_settings_and_paths_are_named(lensscan, tmp_path, args, env, says):
    (tmp_path / "good.csv").write_text("object_id,VIS,Y,J,H\n1,a.fits,a.fits,a.fits,a.fits\n")
    done = lensscan(*args, cwd=tmp_path, **env)
    assert done.returncode == 2
    assert done.stderr.startswith("lensscan: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr
