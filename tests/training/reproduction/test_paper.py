"""Tests that the paper's numbers are written down right: they must agree with each other."""

import pytest

from training.evaluation.metrics import f_beta
from training.reproduction import paper


@pytest.mark.parametrize("name", paper.TABLE_5)
def test_f_follows_from_precision_and_recall(name):
    """The paper rounds to four digits."""
    row = paper.TABLE_5[name]
    assert f_beta(row["precision"], row["recall"]) == pytest.approx(row["F 0.03"], abs=2e-4)


@pytest.mark.parametrize("name", ["OU-66", "OU-200"])
def test_recall_is_the_same_in_both_tables(name):
    assert paper.TABLE_6["test data"][name] == paper.TABLE_5[name]["recall"]


def test_every_row_implies_the_same_share_of_lenses():
    shares = [paper.share_implied(row["precision"], row["recall"], row["accuracy"]) for row in paper.TABLE_5.values()]
    assert shares == pytest.approx([0.85] * 3, abs=2e-3)


@pytest.mark.parametrize("counts", [(60, 15, 10, 90), (5, 95, 30, 70), (99, 1, 1, 9)])
def test_the_implied_share_is_that_of_counts(counts):
    """From true positives, false negatives, false positives and true negatives."""
    tp, fn, fp, tn = counts
    share = paper.share_implied(tp / (tp + fp), tp / (tp + fn), (tp + tn) / sum(counts))
    assert share == pytest.approx((tp + fn) / sum(counts))


def test_parameters_of_layers_add_up():
    for layers, total in ((paper.TABLE_3, paper.TABLE_3_TOTAL), (paper.TABLE_4, paper.TABLE_4_TOTAL)):
        assert sum(layer.n_parameters for layer in layers) == total


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("SDSS J0946+1006", "SDSS J0946+1006"),
        ("J0946+1006", "SDSS J0946+1006"),
        ("sl2sj02176-0513", "SL2S J02176-0513"),
        ("HSC J142449-005322", "HSC J142449-005322"),
        ("102021016", None),
    ],
)
def test_lenses_are_known_by_their_coordinates(written, name):
    assert paper.paper_lens(written) == name
