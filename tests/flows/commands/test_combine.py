"""Tests of `lensscan models combine` from its arguments to the files of the package."""

import json

import pytest

from flows.cli.models import combine
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.preprocess.channel import channels
from tests.scanner.ensembles import write_test_package
from tests.training.shards import write_shards


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Packages of one network each, named light, A and B, and two folders of shards."""
    folder = tmp_path_factory.mktemp("combine")
    for number, name in enumerate(("light", "A", "B")):
        spec = NetworkSpec(name, "equivariant_light", channels("sky_asinh", "VIS"))
        write_test_package(folder / name, (spec,), number, geometry="mer10", name=name)
    write_shards(folder / "natural", 80)
    write_shards(folder / "broad", 60)
    return folder


@pytest.mark.parametrize("first", [None, "light"])
def test_an_ensemble_is_written_among_the_users_own(made, tmp_path, monkeypatch, capsys, first):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    members = [str(made / name) for name in "AB"]
    given = {"natural": str(made / "natural"), "broad": str(made / "broad"), "name": "mine", "json": True}
    combine(*members, first=first and str(made / first), **given)
    shown = json.loads(capsys.readouterr().out)
    card = read_card(tmp_path / "mine")
    assert shown["networks"] == ", ".join(network.name for network in card.all_networks)
    assert [network.name for network in card.all_networks] == [*([first] if first else []), "A", "B"]
    assert ("first stage excludes below" in shown) == (first is not None)
    if card.early_exit:
        assert shown[f"early exit, {card.early_exit.network}, excludes below"] == f"{card.early_exit.exclude_below:.2e}"
        assert float(shown["both natural nonlenses passed"]) <= float(shown["natural nonlenses passed"])
    assert (tmp_path / "mine" / "CARD.md").read_text().startswith("# mine\n")
