"""The scores of a night, its lists and its list with a guarantee, from a catalogue on disk."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from scanner.networks.card_file import read_card, write_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail
from scanner.review.yields.guarantee import guaranteed, sample_for
from scanner.review.yields.lists import night_list
from scanner.review.yields.night import YieldError, expected_lists, list_with_guarantee, read_night
from scanner.review.yields.prevalence import night_prevalence, with_natural_kinds
from scanner.vocabulary.network_columns import KIND_P
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished
from tests.scanner.review.yields.nights import N_LENSES, N_ROWS, PURITY, THRESHOLD, known_night


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return known_night(tmp_path_factory.mktemp("night"))


def test_scores_are_those_of_all_scored_rows(made):
    scores = read_night(made.root)
    assert sorted(scores.p_lens.tolist()) == sorted(made.p_lens.tolist())
    assert (scores.night, scores.ensemble_name, scores.threshold) == (NIGHT, "test", THRESHOLD)
    assert scores.purity == PURITY


def test_lists_are_counted_and_foretold(made):
    found = expected_lists(read_night(made.root, NIGHT))
    assert (found.n_scored, found.stated_prevalence) == (N_ROWS, PURITY.prevalence)
    assert [of.p_lens for of in found.lists] == [cut.p_lens for cut in PURITY.cuts if cut.p_lens >= THRESHOLD]
    assert [of.n_listed for of in found.lists] == [int(np.sum(made.p_lens >= np.float32(of.p_lens))) for of in found.lists]
    assert found.estimated == night_prevalence(made.p_lens, PURITY.prevalence)
    of = found.lists[2]
    assert of == night_list(of.p_lens, of.n_listed, N_ROWS, PURITY, found.estimated.fraction)


def test_cuts_of_the_caller_are_taken(made):
    found = expected_lists(read_night(made.root), (0.2, 0.05, 0.2))
    assert [of.p_lens for of in found.lists] == [0.05, 0.2]
    lowest = re.escape(f"{read_card(SHIPPED_DIR / 'mer3-cascade').cuts[0].p_lens:g}")
    with pytest.raises(YieldError, match=f"^cut must lie between the lowest evaluated cut, {lowest}, and 1, got 1e-05"):
        expected_lists(read_night(made.root), (0.2, 1e-5))


@pytest.mark.parametrize("level", [0.05, 0.2, 0.4])
def test_the_guaranteed_list_is_that_of_all_rows(made, level):
    """The p-values of all 3000 rows, counted one by one, and adjusted by SciPy."""
    p_values = [(1 + np.sum(p <= made.calibration)) / (1 + len(made.calibration)) for p in made.p_lens]
    expected = made.p_lens[false_discovery_control(p_values) <= level]
    found = guaranteed(made.root, None, level, Path(made.ensembles))
    assert (found.n_listed, found.least_p_lens) == (len(expected), expected.min())
    assert (found.n_tests, found.n_calibration) == (N_ROWS, len(made.calibration))
    share_of_lenses = np.mean(made.p_lens[:N_LENSES] >= found.least_p_lens)
    assert share_of_lenses > 0.4


def test_too_small_a_sample_is_said_not_an_empty_list(made):
    scores = read_night(made.root)
    small = NonLensTail.of(made.calibration[:300], THRESHOLD)
    n_beyond = int(np.sum(made.p_lens > made.calibration[:300].max()))
    with pytest.raises(YieldError) as refused:
        list_with_guarantee(scores, small, 0.1)
    text = str(refused.value)
    assert (
        "with 300 non-lenses in the ensemble's sample and 3000 scored rows, the shortest list has 100 rows with a higher p_lens"
        in text
    )
    assert f"and this night has {n_beyond} rows of this kind" in text
    assert f"for a list of {n_beyond} rows, the sample needs {int(np.ceil(3000 / (0.1 * n_beyond))) - 1} non-lenses" in text
    assert "the lowest level with a list is" in text


def test_a_night_without_any_list_says_so(made):
    with pytest.raises(YieldError, match="no level below 1 has a list") as refused:
        list_with_guarantee(read_night(made.root), NonLensTail.of(np.float32([0.999999] * 50), 0.0), 0.1)
    assert "and this night has 0 rows of this kind; for a list of 1 row, the sample needs 29999 non-lenses" in str(
        refused.value
    )


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_outside_of_its_range_is_refused(made, level):
    with pytest.raises(YieldError, match=r"^fdr must lie between 0 and 1, both excluded"):
        list_with_guarantee(read_night(made.root), NonLensTail.of(made.calibration, THRESHOLD), level)


def test_an_ensemble_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(YieldError, match=f"^fdr needs the ensemble that scored night {NIGHT}: test: no ensemble"):
        guaranteed(made.root, None, 0.1, tmp_path)


def test_other_weights_by_the_same_name_are_refused(tmp_path):
    night = known_night(tmp_path)
    folder = tmp_path / "ensembles" / "test"
    write_card(folder, read_card(folder).model_copy(update={"geometry": "challenge", "networks": changed(folder)}))
    with pytest.raises(YieldError, match=r"test [0-9a-f]{12}; .* holds [0-9a-f]{12}"):
        sample_for(read_night(night.root), tmp_path / "ensembles")


def changed(folder):
    (network,) = read_card(folder).networks
    return (network.model_copy(update={"turns": 2}),)


def test_an_ensemble_without_a_sample_says_how_to_make_one(tmp_path):
    night = known_night(tmp_path)
    folder = tmp_path / "ensembles" / "test"
    write_card(folder, read_card(folder).model_copy(update={"nonlens_sample": None}))
    with pytest.raises(YieldError, match=r"has no sample of scored non-lenses, .* `lensscan models nonlenses` makes one"):
        guaranteed(night.root, None, 0.1, tmp_path / "ensembles")


def test_a_night_must_be_named_and_scored_by_one_ensemble(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9, 2: 0.1}}, purity=PURITY)
    finished(root, {"a": {3: 0.9}}, night="2026-11-25", purity=None)
    finished(root, {"b": {4: 0.9}}, night="2026-11-26", ensemble=EnsembleName("one", "1" * 64))
    finished(root, {"c": {5: 0.9}}, night="2026-11-26", ensemble=EnsembleName("two", "2" * 64))
    finished(root, {"d": {6: None}}, night="2026-11-27")
    nights = "2026-11-24, 2026-11-25, 2026-11-26, 2026-11-27"
    with pytest.raises(YieldError, match=f"holds the nights {nights}; choose one with --night"):
        read_night(root)
    assert len(read_night(root, NIGHT).p_lens) == 2
    with pytest.raises(YieldError, match=r"one ensemble must have scored .*, got one \(11111111\), two \(22222222\)"):
        read_night(root, "2026-11-26")
    with pytest.raises(YieldError, match="no row of night 2026-11-27 is scored"):
        read_night(root, "2026-11-27")
    with pytest.raises(YieldError, match="its lists were not evaluated when night 2026-11-25 was scanned"):
        expected_lists(read_night(root, "2026-11-25"))


def test_compound_lenses_count_as_rare_if_the_evaluation_knows(tmp_path):
    """Half of the night's p_lens is p_compound, at a share of one in 50; p_lens counts lenses of which 31 % are compound."""
    natural = [cut.model_copy(update={"natural_recall": cut.recall}) for cut in PURITY.cuts]
    known = PURITY.model_copy(update={"cuts": tuple(natural), "compound_shares": (0.31, 0.02)})
    without = [cut.model_copy(update={"natural_recall": None}) for cut in PURITY.cuts]
    old = PURITY.model_copy(update={"cuts": tuple(without)})
    p = {i: float(x) for i, x in enumerate(np.float32(np.linspace(0.0001, 0.6, 40)))}
    given_lens = dict(zip(KIND_P, ([0.5] * len(p), [0.25] * len(p), [0.25] * len(p)), strict=True))
    half = {"p_compound": [x / 2 for x in p.values()], **given_lens}
    for name, purity, changes in (("known", known, half), ("old", old, half), ("none", known, {})):
        finished(str(tmp_path / name), {"a": p}, purity=purity, changes=changes)
    scores = {name: read_night(str(tmp_path / name)) for name in ("known", "old", "none")}
    expected = with_natural_kinds(scores["known"].p_lens, scores["known"].p_lens / 2, 0.31, 0.02)
    assert scores["known"].p_natural == pytest.approx(expected, rel=1e-5)
    assert scores["old"].p_natural.tolist() == scores["none"].p_natural.tolist() == scores["old"].p_lens.tolist()
    assert scores["none"].p_compound is None
    found = expected_lists(scores["known"])
    assert found.has_natural_mix
    assert found.estimated == night_prevalence(scores["known"].p_natural, PURITY.prevalence)
    assert found.estimated != expected_lists(scores["old"]).estimated


