"""Tests of the text of a card."""

import json

import numpy as np
import pytest

from scanner.networks.card_file import read_card
from scanner.networks.combiner import MeanCombiner
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail, with_sample
from scanner.purity import ValueWithInterval
from training.evaluation.card_text import card_markdown
from training.evaluation.matched_rates import MatchedRecall, matched_metrics
from training.evaluation.score_correlation import ScoreCorrelation, correlation_metrics


@pytest.mark.parametrize("name", ["mer3-cascade", "mer3-sim", "ou7-sim"])
def test_shipped_cards_show_their_json(name):
    folder = SHIPPED_DIR / name
    assert (folder / "CARD.md").read_text() == card_markdown(read_card(folder))


@pytest.mark.parametrize("name", ["mer3-cascade", "mer3-sim", "ou7-sim"])
def test_shipped_cards_have_the_cuts_of_their_evaluation(name):
    card = read_card(SHIPPED_DIR / name)
    evaluation = json.loads((SHIPPED_DIR / name / "evaluation.json").read_text())
    assert [cut.model_dump() for cut in card.cuts] == evaluation["cuts"]
    assert (card.sha256, card.assumed_prevalence) == (evaluation["sha256"], evaluation["prevalence"])


@pytest.fixture
def card():
    return read_card(SHIPPED_DIR / "mer3-sim")


def table(text, heading):
    """Return the rows of the first table below a heading, as cells by the first cell."""
    lines = text[text.index(f"## {heading}") :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    last = next(i for i, line in enumerate(lines[first:], first) if not line.startswith("|"))
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[first:last])}


def test_metrics_are_those_of_the_card(card):
    metrics = {"auroc": 0.91234, "auroc_low": 0.9, "auroc_high": 0.92, "recall": 0.5, "recall_single": 0.25}
    rows = table(card_markdown(card.model_copy(update={"metrics": metrics})), "Metrics on held-out objects")
    cells = dict(zip(rows[""], rows["**ensemble**"], strict=True))
    assert cells.pop("AUROC") == "0.912 (0.900-0.920)"
    assert {name: cell for name, cell in cells.items() if cell} == {"recall": "0.500", "single": "0.250"}


def test_matched_rates_and_correlations_come_from_the_metrics(card):
    one = ValueWithInterval(value=0.5, low=0.4, high=0.6)
    matched = [MatchedRecall(kind="single", rate=rate, n_nonlenses=9000, recall=r) for rate, r in ((0.01, one), (0.001, None))]
    names = [network.name for network in card.networks]
    pair = ScoreCorrelation(networks=tuple(names[:2]), lenses=one, nonlenses=None, n_lenses=30, n_nonlenses=3)
    metrics = matched_metrics(matched) | correlation_metrics([pair])
    text = card_markdown(card.model_copy(update={"metrics": {**card.metrics, **metrics}}))
    assert "9000 non-lenses set the thresholds" in text
    assert table(text, "Recall at matched false-positive rates")["single"] == [
        "0.500 (0.400 to 0.600)",
        "- (needs 4000 non-lenses)",
        "- (needs 40000 non-lenses)",
    ]
    assert table(text, "Correlation of the networks")[" and ".join(names[:2])] == ["0.50", "-"]
    plain = card_markdown(card)
    assert "matched false-positive" not in plain
    assert "Correlation of the networks" not in plain


def test_a_sample_of_non_lenses_is_described(card, tmp_path):
    made = with_sample(tmp_path, card, NonLensTail(np.float32([0.1, 0.2]), 0.05, 99_999), "n=99999, seed=1")
    text = card_markdown(made)
    assert "99999 non-lenses that no network saw were scored (n=99999, seed=1)" in text
    assert f"sha256 `{made.nonlens_sample.sha256[:12]}`) holds the 2 scores of at least 0.05." in text
    assert "the shortest list of `--fdr 0.1` has 100 rows, each with a higher score than all of these non-lenses." in text


def test_inputs_are_listed_in_order(card):
    rows = table(card_markdown(card), "Inputs and weights")
    network = card.networks[0]
    assert rows[network.name] == [
        "compact",
        "sky_asinh of VIS, Y, J, H; detail of VIS",
        str(network.input_pixels),
        str(network.n_parameters),
        f"`{network.sha256[:12]}`",
    ]


def test_counts_are_listed_by_split_and_kind(card):
    rows = table(card_markdown(card), "Training data")
    assert rows["test"] == ["1924", "896", "422", "435"]
    assert rows["split"] == ["nonlens", "single", "compound_arc", "double_ring"]


def test_cuts_are_listed_or_said_to_be_unknown(card):
    text = card_markdown(card)
    assert table(text, "Expected results of a cut")["0.001"][3] == "0.010"
    assert "is unknown until" not in text
    unknown = card_markdown(card.model_copy(update={"cuts": ()}))
    assert "The purity of cuts in p_lens is unknown until `lensscan evaluate` has measured it." in unknown
    assert "Expected results" not in unknown


def test_an_uncalibrated_mean_states_no_prevalence(card):
    mean = MeanCombiner(kind="mean", networks=tuple(network.name for network in card.networks))
    changes = {"combiner": mean, "assumed_prevalence": None, "cuts": (), "metrics": {}}
    text = card_markdown(card.model_copy(update=changes))
    assert "The combiner is the mean of the networks; it assumes no lens fraction." in text
    assert "Compared by cross-validation" not in text


def test_what_is_unknown_has_no_heading_and_no_table(card):
    text = card_markdown(card)
    assert "\n## Limits\n\n- " in text
    assert "\n| split | " in text
    data = card.training_data.model_copy(update={"n_objects": {}})
    bare = card_markdown(card.model_copy(update={"limits": (), "training_data": data}))
    assert "## Limits" not in bare
    assert "| split |" not in bare


def test_a_combined_ensemble_says_what_its_metrics_are_of(card):
    sentence = "The row of the ensemble is of the natural draws that it is calibrated on; "
    assert sentence not in card_markdown(card)
    assert sentence in card_markdown(read_card(SHIPPED_DIR / "mer3-cascade"))
