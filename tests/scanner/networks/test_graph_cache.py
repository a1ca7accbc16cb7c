"""Cached graphs compute the same bits as built ones, and whatever is wrong with the cache, the graph is built."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infra.provenance import sha256_bytes
from scanner.networks import graph_cache
from scanner.networks.graph_cache import cache_folder, cached_graph
from scanner.networks.openvino_engine import OpenVinoEngine, works
from scanner.networks.package import load_network, load_scorer
from tests.scanner.engine_inputs import SHIPPED, field_of, inputs_of

pytestmark = pytest.mark.skipif(not works(), reason="OpenVINO does not work on this machine")
PACKAGE, CARD = SHIPPED["equivariant-centre"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give each test an empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Loader:
    """Loads the network, and counts how often."""

    def __init__(self):
        self.n_loaded = 0

    def __call__(self):
        self.n_loaded += 1
        return load_network(PACKAGE, CARD)


def logits(network):
    return OpenVinoEngine(network, len(CARD.channels), CARD.field_pixels, threads=1).logits(field_of(inputs_of(CARD, 20), CARD))


def files():
    return sorted(cache_folder().glob("*"))


def test_the_second_graph_is_read_and_computes_the_same_bits():
    load = Loader()
    first, second = (cached_graph(CARD, load) for _ in range(2))
    assert load.n_loaded == 1
    expected = logits(load_network(PACKAGE, CARD))
    assert np.ptp(expected) > 0.1
    assert np.array_equal(logits(first), expected)
    assert np.array_equal(logits(second), expected)


@pytest.mark.parametrize("what", ["weights", "channels", "code", "openvino", "batch"])
def test_another_network_or_version_is_built(monkeypatch, what):
    load = Loader()
    cached_graph(CARD, load)
    card = CARD
    if what == "weights":
        card = CARD.model_copy(update={"sha256": "f" * 64})
    if what == "channels":
        card = CARD.model_copy(update={"channels": CARD.channels[::-1]})
    if what == "code":
        monkeypatch.setattr(graph_cache, "code_version", lambda: "0.0.0+other")
    if what == "openvino":
        monkeypatch.setattr("openvino.__version__", "other")
    if what == "batch":
        monkeypatch.setattr("scanner.networks.openvino_engine.BATCH", 4)
    cached_graph(card, load)
    assert load.n_loaded == 2
    assert len(files()) == 2


DAMAGES = {
    "cut": lambda content: content[:-1],
    "changed": lambda content: content[:90] + b"X" + content[91:],
    "changed head": lambda content: content[:5] + b"X" + content[6:],
    "empty": lambda content: content[:0],
    "no head": lambda content: b"[]\n" + content,
    "upper case": bytes.upper,
    "no graph": lambda _: sha256_bytes(b"2\nno").encode() + b"\n2\nno",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_replaced(damage):
    load = Loader()
    cached_graph(CARD, load)
    (path,) = files()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    cached_graph(CARD, load)
    assert load.n_loaded == 2
    cached_graph(CARD, load)
    assert load.n_loaded == 2


@pytest.mark.parametrize("who", ["group", "others", "another owner"])
def test_a_folder_that_others_can_write_to_is_not_used(monkeypatch, who):
    load = Loader()
    cached_graph(CARD, load)
    cache_folder().chmod({"group": 0o720, "others": 0o702, "another owner": 0o700}[who])
    if who == "another owner":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    cached_graph(CARD, load)
    assert load.n_loaded == 2
    cached_graph(CARD.model_copy(update={"sha256": "f" * 64}), load)
    assert len(files()) == 1


def test_the_folder_is_private():
    cached_graph(CARD, Loader())
    assert cache_folder().stat().st_mode & 0o077 == 0


def test_the_cache_is_in_the_home_folder_by_default(monkeypatch):
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        assert cache_folder() == Path.home() / ".cache" / "lensscan" / "graphs"


def test_a_cache_that_cannot_be_written_is_no_error(home):
    (home / "lensscan").write_text("a file where the folder should be")
    load = Loader()
    assert logits(cached_graph(CARD, load)).shape == (20, len(CARD.classes))
    assert load.n_loaded == 1


def test_the_last_used_graphs_are_kept(monkeypatch):
    monkeypatch.setattr(graph_cache, "MOST_FILES", 2)
    load = Loader()
    a, b, c = (CARD.model_copy(update={"sha256": letter * 64}) for letter in "abc")
    for when, card in enumerate((a, b)):
        before = files()
        cached_graph(card, load)
        (path,) = set(files()).difference(before)
        os.utime(path, (when, when))
    for card in (a, c):
        cached_graph(card, load)
    assert len(files()) == 2
    for card in (a, c):
        cached_graph(card, load)
    assert load.n_loaded == 3


def test_a_worker_that_finds_its_graphs_needs_no_torch():
    load_scorer(PACKAGE, "openvino")
    assert files()
    code = (
        "import sys; from pathlib import Path; from scanner.networks.package import load_scorer; "
        "import scanner.workers.unit_scanner; "
        f"load_scorer(Path({str(PACKAGE)!r}), 'openvino'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
