"""Run the demo that the README shows; `tests/docs/test_howto.py` runs its other commands and its snippets."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.docs.pages import ONE_WORKER, README, ROOT, run, shell_lines


def test_the_readme_fits_a_few_screens():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_make_targets_exist():
    lines = [line for line in shell_lines(README) if line.startswith("make ")]
    assert lines == ["make demo", "make test", "make venv"]
    for line in [*lines, *re.findall(r"`(make [a-z ]+)`", README)]:
        run([*shlex.split(line), "-n"], ROOT)


def test_the_demo_finds_what_it_simulated(lensscan, tmp_path):
    """The command of `make demo` works."""
    done = lensscan("demo", "--out", "demo-output", "--json", cwd=tmp_path, **ONE_WORKER)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n_rows"] == 520
    assert found["rows_by_status"] == {"scored": 520}
    assert Path(found["candidates_uri"]).is_file()
    assert (tmp_path / found["picture"]).read_bytes().startswith(b"\x89PNG")
    p_lens = [row["p_lens"] for row in found["top"]]
    assert p_lens == sorted(p_lens, reverse=True)
    # The README shows its beginning.
    assert f"Best {len(p_lens)} of {found['n_candidates']} candidates in 520 galaxies" in README
    assert [row["candidate_id"] for row in found["top"][:3]] == re.findall(r"│ (EUCL \S+) │", README)
    shown = f"{p_lens[0]:.4f}" if p_lens[0] < 0.99995 else ">0.999"
    assert f"│ {found['top'][0]['candidate_id']} │ {shown} │" in README
    # Nearly every lens ranks above every galaxy: 0.99 was measured.
    truth = {row["object_id"]: row["kind"] for row in rows_of(tmp_path / "demo-output" / "tiles", "truth.parquet")}
    scores = [(truth[row["object_id"]] != "nonlens", row["p_lens"]) for row in rows_of(tmp_path / "demo-output", "*/plan=*/*")]
    lenses, galaxies = (np.array([p for is_lens, p in scores if is_lens == which]) for which in (True, False))
    assert (len(lenses), len(galaxies)) == (40, 480)
    assert np.mean(lenses[:, None] > galaxies[None, :]) > 0.95


def rows_of(folder, pattern):
    return [row for path in folder.rglob(pattern) for row in pq.read_table(path).to_pylist()]
