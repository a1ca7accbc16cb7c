"""Test that the installation compiles every loop that the demo calls."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.compile_loops import SMALL, compile_loops, main


def test_a_small_tile_is_simulated_and_scanned(tmp_path):
    summary = compile_loops(tmp_path)
    assert summary.n_rows == SMALL.n_galaxies + SMALL.n_single + SMALL.n_compound
    assert summary.n_candidates > 0, "without a candidate no loop of maps and photometry is compiled"
    assert (tmp_path / "tiles" / SMALL.tile_id).is_dir()


def test_the_makefile_compiles_after_it_installs():
    installation = Path("Makefile").read_text().split("$(STAMP): pyproject.toml\n")[1].split("\n\n")[0]
    assert (
        installation.index("pip install") < installation.index("-m flows.compile_loops") < installation.index("touch $(STAMP)")
    )


def test_a_machine_without_room_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert main() == 2
    assert re.fullmatch(r"lensscan: .*No such file or directory: .*nowhere.*\n", capsys.readouterr().err)


@pytest.mark.slow
def test_a_demo_after_it_compiles_nothing(tmp_path):
    cache = tmp_path / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    lensscan = str(Path(sys.executable).with_name("lensscan"))
    subprocess.run([sys.executable, "-m", "flows.compile_loops"], env=environment, check=True, timeout=300)
    compiled = {path.name for path in cache.rglob("*.nbc")}
    assert len(compiled) > 20, "the loops of simulator and scan"
    subprocess.run([lensscan, "demo", "--out", str(tmp_path / "demo")], env=environment, check=True, timeout=300)
    assert {path.name for path in cache.rglob("*.nbc")} == compiled
