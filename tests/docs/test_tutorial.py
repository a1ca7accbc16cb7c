"""Execute the tutorial: no cell fails, its pictures come out, and the outputs that it stores are those of this program."""

import copy
import sys
import threading
from multiprocessing.connection import Client, Listener

import pytest

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.docs import notebook
from tests.forks import SETTINGS

STABLE = "stable"
"""Tag of the cells whose printed text is the same on every machine."""
N_PICTURES = 4
MOST_BYTES = 1_500_000
PROGRAM = """#!{python}
import os, sys
from multiprocessing.connection import Client

with Client({address!r}) as connection:
    connection.send((sys.argv[1:], os.getcwd()))
    code, out, err = connection.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def stored():
    return notebook.read()


@pytest.fixture
def programs(lensscan, tmp_path_factory):
    """Return a folder with a program `lensscan` that lets this process run its commands, where libraries are imported once."""
    folder = tmp_path_factory.mktemp("programs")
    program = folder / "lensscan"
    variables = {name: value for name, value in notebook.SHELL.items() if name not in SETTINGS}

    def serve():
        while True:
            with listener.accept() as connection:
                arguments, cwd = connection.recv()
                if not arguments:
                    return
                done = lensscan(*arguments, cwd=cwd, **variables)
                connection.send((done.returncode, done.stdout, done.stderr))

    with Listener(family="AF_UNIX") as listener:
        program.write_text(PROGRAM.format(python=sys.executable, address=listener.address))
        program.chmod(0o755)
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield folder
        with Client(listener.address) as last:
            last.send(((), ""))
        server.join(10)


def test_the_tutorial_runs_and_prints_what_it_stores(stored, programs, tmp_path):
    fresh = notebook.execute(copy.deepcopy(stored), tmp_path, programs)
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


def test_sources_name_no_ensemble_and_no_cut(stored):
    """Cells print the name and the cut of the default ensemble, which may change."""
    sources = "\n".join(cell.source for cell in stored.cells)
    cards = [read_card(path.parent) for path in SHIPPED_DIR.glob("*/card.json")]
    cuts = [card.candidate_threshold for card in cards if card.assumed_prevalence]
    assert len(cuts) > 1
    assert not [text for text in (*(card.name for card in cards), *map("{:g}".format, cuts), "p_lens >=") if text in sources]


def n_pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)
