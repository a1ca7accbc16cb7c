"""Tests of `lensscan models average` from its arguments to the files of the package."""

import json

import pytest

from flows.cli.models import average
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.preprocess.channel import channels
from tests.scanner.ensembles import write_test_package
from training.average import average_packages

SPEC = NetworkSpec("A", "equivariant_light", channels("sky_asinh", "VIS"))


def test_the_average_is_written_among_the_users_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "mine"))
    folders = [tmp_path / name for name in ("one", "two")]
    for seed, folder in enumerate(folders):
        write_test_package(folder, (SPEC,), seed, geometry="mer10", name=folder.name)
    average(*map(str, folders), name="both", json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"ensemble": "both", "networks": "A", "folder": str(tmp_path / "mine" / "both")}
    card = read_card(tmp_path / "mine" / "both")
    assert card == average_packages(folders, "both", tmp_path / "expected")
    assert (tmp_path / "mine" / "both" / "CARD.md").read_text().startswith("# both\n")
    with pytest.raises(PackageError, match="both"):
        average(*map(str, folders), name="both")


def test_the_shipped_cascade_can_be_averaged(tmp_path, monkeypatch, capsys):
    """Both stages keep their weights if they are averaged with themselves."""
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    average("mer3-cascade", "mer3-cascade", name="same")
    assert "light, equivariant-sky" in capsys.readouterr().out
    text = (tmp_path / "same" / "CARD.md").read_text()
    assert "lensscan models combine calibrates them" in text
    assert "## Default cut" not in text
