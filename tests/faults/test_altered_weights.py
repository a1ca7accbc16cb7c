"""Altered, swapped or malicious weights are refused before a network runs; nothing is executed or committed."""

import hashlib
import io
import json
import os
import pickle
from datetime import date

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from infra.store.storage import list_files
from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.networks import package as module
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.package import load_package
from scanner.networks.published import PAPER_NETWORKS, read_published, weights_file
from scanner.preprocess.channel import channels
from scanner.scan.request import ScanRequest
from scanner.workers import run
from scanner.workers.run import scan_night
from scanner.workers.unit_scanner import UnitScanner, WorkerMismatchError
from tests.scanner.ensembles import networks, write_test_package
from tests.tiles import write_tile

FIRST = "OU-H.safetensors"
SPECS = (NetworkSpec("OU-H", "ou66", channels("min_max", "H")), NetworkSpec("OU-VIS", "ou66", channels("min_max", "VIS")))
OTHER = (NetworkSpec("OU-H", "ou66", channels("min_max", "H", "VIS")),)


@pytest.fixture
def folder(tmp_path):
    write_test_package(tmp_path / "pack", SPECS)
    return tmp_path / "pack"


@pytest.fixture
def engines(monkeypatch):
    """Return the list of engines that were made."""
    made = []
    make_engine = module.make_engine
    monkeypatch.setattr(module, "make_engine", lambda *args: made.append(args) or make_engine(*args))
    return made


class Harm:
    """An object that creates a marker file when it is unpickled."""

    def __init__(self, marker):
        self._command = f"touch '{marker}'"

    def __reduce__(self):
        return os.system, (self._command,)


def edit_card(folder, change):
    content = json.loads((folder / "card.json").read_text())
    change(content)
    (folder / "card.json").write_text(json.dumps(content))


def put(folder, data):
    """Replace the first network's weights, and put the new digest on the card, as a forger would."""
    (folder / FIRST).write_bytes(data)
    edit_card(folder, lambda card: card["networks"][0].update(sha256=hashlib.sha256(data).hexdigest()))


@pytest.mark.faults
@pytest.mark.fault(30)
def test_a_flipped_bit_is_refused_before_any_network_runs(folder, engines, measured):
    rng = np.random.default_rng(0)
    flips = 0
    for path in sorted(folder.glob("*.safetensors")):
        good = path.read_bytes()
        for at in (0, 7, 8, 40, len(good) - 1, *rng.integers(0, len(good), 20)):
            bad = bytearray(good)
            bad[at] ^= 1 << rng.integers(8)
            path.write_bytes(bad)
            with pytest.raises(
                PackageError, match=rf"{path.name}: sha256 must be [0-9a-f]{{64}} as on the card, got [0-9a-f]{{64}}"
            ):
                load_package(folder)
            flips += 1
        path.write_bytes(good[:-1])
        with pytest.raises(PackageError, match="sha256"):
            load_package(folder)
        path.write_bytes(good)
    assert engines == []
    load_package(folder)
    measured(runs=flips, note="a bit flipped anywhere in any weights file: refused before a network runs")


