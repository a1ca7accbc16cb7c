"""The words about the lists of a night."""

from pathlib import Path

import pytest

from flows.cli.candidates import CandidateOptions
from flows.cli.yields import COLUMNS
from flows.commands.yields import least_p_lens, promise_in_words, rows_of, sentences_of
from infra.settings import Settings
from scanner.catalogue import shown
from scanner.catalogue.shown import show_records
from scanner.purity import ValueWithInterval
from scanner.review.yields.guarantee import guaranteed
from scanner.review.yields.lists import NightList, list_content
from scanner.review.yields.night import NightYield
from scanner.review.yields.prevalence import NightPrevalence
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.review.yields.nights import known_night


def between(value, low, high):
    return ValueWithInterval(value=value, low=low, high=high)


def night(*, low=0.0002, n_listed=(400, 12), natural=False):
    """Return two lists of a night of 60 000 rows."""
    lists = [
        NightList(
            p_lens=cut,
            n_listed=n,
            n_foreseen=between(400, 300, 500),
            at_stated=list_content(n, between(20, 19, 21)),
            at_estimated=list_content(n, between(4, 0, 9)),
        )
        for cut, n in zip((0.001, 0.3), n_listed, strict=True)
    ]
    estimated = NightPrevalence(n_objects=60_000, fraction=between(0.0004, low, 0.0006))
    return NightYield(
        night="2026-11-24",
        ensemble="test",
        n_scored=60_000,
        stated_prevalence=0.0005,
        has_natural_mix=natural,
        estimated=estimated,
        lists=tuple(lists),
    )


def test_a_row_holds_the_numbers_with_their_intervals():
    first, second = rows_of(night(), COLUMNS)
    assert tuple(first) == COLUMNS
    assert list(first.values()) == [
        "0.001",
        "400",
        "300-500",
        "20 (11-30)",
        "380 (370-389)",
        "20 (13-36)",
        "4 (0-15)",
        "100 (27-no limit)",
    ]
    assert second["per lens"].startswith("1")


def test_a_list_without_lenses_has_no_number_per_lens():
    empty = list_content(5, between(0, 0, 0))
    of = night().lists[0].model_copy(update={"at_stated": empty})
    (row,) = rows_of(night().model_copy(update={"lists": (of,)}), COLUMNS)
    assert row["per lens"] == "-"


def test_an_estimate_is_told_in_lenses():
    stated, told, odd = sentences_of(night())
    assert stated == "Lenses are counted as if one object in 2000 is a lens, and lenses are of the mix that was evaluated."
    assert next(sentences_of(night(natural=True))).endswith("and compound lenses are as rare as on the sky.")
    assert "tell 24 (12-36) lenses among its rows, one object in 2500, if p_lens is calibrated" in told
    assert odd.startswith("At p_lens 0.3 the list is not as long as the evaluation foretells")


def test_an_estimate_that_may_be_zero_says_so():
    _, told = sentences_of(night(low=0.0, n_listed=(400, 350)))
    assert told.startswith("The scores of this night cannot tell the number of its lenses from zero: at most 36")


def test_the_promise_names_its_level_and_its_assumption():
    words = promise_in_words(0.1)
    assert "at most 0.1 of such a list are no lenses" in words
    assert "if the night's non-lenses are like the simulated ones" in words


def test_the_least_score_is_that_of_the_guaranteed_list(tmp_path, monkeypatch):
    made = known_night(tmp_path)
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", made.ensembles)
    expected = guaranteed(made.root, None, 0.3, Settings.read().ensembles_dir)
    assert least_p_lens(made.root, None, 0.3) == (expected.least_p_lens, None)
    assert pytest.approx(made.p_lens[made.p_lens >= expected.least_p_lens].min()) == expected.least_p_lens


def test_a_guaranteed_list_warns_of_another_survey(tmp_path):
    made = known_night(tmp_path, survey=ATLAS)
    assert guaranteed(made.root, None, 0.3, Path(made.ensembles)).warning.startswith(UNCALIBRATED)


def test_a_guarantee_looks_for_the_plans_once(tmp_path, monkeypatch):
    made, looked = known_night(tmp_path), []
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", made.ensembles)
    monkeypatch.setattr(shown, "show_records", lambda *given: looked.append(given) or show_records(*given))
    assert CandidateOptions(fdr=0.3).wanted(None, made.root).min_p_lens > 0
    assert looked == [(made.root, "")]
