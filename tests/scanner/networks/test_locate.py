"""Packages found by name and path, in folders of copies of a test package."""

import pytest

from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR, find_package, find_scanning_package, folder_for_new, known_cards, list_packages
from tests.scanner.ensembles import SPECS, write_test_package


@pytest.fixture
def ensembles(tmp_path):
    for name in ("mine", "mer3-sim"):
        write_test_package(tmp_path / name, SPECS[:1])
    return tmp_path


def test_a_package_of_the_user_hides_a_shipped_one(ensembles):
    assert find_package("mine", ensembles) == ensembles / "mine"
    assert find_package("mer3-sim", ensembles) == ensembles / "mer3-sim"
    assert find_package("mer3-cascade", ensembles) == SHIPPED_DIR / "mer3-cascade"
    assert find_package(str(ensembles / "mine"), SHIPPED_DIR) == ensembles / "mine"


def test_an_unknown_name_is_answered_with_the_known_ones(ensembles):
    with pytest.raises(
        PackageError, match=r"no: no ensemble of that name .*; known ensembles: mer3-cascade, mer3-sim, mine, ou7-sim$"
    ):
        find_package("no", ensembles)
    with pytest.raises(PackageError, match="got an empty name"):
        find_package("", ensembles)


def test_the_folder_of_a_scans_ensemble_is_asked_for(ensembles):
    assert find_scanning_package("mine", ensembles) == ensembles / "mine"
    with pytest.raises(PackageError, match=f"folder that holds the folder mine; it is {SHIPPED_DIR} now"):
        find_scanning_package("mine", SHIPPED_DIR)


def test_a_new_name_hides_and_replaces_nothing(ensembles):
    assert folder_for_new("new", ensembles) == ensembles / "new"
    for name, why in (("mer3-cascade", "a shipped ensemble has that name"), ("mine", "you have an ensemble of that name")):
        with pytest.raises(PackageError, match=why):
            folder_for_new(name, ensembles)


def test_packages_are_listed_once_and_damaged_cards_left_out(ensembles):
    packages = list_packages(ensembles)
    assert [folder.name for folder in packages] == ["mer3-cascade", "mer3-sim", "mine", "ou7-sim"]
    assert packages[1] == ensembles / "mer3-sim"
    (ensembles / "mine" / "card.json").write_text("{")
    assert len(known_cards(ensembles)) == 3