def torch_file(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def tensors(dtype="F32", shape=(1,), ends=(0, 4), data=b""):
    """Return a safetensors file whose header describes one tensor."""
    text = json.dumps({"0.bias": {"dtype": dtype, "shape": shape, "data_offsets": ends}}).encode()
    return len(text).to_bytes(8, "little") + text + data


FORGED = {
    "a pickle": (lambda marker: pickle.dumps(Harm(marker)), "not a safetensors file"),
    "a torch file": (lambda marker: torch_file(Harm(marker)), "not a safetensors file"),
    "an endless header": (lambda _: (2**60).to_bytes(8, "little") + b"{}", "not a safetensors file"),
    "a tensor beyond the end": (lambda _: tensors(shape=[9], ends=[0, 36]), "not a safetensors file"),
    "a huge tensor": (lambda _: tensors(shape=[2**40, 2**40], ends=[0, 0]), "not a safetensors file"),
    "a tensor before the start": (lambda _: tensors(ends=[-4, 0]), "not a safetensors file"),
    "an unknown type": (lambda _: tensors("F4", [2], [0, 1], b"1"), "not a safetensors file"),
    "nothing": (lambda _: b"", "not a safetensors file"),
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("kind", FORGED)
def test_forged_weights_are_refused_and_never_executed(folder, tmp_path, engines, kind):
    marker = tmp_path / "marker"
    forge, says = FORGED[kind]
    put(folder, forge(marker))
    with pytest.raises(PackageError, match=rf"{FIRST}: {says}"):
        load_package(folder)
    assert not marker.exists()
    assert engines == []


def test_the_pickle_would_do_harm(tmp_path):
    pickle.loads(pickle.dumps(Harm(tmp_path / "marker")))  # noqa: S301 - the test above relies on this
    assert (tmp_path / "marker").exists()


ALTERED = {
    "not a number": (lambda s: s["0.bias"].fill_(torch.nan), r"0\.bias must be finite, got 50 values that are not"),
    "infinite": (lambda s: s["4.bias"][0].fill_(torch.inf), r"4\.bias must be finite, got 1 values that are not"),
    "one tensor more": (lambda s: s.update(more=torch.zeros(2**20)), r"missing \[\], unknown \['more'\]"),
    "half precision": (lambda s: s.update({"0.bias": s["0.bias"].half()}), r"0\.bias must be torch.float32"),
    "another architecture": (lambda s: s.clear() or s.update(networks(OTHER)["OU-H"].state_dict()), "architecture|must be"),
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("kind", ALTERED)
def test_altered_tensors_with_a_matching_digest_are_refused(folder, engines, kind):
    change, says = ALTERED[kind]
    state = load_file(folder / FIRST)
    change(state)
    put(folder, save(state))
    with pytest.raises(PackageError, match=says) as refused:
        load_package(folder)
    assert FIRST in str(refused.value)
    assert engines == []


CARDS = {
    "an older format": (lambda card: card.update(format_version=1), "format_version: .*2, got 1"),
    "another architecture": (lambda card: card["networks"][0].update(architecture="ou200", input_pixels=200), "n_parameters"),
    "the digest of the other": (
        lambda card: card["networks"][0].update(sha256=card["networks"][1]["sha256"]),
        "sha256 must be",
    ),
    "deep lists": (lambda card: card.update(limits=deep(900)), "card.json"),
}


def deep(n):
    return [deep(n - 1)] if n else []


@pytest.mark.fault(30)
@pytest.mark.parametrize("kind", CARDS)
def test_a_card_that_does_not_match_is_refused(folder, engines, kind):
    change, says = CARDS[kind]
    edit_card(folder, change)
    with pytest.raises(PackageError, match=says):
        load_package(folder)
    assert engines == []


@pytest.mark.fault(30)
@pytest.mark.parametrize(("name", "n_bytes"), [("card.json", 2**24), (FIRST, 2**30)])
def test_files_that_are_too_large_are_refused_unread(folder, name, n_bytes):
    os.truncate(folder / name, 10**12)
    with pytest.raises(PackageError, match=rf"{name}: must have at most {n_bytes} bytes, got 1000000000000"):
        load_package(folder)


@pytest.mark.fault(30)
def test_a_published_file_is_never_unpickled(tmp_path):
    spec = PAPER_NETWORKS[0]
    for content in (pickle.dumps(Harm(tmp_path / "marker")), torch_file({"layer.0.weight": Harm(tmp_path / "marker")})):
        (tmp_path / weights_file(spec)).write_bytes(content)
        with pytest.raises(PackageError, match="damaged or not a state dict"):
            read_published(tmp_path, spec)
    assert not (tmp_path / "marker").exists()


@pytest.mark.fault(30)
def test_a_night_with_altered_weights_commits_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "scan_pool", None)
    write_tile(tmp_path / "tiles", 1, 2)
    data = bytearray((folder / FIRST).read_bytes())
    data[-1] ^= 1
    (folder / FIRST).write_bytes(data)
    with pytest.raises(PackageError, match=rf"{FIRST}: sha256 must be"):
        scan_night(
            ScanRequest(input_uri=str(tmp_path / "tiles"), night=date(2026, 11, 24), package=folder), str(tmp_path / "root")
        )
    assert list_files(str(tmp_path / "root")) == []


@pytest.mark.fault(30)
def test_a_worker_refuses_a_package_outside_its_plan(folder, tmp_path):
    """The worker compares the card and, if the card is the plan's, the weights."""
    write_tile(tmp_path / "tiles", 1, 2)
    plan = build_plan(str(tmp_path / "tiles"), "2026-11-24", read_card(folder), ScanConfig(engine="torch"))
    other = write_test_package(tmp_path / "other", SPECS, seed=1)
    with pytest.raises(
        WorkerMismatchError, match=f"needs ensemble {plan.ensemble_sha256[:12]}, .*other holds {other.sha256[:12]}"
    ):
        UnitScanner(plan, tmp_path / "other", str(tmp_path / "root"), 1)
    (tmp_path / "other" / "card.json").write_bytes((folder / "card.json").read_bytes())
    with pytest.raises(PackageError, match=rf"{FIRST}: sha256 must be"):
        UnitScanner(plan, tmp_path / "other", str(tmp_path / "root"), 1)
    older = plan.model_copy(update={"code_version": "0.0.1"})
    with pytest.raises(WorkerMismatchError, match=r"needs code 0\.0\.1, this worker has"):
        UnitScanner(older, folder, str(tmp_path / "root"), 1)
    assert list_files(str(tmp_path / "root")) == []
