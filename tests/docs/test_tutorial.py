"""Execute the tutorial: no cell fails, its pictures come out, and the outputs that it stores are those of this program."""

import copy

import pytest

from tests.docs import notebook

STABLE = "stable"
"""Tag of the cells whose printed text is the same on every machine."""
N_PICTURES = 4
MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def stored():
    return notebook.read()


@pytest.mark.ray
def test_the_tutorial_runs_and_prints_what_it_stores(stored, tmp_path):
    fresh = notebook.execute(copy.deepcopy(stored), tmp_path)
    pairs = list(zip(notebook.code_cells(stored), notebook.code_cells(fresh), strict=True))
    stable = [pair for pair in pairs if STABLE in pair[0].metadata.get("tags", [])]
    assert len(stable) >= 3
    for before, after in stable:
        assert notebook.printed(after).strip()
        assert notebook.printed(after) == notebook.printed(before), "run make tutorial"
    assert [n_pictures(after) for _, after in pairs] == [n_pictures(before) for before, _ in pairs]


def test_stored_outputs_are_complete_small_and_name_no_machine(stored):
    text = notebook.TUTORIAL.read_text()
    assert len(text) < MOST_BYTES
    assert sum(map(n_pictures, notebook.code_cells(stored))) == N_PICTURES
    assert all(cell.outputs for cell in notebook.code_cells(stored))
    assert not [folder for folder in ("tmp", "work", "root", "home") if f"/{folder}/" in text]


def n_pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)
