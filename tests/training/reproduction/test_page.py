"""Tests of the page: it states the results, and the committed page is made from the committed numbers."""

import json
import re
from inspect import signature

import pytest

from flows.cli.reproduce import wilde2022
from scanner.purity import ValueWithInterval
from tests.docs.pages import DOCS
from training.evaluation.compound_selection import MatchedRecall
from training.evaluation.evaluation_text import shown
from training.reproduction import reasons
from training.reproduction.page import reproduction_markdown, table_of
from training.reproduction.reproduce import FIGURES, PAGE, RESULTS
from training.reproduction.results import Reproduction
from training.reproduction.shelf import MAX_BYTES


@pytest.fixture(scope="module")
def text(results):
    return reproduction_markdown(results)


def rows_of(text, *cells):
    return [line for line in text.splitlines() if line.startswith(f"| {' | '.join(cells)} |")]


def test_tables_hold_the_papers_value_and_ours(results, text):
    row = next(row for row in results.tables[1].rows if row.what == ("arcs", "OU-JYH"))
    assert rows_of(text, "arcs", "OU-JYH", "0.7771", shown(row.ours["ou7-sim"]))
    assert rows_of(text, "train data", "OU-JYH", "0.3170", "-")
    assert rows_of(text, "OU-66", "recall", "0.2180")
    assert rows_of(text, "26", "30 x 4 x 4", "30 x 4 x 4", "10830", "10830")
    assert "All shapes and numbers of parameters are the paper's" in text
    for number in (5, 6, 7):
        assert f"Why they differ: {reasons.why(number, 'ou7-sim', (), (), counts_compound=True)}" in text
    assert reasons.data(results.geometries) in text


def test_a_wrong_architecture_is_not_called_equal(results):
    first, second = results.architectures
    layers = (first.layers[0].model_copy(update={"n_parameters": 1}), *first.layers[1:])
    changed = results.model_copy(update={"architectures": (first.model_copy(update={"layers": layers}), second)})
    assert reproduction_markdown(changed).count("All shapes and numbers of parameters are the paper's") == 1
    assert "They differ." in reproduction_markdown(changed)


@pytest.mark.parametrize(
    ("limits", "word"), [((-0.3, -0.01), " **against**"), ((0.01, 0.3), " **for**"), ((-0.1, 0.1), ""), ((-0.1, 0.0), "")]
)
def test_a_difference_counts_if_its_interval_excludes_zero(results, limits, word):
    share = ValueWithInterval(value=0.5, low=0.4, high=0.6)
    difference = ValueWithInterval(value=sum(limits) / 2, low=limits[0], high=limits[1])
    matched = MatchedRecall(recall=share, recall_single=share, difference=difference)
    one = results.selection[0].model_copy(update={"matched": {"double_ring": matched}})
    text = reproduction_markdown(results.model_copy(update={"selection": (one,)}))
    assert f"| - | {shown(difference)}{word} |" in text
    counts = {" **against**": "1 of 1 select against compound lenses (OU-J: double rings), 0 for them, 0 neither"}
    counts |= {" **for**": "0 of 1 select against compound lenses, 1 for them, 0 neither"}
    assert counts.get(word, "0 of 1 select against compound lenses, 0 for them, 1 neither") in text


def test_the_confusion_matrix_is_in_percent(results, text):
    counts = results.calibration["own"]["mer3-cascade"].confusion["double_ring"]
    n = sum(counts.values())
    assert rows_of(text, "double_ring", str(n), *(f"{100 * found / n:.1f}" for found in counts.values()))


def test_figures_are_shown_and_missing_ones_explained(text):
    assert "![Figure 4](figures/a.png)\n\n**Figure 4.** Learning." in text
    assert "**Figure 13** cannot be made from what is at hand: no images were given." in text


def test_only_the_seed_that_no_training_used_is_called_so(results, text):
    words = ", which no shipped ensemble was trained with"
    assert words not in text
    assert words in reproduction_markdown(results.model_copy(update={"seed": reasons.UNUSED_SEED}))
    assert signature(wilde2022).parameters["seed"].default == reasons.UNUSED_SEED


def test_figures_stand_in_the_order_of_their_numbers(results):
    pictures = [results.pictures[0].model_copy(update={"figure": figure}) for figure in ("9", "17", "Selection", "14")]
    text = reproduction_markdown(results.model_copy(update={"pictures": tuple(pictures)}))
    assert re.findall(r"^\*\*(.*)\.\*\*", text, re.MULTILINE) == ["Selection", "Figure 9", "Figure 14", "Figure 17"]


def test_missing_weights_are_stated(results, text):
    assert reasons.NO_WEIGHTS in text
    with_weights = results.model_copy(update={"ensembles": {**results.ensembles, reasons.PUBLISHED: "0" * 64}})
    assert reasons.NO_WEIGHTS not in reproduction_markdown(with_weights)


def test_rows_have_the_columns_of_their_header(text):
    tables = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    assert len(tables) > 10
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_table_is_markdown():
    assert table_of(("a", "b"), [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_the_committed_page_shows_its_json():
    results = Reproduction.model_validate(json.loads((DOCS / RESULTS).read_text(encoding="utf-8")))
    assert (DOCS / PAGE).read_text(encoding="utf-8") == reproduction_markdown(results)
    drawn = [picture.file for picture in results.pictures if picture.file]
    assert {path.name for path in (DOCS / FIGURES).glob("wilde2022_*")} == set(drawn)
    assert all((DOCS / FIGURES / file).stat().st_size <= MAX_BYTES for file in drawn)
    assert {picture.figure for picture in results.pictures} >= {*map(str, (4, 5, 6, 9, *range(11, 18)))}
    assert [table.number for table in results.tables] == [5, 6, 7]
