"""Run the commands and snippets of the README literally, to test that they work."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from simulation.products.survey_tile import TileSpec, simulate_tile

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def run(command, cwd):
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shell_lines():
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Return a folder with the files that the README assumes: a tile with lenses, and a manifest with its FITS file."""
    desk = tmp_path_factory.mktemp("desk")
    simulate_tile(
        TileSpec(tile_id="100000001", n_galaxies=4, n_single=4, n_compound=4, side_pixels=900, seed=11), str(desk / "tiles")
    )
    rng = np.random.default_rng(1)
    hdus = [fits.PrimaryHDU()]
    axis = np.arange(220) - 109.5
    galaxy = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / 32) / (32 * np.pi)
    for name, zero_point, noise in (("VIS", 24.6, 0.0026), ("NIR_Y", 29.8, 0.5), ("NIR_J", 30.0, 0.5), ("NIR_H", 29.9, 0.5)):
        pixels = 10 ** (0.4 * (zero_point - 20)) * galaxy + rng.normal(0, noise, galaxy.shape)
        hdus.append(fits.ImageHDU(pixels.astype(np.float32), name=name))
        hdus[-1].header["PIXSCALE"], hdus[-1].header["MAGZERO"] = 0.1, zero_point
    fits.HDUList(hdus).writeto(desk / "field.fits")
    (desk / "manifest.csv").write_text(blocks("csv")[0])
    return desk


def test_make_targets_exist():
    lines = [line for line in shell_lines() if line.startswith("make ")]
    assert lines == ["make demo", "make test"]
    for line in [*lines, "make lint types test"]:
        run([*shlex.split(line), "-n"], ROOT)


@pytest.mark.ray
def test_commands_and_snippets_run(lensscan, desk):
    for line in shell_lines():
        program, *arguments = shlex.split(line)
        if program != "make":
            assert program == "lensscan"
            done = lensscan(*arguments, cwd=desk)
            assert (done.returncode, bool(done.stdout.strip())) == (0, True), f"{line}\n{done.stdout}\n{done.stderr}"
    for snippet in blocks("python"):
        # Arrow's threads may abort a process at exit (apache/arrow#34314): exit without tearing them down.
        code = f"{snippet}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"
        assert run([sys.executable, "-c", code], desk).strip(), snippet


@pytest.mark.ray
def test_the_demo_finds_what_it_simulated(tmp_path, monkeypatch):
    """The command of `make demo` works; without a Prefect server, it starts its own."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    found = json.loads(run(["lensscan", "demo", "--out", "demo-output", "--json"], tmp_path))
    assert found["n_rows"] == 520
    assert found["rows_by_status"] == {"scored": 520}
    assert Path(found["candidates_uri"]).is_file()
    p_lens = [row["p_lens"] for row in found["top"]]
    assert p_lens == sorted(p_lens, reverse=True)
    # Nearly every lens ranks above every galaxy: 0.99 was measured.
    truth = {row["object_id"]: row["kind"] for row in rows_of(tmp_path / "demo-output" / "tiles", "truth.parquet")}
    scores = [(truth[row["object_id"]] != "nonlens", row["p_lens"]) for row in rows_of(tmp_path / "demo-output", "*/plan=*/*")]
    lenses, galaxies = (np.array([p for is_lens, p in scores if is_lens == which]) for which in (True, False))
    assert (len(lenses), len(galaxies)) == (40, 480)
    assert np.mean(lenses[:, None] > galaxies[None, :]) > 0.95


def rows_of(folder, pattern):
    return [row for path in folder.rglob(pattern) for row in pq.read_table(path).to_pylist()]


def test_every_command_in_the_text_exists():
    named = set(re.findall(r"`?lensscan ([a-z][a-z-]+)", README))
    listed = run(["lensscan", "--help"], ROOT)
    assert named
    for command in named:
        assert re.search(rf"│ {command} ", listed), command
