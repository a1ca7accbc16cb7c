"""A package that does not match its card exactly must not load."""

import errno
import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR, find_package, known_cards, list_packages
from scanner.networks.package import load_package
from tests.scanner.ensembles import card, networks, write_test_package


@pytest.fixture
def folder(tmp_path):
    write_test_package(tmp_path / "pack")
    return tmp_path / "pack"


def test_a_written_package_loads_unchanged(folder):
    ensemble = load_package(folder)
    for name, network in networks().items():
        loaded = ensemble.engines[name].network.state_dict()
        assert list(loaded) == list(network.state_dict())
        assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())
    for network in ensemble.card.networks:
        assert network.sha256 == hashlib.sha256((folder / network.weights_file).read_bytes()).hexdigest()
    assert read_card(folder) == ensemble.card


def test_writing_twice_gives_the_same_bytes(folder, tmp_path):
    write_test_package(tmp_path / "again")
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in (tmp_path / "again").iterdir())
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_weights_are_replaced_whole(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def write_half(path, data):
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        write_test_package(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def edit(folder, change):
    path = folder / "card.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first(key, value):
    return lambda content: content["networks"][0].update({key: value})


CUTS = json.loads((SHIPPED_DIR / "mer3-sim" / "evaluation.json").read_text())["cuts"]
CARD_FAULTS = {
    "missing key": (lambda c: c.pop("licence"), "licence"),
    "missing network key": (lambda c: c["networks"][0].pop("channels"), r"networks\.0\.channels"),
    "unknown key": (lambda c: c.update(colour="red"), "colour.*'red'"),
    "unknown network key": (first("colour", "red"), r"networks\.0\.colour"),
    "newer format": (lambda c: c.update(format_version=3), "format_version.*got 3"),
    "unknown band": (first("channels", [{"band": "Z", "scaling": "min_max"}]), "VIS.*'Z'"),
    "channel twice": (first("channels", [{"band": "H", "scaling": "min_max"}] * 2), "read once.*H min_max"),
    "no channels": (first("channels", []), "channels"),
    "unknown architecture": (first("architecture", "resnet"), "ou200.*'resnet'"),
    "wrong input": (first("input_pixels", 200), "input_pixels of ou66 must be 66, got 200"),
    "unknown geometry": (lambda c: c.update(geometry="square"), "square"),
    "geometry of a network": (first("geometry", "mer"), "OU-H"),
    "unknown scaling": (first("channels", [{"band": "H", "scaling": "cube"}]), "sky_asinh.*cube"),
    "classes": (first("classes", ["lens", "nonlens"]), "classes of ou66 must be .*'nonlens', 'lens'"),
    "parameters": (first("n_parameters", 5), "n_parameters of OU-H must be 201842, got 5"),
    "path up": (first("weights_file", "../OU-H.safetensors"), r"plain file name.*\.\./OU-H"),
    "absolute path": (first("weights_file", "/etc/x.safetensors"), "plain file name"),
    "pickle": (first("weights_file", "OU-H.pt"), "plain file name"),
    "one file for two": (first("weights_file", "OU-66.safetensors"), "must differ"),
    "digest": (first("sha256", "0" * 64), r"OU-H\.safetensors: sha256 must be 0{64} as on the card, got [0-9a-f]{64}"),
    "digest text": (first("sha256", "abc"), "sha256"),
    "unknown combiner": (lambda c: c["combiner"].update(kind="vote"), "vote"),
    "combiner of others": (lambda c: c["combiner"].update(networks=["OU-J"]), "OU-J"),
    "name of a column": (first("name", "lens"), "p_lens"),
    "bad name": (lambda c: c.update(name="a/b"), "a/b"),
    "text for a number": (first("input_pixels", "66"), "input_pixels"),
    "infinite metric": (lambda c: c["metrics"].update(auroc=float("inf")), "auroc"),
    "cuts without calibration": (lambda c: c.update(cuts=CUTS), "cuts hold at an assumed prevalence only"),
    "cut without recall": (lambda c: c.update(cuts=[{**CUTS[0], "recall": None}]), r"cuts\.0\.recall"),
    "certain prevalence": (lambda c: c.update(assumed_prevalence=1), "assumed_prevalence"),
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("fault", CARD_FAULTS)
def test_a_faulty_card_is_refused(folder, fault):
    change, says = CARD_FAULTS[fault]
    load_package(folder)
    edit(folder, change)
    with pytest.raises(PackageError, match=says) as error:
        load_package(folder)
    assert str(folder) in str(error.value)


def rewrite(folder, change):
    """Change the tensors of OU-H and put the right digest on the card."""
    path = folder / "OU-H.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    edit(folder, first("sha256", hashlib.sha256(path.read_bytes()).hexdigest()))


TENSOR_FAULTS = {
    "shape": (
        lambda s: s.update({"0.weight": torch.zeros(50, 2, 3, 3)}),
        r"0\.weight must be .*\(50, 1, 3, 3\), got .*\(50, 2, 3, 3\)",
    ),
    "type": (lambda s: s.update({"0.bias": torch.zeros(50, dtype=torch.float16)}), "float16"),
    "missing": (lambda s: s.pop("4.bias"), r"missing \['4\.bias'\]"),
    "unknown": (lambda s: s.update(extra=torch.zeros(1)), r"unknown \['extra'\]"),
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("fault", TENSOR_FAULTS)
def test_tensors_that_do_not_fit_are_refused(folder, fault):
    change, says = TENSOR_FAULTS[fault]
    rewrite(folder, change)
    with pytest.raises(PackageError, match=says) as error:
        load_package(folder)
    assert "OU-H.safetensors" in str(error.value)


@pytest.mark.fault(30)
def test_damaged_and_missing_files_are_named(folder):
    weights = folder / "OU-H.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(PackageError, match=r"OU-H\.safetensors: sha256"):
        load_package(folder)
    weights.write_bytes(b"rubbish")
    edit(folder, first("sha256", hashlib.sha256(b"rubbish").hexdigest()))
    with pytest.raises(PackageError, match=r"OU-H\.safetensors: not a safetensors file"):
        load_package(folder)
    weights.unlink()
    with pytest.raises(PackageError, match=r"OU-H\.safetensors: cannot be read"):
        load_package(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(PackageError, match=r"card\.json: card: Invalid JSON"):
        load_package(folder)
    (folder / "card.json").unlink()
    with pytest.raises(PackageError, match=r"card\.json: cannot be read"):
        load_package(folder)


def test_weights_of_other_networks_cannot_be_written(tmp_path):
    states = {name: network.state_dict() for name, network in networks().items()}
    states["OU-H"] = states["OU-66"]
    from scanner.networks.package import write_package

    with pytest.raises(PackageError, match=r"OU-H: 0\.weight"):
        write_package(tmp_path / "x", card(), states)
    assert not (tmp_path / "x").exists()


def test_packages_are_found_by_name_and_by_path(folder, tmp_path):
    assert find_package("pack", tmp_path) == folder
    assert find_package(str(folder), tmp_path / "elsewhere") == folder
    assert folder in list_packages(tmp_path)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "card.json").write_text("{}")
    assert tmp_path / "damaged" in list_packages(tmp_path)
    assert len(known_cards(tmp_path)) == len(list_packages(tmp_path)) - 1
    with pytest.raises(PackageError, match=re.escape("nosuch: no ensemble of that name") + ".*pack"):
        find_package("nosuch", tmp_path)
    with pytest.raises(PackageError, match="empty"):
        find_package("", tmp_path)
