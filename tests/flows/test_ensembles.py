"""The purity of an ensemble that was used comes from its own card only, wherever this machine keeps it."""

import pytest

from flows.ensembles import known_purity
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.scanner.ensembles import SPECS, write_test_package

CARD = read_card(SHIPPED_DIR / "mer3-sim")


def test_a_known_ensemble_has_the_purity_of_its_card():
    assert CARD.purity_table is not None
    assert known_purity(CARD.name, CARD.sha256) == CARD.purity_table


@pytest.mark.parametrize(("name", "sha256"), [(CARD.name, "0" * 64), ("no-such-ensemble", CARD.sha256)])
def test_another_or_missing_ensemble_has_no_known_purity(name, sha256):
    assert known_purity(name, sha256) is None


def test_an_ensemble_without_evaluation_has_no_known_purity(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    card = write_test_package(tmp_path / "test", SPECS[:1])
    assert known_purity("test", card.sha256) is None
