"""Test the sentence about the purity of a list of candidates."""

import pytest

from flows.commands.query_text import expected_in_words
from scanner.catalogue.night_file import show
from scanner.catalogue.wanted import Wanted
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import finished

PURITY = read_card(SHIPPED_DIR / "mer3-sim").purity_table
TILE = {"a": {1: 0.9, 2: 0.6}}


def words(root, **options):
    return expected_in_words(root, Wanted(**options))


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def test_the_cut_is_the_shown_or_the_asked_threshold(root):
    plan = finished(root, TILE)
    show(plan, root, 0.55, PURITY)
    assert words(root) == PURITY.in_words(0.55)
    assert words(root, min_p_lens=0.7) == PURITY.in_words(0.7)


def test_ensembles_without_one_evaluation_give_no_sentence(root):
    plan = finished(root, TILE)
    assert words(root) is None
    show(plan, root, 0.55, PURITY)
    finished(root, {"b": {3: 0.7}})
    assert words(root) is None


def test_another_survey_gets_a_warning_and_no_purity(root):
    finished(root, TILE, purity=PURITY, survey=ATLAS)
    assert words(root).startswith(UNCALIBRATED)
    assert "are lenses" not in words(root)
    # Tiles of Euclid beside it have no sentence either: the list holds both.
    finished(root, {"b": {3: 0.7}}, purity=PURITY)
    assert words(root).startswith(UNCALIBRATED)
