"""Run the commands and snippets of the README literally, to test that they work."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.docs.desk import write_desk
from tests.docs.pages import ONE_WORKER, ROOT, blocks, run, run_snippet, shell_lines

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Return a folder with the files that the README assumes."""
    desk = write_desk(tmp_path_factory.mktemp("desk"))
    (desk / "manifest.csv").write_text(blocks(README, "csv")[0])
    return desk


def test_the_readme_fits_a_few_screens():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_make_targets_exist():
    lines = [line for line in shell_lines(README) if line.startswith("make ")]
    assert lines == ["make demo", "make test", "make venv"]
    for line in [*lines, *re.findall(r"`(make [a-z ]+)`", README)]:
        run([*shlex.split(line), "-n"], ROOT)


def test_commands_and_snippets_run(lensscan, desk):
    for line in shell_lines(README):
        program, *arguments = shlex.split(line)
        if program != "make":
            assert program.removeprefix(".venv/bin/") == "lensscan"
            done = lensscan(*arguments, cwd=desk, **ONE_WORKER)
            assert (done.returncode, bool(done.stdout.strip())) == (0, True), f"{line}\n{done.stdout}\n{done.stderr}"
    for snippet in blocks(README, "python"):
        assert run_snippet(snippet, desk).strip(), snippet


def test_the_demo_finds_what_it_simulated(tmp_path):
    """The command of `make demo` works."""
    found = json.loads(run(["lensscan", "demo", "--out", "demo-output", "--json"], tmp_path))
    assert found["n_rows"] == 520
    assert found["rows_by_status"] == {"scored": 520}
    assert Path(found["candidates_uri"]).is_file()
    assert (tmp_path / found["picture"]).read_bytes().startswith(b"\x89PNG")
    p_lens = [row["p_lens"] for row in found["top"]]
    assert p_lens == sorted(p_lens, reverse=True)
    # The README shows its beginning.
    assert f"Best {len(p_lens)} of {found['n_candidates']} candidates in 520 galaxies" in README
    assert [row["candidate_id"] for row in found["top"][:3]] == re.findall(r"│ (EUCL \S+) │", README)
    assert f"│ {found['top'][0]['candidate_id']} │ {p_lens[0]:.4f} │" in README
    # Nearly every lens ranks above every galaxy: 0.99 was measured.
    truth = {row["object_id"]: row["kind"] for row in rows_of(tmp_path / "demo-output" / "tiles", "truth.parquet")}
    scores = [(truth[row["object_id"]] != "nonlens", row["p_lens"]) for row in rows_of(tmp_path / "demo-output", "*/plan=*/*")]
    lenses, galaxies = (np.array([p for is_lens, p in scores if is_lens == which]) for which in (True, False))
    assert (len(lenses), len(galaxies)) == (40, 480)
    assert np.mean(lenses[:, None] > galaxies[None, :]) > 0.95


def rows_of(folder, pattern):
    return [row for path in folder.rglob(pattern) for row in pq.read_table(path).to_pylist()]