def test_an_object_of_two_plans_counts_once(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9, 2: 0.1}, "b": {3: 0.2}}, purity=PURITY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        finished(root, {"a": {1: 0.7, 2: 0.4}}, purity=PURITY)
    assert sorted(read_night(root).p_lens.tolist()) == np.float32([0.2, 0.4, 0.7]).tolist()


def test_the_guarantee_covers_rows_that_every_plan_scored_fully(tmp_path):
    """Rows between the thresholds of two fields of a night may be rounded; the lists of candidates still hold them."""
    root, one = str(tmp_path), EnsembleName("test", "1" * 64)
    finished(root, {"a": {1: 0.9, 2: 0.2}}, purity=PURITY, ensemble=one, candidate_threshold=0.1)
    finished(root, {"b": {3: 0.8, 4: 0.3}}, purity=PURITY, ensemble=one, candidate_threshold=0.5)
    scores = read_night(root)
    assert (scores.threshold, scores.full_from) == (0.1, 0.5)
    assert expected_lists(scores).lists[0].n_listed == 4
    found = list_with_guarantee(scores, NonLensTail.of(np.float32([0.001] * 1000), 0.0), 0.1)
    assert (found.n_listed, found.n_tests, found.least_p_lens) == (2, 4, np.float32(0.8))
