"""Tests of the text of an evaluation."""

import json
import re

import pytest

from scanner.networks.locate import SHIPPED_DIR
from training.evaluation.evaluate import Evaluation, ValueWithInterval
from training.evaluation.evaluation_text import cuts_table, evaluation_markdown, nonlenses_in_words, shown
from training.evaluation.matched_rates import MatchedRecall
from training.evaluation.score_correlation import ScoreCorrelation


def test_small_numbers_are_not_shown_as_zero():
    assert shown(ValueWithInterval(value=0.00052, low=0, high=0.0011)) == "0.00052 (0 to 0.001)"
    assert shown(ValueWithInterval(value=-0.02, low=-0.0301, high=1234.5)) == "-0.020 (-0.030 to 1234)"
    assert shown(None) == "-"


def test_markdown_shows_the_figures(evaluation):
    text = evaluation_markdown(evaluation, "test", "random numbers")
    assert text.startswith("# test, evaluated\n\nOn random numbers. Scored: ")
    assert f"| AUROC | {evaluation.overall['auroc'].value:.3f} (" in text
    assert "| look-alike | twin |" in text
    group = evaluation.groups[0]
    assert f"| {group.property} | {group.group} | {group.n} | {group.above[0].value:.3f} (" in text
    rejected = ", ".join(f"{n} {kind}" for kind, n in evaluation.n_rejected.items())
    assert f"Rejected: {rejected};" in text
    assert text.count("| 0.01 |") == 1
    for name in ("roc.png", "reliability.png", "reliability_log.png", "completeness.png"):
        assert f"({name})" in text


def test_matched_rates_and_correlations_have_tables(evaluation):
    text = evaluation_markdown(evaluation, "test", "random numbers")
    first = evaluation.matched[0]
    assert f"Recall where these shares of {first.n_nonlenses} non-lenses pass" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| single | ")]
    assert row == f"| single | {shown(first.recall)} | - (needs 4000 non-lenses) | - (needs 40000 non-lenses) |"
    one = ValueWithInterval(value=0.5, low=0.25, high=0.75)
    pair = ScoreCorrelation(networks=("A", "B"), lenses=one, nonlenses=None, n_lenses=30, n_nonlenses=3)
    text = evaluation_markdown(evaluation.model_copy(update={"correlations": (pair,)}), "test", "random numbers")
    assert "| A and B | 0.500 (0.250 to 0.750) | 30 | - | 3 |" in text


def test_evaluations_of_earlier_versions_have_no_new_section(evaluation):
    text = evaluation_markdown(evaluation.model_copy(update={"matched": (), "correlations": ()}), "test", "numbers")
    assert "matched" not in text
    assert "Correlation" not in text
    assert "reliability_log" not in text


def test_a_known_natural_recall_has_a_column(evaluation):
    cut = evaluation.cuts[2]
    natural = cut.model_copy(update={"natural_recall": ValueWithInterval(value=0.5, low=0.4, high=0.6)})
    plain, wide = (cuts_table([chosen]).splitlines() for chosen in (cut, natural))
    assert [len(line.split(" | ")) for line in wide] == [len(line.split(" | ")) + 1 for line in plain]
    assert wide[2].endswith("| 0.500 (0.400 to 0.600) |")


def test_uncalibrated_scores_have_no_cuts(evaluation):
    text = evaluation_markdown(evaluation.model_copy(update={"cuts": ()}), "test", "random numbers")
    assert "Expected results of a cut" not in text


def test_what_the_default_cut_keeps_has_a_column_if_known(evaluation):
    assert "candidates |" not in evaluation_markdown(evaluation, "test", "random numbers").split("## Expected")[0]
    groups = tuple(group.model_copy(update={"kept": group.above[1]}) for group in evaluation.groups)
    text = evaluation_markdown(evaluation.model_copy(update={"groups": groups}), "test", "random numbers")
    assert "| at 1% | at 5% | candidates |" in text
    assert "which loses the other lenses of the group" in text
    first, shown_share = evaluation.groups[0], f"{evaluation.groups[0].above[1].value:.3f} ("
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {first.property} | {first.group} |")]
    assert row.count(shown_share) == 2


@pytest.mark.parametrize("name", ["mer3-cascade", "mer3-sim", "ou7-sim"])
def test_shipped_evaluations_show_their_json(name):
    """The description of the objects is in the text only."""
    text = (SHIPPED_DIR / name / "EVALUATION.md").read_text()
    content = json.loads((SHIPPED_DIR / name / "evaluation.json").read_text())
    results = Evaluation.model_validate({field: content[field] for field in Evaluation.model_fields if field in content})
    objects = re.search(rf"^On (simulated objects of {content['shards']} .*?)\. Scored:", text, re.MULTILINE)[1]
    assert text == evaluation_markdown(results, f"{name} `{content['sha256'][:12]}`", objects)


def test_rates_with_other_non_lenses_are_named():
    numbers = {0.01: 10_000, 0.001: 100_000, 0.0001: 100_000}
    found = [MatchedRecall(kind="single", rate=rate, n_nonlenses=n, recall=None) for rate, n in numbers.items()]
    assert nonlenses_in_words(found) == "100000 non-lenses (at 0.01: 10000 others)"
    assert nonlenses_in_words(found[1:]) == "100000 non-lenses"
