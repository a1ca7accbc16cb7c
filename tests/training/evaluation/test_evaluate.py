"""Tests of the evaluation on known scores, by hand and by brute force."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, fbeta_score, roc_auc_score

from scanner.networks.nonlens_sample import NonLensTail
from scanner.vocabulary.kinds import KINDS
from tests.training.evaluation.known_scores import PREVALENCE, arrays, replaced
from training.errors import TrainingError
from training.evaluation.cuts import CUTS, cut_at
from training.evaluation.evaluate import (
    RATES,
    _calibration_floor,
    _work_by_sample,
    evaluate_scores,
    nonlens_scores,
)
from training.evaluation.evaluation_text import evaluation_markdown
from training.evaluation.inspected import inspected_per_lens
from training.evaluation.matched_rates import matched_recalls
from training.evaluation.metrics import max_f_beta, recall_interval
from training.evaluation.natural_mix import natural_recall


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """Draw ten times fewer resamples: no test here depends on the details of bootstrap intervals."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 100)
        yield


def test_figures_of_scored_rows_agree_with_scikit_learn(tables, evaluation):
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    assert sum(evaluation.n_objects.values()) == len(is_lens) < 4000
    assert evaluation.overall["auroc"].value == pytest.approx(roc_auc_score(is_lens, p["p_lens"]))
    assert set(evaluation.networks) == {"A"}
    assert evaluation.networks["A"].value == pytest.approx(roc_auc_score(is_lens, p["p_A"]))
    compound = np.isin(truth["kind"], KINDS[2:])
    assert evaluation.overall["auroc_compound"].value == pytest.approx(roc_auc_score(compound, p["p_compound"]))
    share = p["p_compound"] / p["p_lens"]
    expected = roc_auc_score(compound[is_lens], share[is_lens])
    assert evaluation.overall["auroc_compound_among_lenses"].value == pytest.approx(expected)


def test_a_network_is_measured_on_what_it_looked_at(tables):
    """The first stage keeps every third object from the committee; its network has no score there."""
    scores, truth = tables
    own = np.array(scores["p_A"].to_pylist(), dtype=float)
    own[::3] = np.nan
    place = scores.column_names.index("p_A")
    partly = scores.set_column(place, scores.schema.field("p_A"), pa.array(own, pa.float64(), mask=np.isnan(own)))
    found = evaluate_scores(partly, truth, PREVALENCE, 0)
    is_seen = ~np.isnan(own)
    is_lens = np.array(truth["kind"].to_pylist()) != "nonlens"
    assert found.n_seen == {"A": int(is_seen.sum())}
    assert evaluate_scores(*tables, PREVALENCE, 0).n_seen == {}
    assert found.networks["A"].value == pytest.approx(roc_auc_score(is_lens[is_seen], own[is_seen]))
    assert f"| A, {is_seen.sum()} objects that the first stage passed | " in evaluation_markdown(found, "test", "numbers")


def test_a_network_that_saw_lenses_alone_has_no_figure(tables):
    scores, truth = tables
    is_lens = np.array(truth["kind"].to_pylist()) != "nonlens"
    place = scores.column_names.index("p_A")
    own = pa.array(np.where(is_lens, 0.5, np.nan), pa.float64(), mask=~is_lens)
    found = evaluate_scores(scores.set_column(place, scores.schema.field("p_A"), own), truth, PREVALENCE, 0)
    assert found.networks == {}
    assert "| network | AUROC |" in evaluation_markdown(found, "test", "numbers")


def test_rejected_lenses_are_counted_and_reported(tables, evaluation):
    scores, truth = tables
    rejected = [k for k, s in zip(truth["kind"].to_pylist(), scores["status"].to_pylist(), strict=True) if s != "scored"]
    assert evaluation.n_rejected == {kind: rejected.count(kind) for kind in KINDS}
    assert min(evaluation.n_rejected.values()) > 0
    assert f"Rejected: {rejected.count('nonlens')} nonlens, {rejected.count('single')} single" in evaluation_markdown(
        evaluation, "test", "random numbers"
    )


def test_an_uncalibrated_mean_has_no_compound_figures_and_no_cuts(tables):
    scores, truth = tables
    column = scores.column_names.index("p_compound")
    mean = scores.set_column(column, "p_compound", pa.nulls(scores.num_rows, pa.float64()))
    evaluation = evaluate_scores(mean, truth, None, np.random.default_rng(0))
    p, kept = arrays(tables)
    is_lens, called = kept["kind"] != "nonlens", p["p_lens"] >= 0.5
    assert evaluation.cuts == ()
    assert {"auroc_compound", "auroc_compound_among_lenses", "calibration_error_at_prevalence"}.isdisjoint(evaluation.overall)
    assert set(evaluation.networks) == {"A"}
    # p is not restated: it is compared with 0.5 directly.
    assert evaluation.overall["recall_at_half"].value == pytest.approx(called[is_lens].mean())
    assert evaluation.overall["precision_at_half"].value == pytest.approx(is_lens[called].mean())
    text = evaluation_markdown(evaluation, "test", "random numbers")
    assert "Expected results of a cut" not in text
    # Nor is there a plot at natural prevalence.
    assert "reliability_log.png" not in text


def test_calibrated_scores_have_no_calibration_error(evaluation):
    found = evaluation.overall
    floor = found["calibration_error_floor"]
    assert floor.low < found["calibration_error"].value < floor.high < 0.03
    assert found["calibration_error"].low < floor.low
    assert found["calibration_error_at_prevalence"].value < 0.003


def test_the_calibration_floor_of_coins():
    """All p are 0.5: the floor is the mean deviation of a binomial share, sqrt(1 / (2 pi n))."""
    n = 2000
    floor = _calibration_floor(np.full(n, 0.5), np.random.default_rng(3))
    assert floor.value == pytest.approx(math.sqrt(1 / (2 * math.pi * n)), rel=0.08)
    assert floor.low < floor.value < floor.high == pytest.approx(2.24 * 0.5 / math.sqrt(n), rel=0.08)


def test_overall_figures_by_other_means(tables, evaluation):
    p, truth = arrays(tables)
    is_lens, p = truth["kind"] != "nonlens", p["p_lens"]
    found, lenses, others = evaluation.overall, p[is_lens], np.sort(p[~is_lens])[::-1]
    # By Bayes: the odds of a lens here, where its share is not the prevalence.
    called = p / (1 - p) * len(lenses) / len(others) * (1 - PREVALENCE) / PREVALENCE >= 1
    assert found["accuracy_at_half"].value == pytest.approx(accuracy_score(is_lens, called))
    assert found["f_beta_at_half"].value == pytest.approx(fbeta_score(is_lens, called, beta=0.03))
    assert found["f_beta_max"].value == pytest.approx(max_f_beta(p, is_lens))
    for n_false in (0, 10):
        tpr = found[f"tpr_at_{n_false}_false_positives"]
        assert tpr.value == pytest.approx((lenses > others[n_false]).mean())
        assert (tpr.low, tpr.high) == recall_interval(p, is_lens, n_false)
    for share in (0.5, 0.75):
        expected = inspected_per_lens(lenses, others, len(others), PREVALENCE, share)
        assert found[f"inspected_per_lens_at_{share}"] == expected


def test_correlations_of_networks_are_those_of_each_class(tables):
    scores, truth = tables
    rng = np.random.default_rng(7)
    is_lens = np.array(truth["kind"].to_pylist()) != "nonlens"
    own = np.array(scores["p_A"].to_pylist(), dtype=float)
    second = np.where(is_lens, own, rng.random(len(own)))
    (found,) = evaluate_scores(scores.append_column("p_B", pa.array(second)), truth, PREVALENCE, 0).correlations
    assert found.networks == ("A", "B")
    assert found.lenses.value > 0.99
    assert abs(found.nonlenses.value) < 0.1


def test_kinds_that_are_absent_have_no_compound_figures(tables):
    scores, truth = tables
    kinds = np.array(truth["kind"].to_pylist())
    names = ("auroc_compound", "auroc_compound_among_lenses")
    for absent, expected in ((("single",), names[:1]), (KINDS[2:], ())):
        chosen = pa.array(~np.isin(kinds, absent))
        overall = evaluate_scores(scores.filter(chosen), truth.filter(chosen), PREVALENCE, 0).overall
        assert tuple(name for name in names if name in overall) == expected


def test_groups_by_brute_force(tables, evaluation):
    p, truth = arrays(tables)
    others = np.sort(p["p_lens"][truth["kind"] == "nonlens"])[::-1]
    found = {(g.property, g.group): g for g in evaluation.groups}
    for i, rate in enumerate(RATES):
        above = p["p_lens"] > others[int(rate * len(others))]
        assert found["kind", "single"].above[i].value == pytest.approx(above[truth["kind"] == "single"].mean())
        twins = (truth["kind"] == "nonlens") & (truth["morphology"] == "twin")
        assert found["look-alike", "twin"].above[i].value == pytest.approx(above[twins].mean())
        radius = np.array([np.nan if r is None else r for r in truth["einstein_radius1_arcsec"]], float)
        assert found["einstein_radius1_arcsec", "0.8 to 1"].above[i].value == pytest.approx(
            above[(radius >= 0.8) & (radius < 1.0)].mean()
        )


def test_thresholds_may_come_from_other_objects(tables, evaluation):
    p, truth = arrays(tables)
    np.testing.assert_array_equal(nonlens_scores(*tables), p["p_lens"][truth["kind"] == "nonlens"])
    # One of these hundred exceeds 0.9, and five exceed 0.5.
    natural = np.array([0.95, 0.9, 0.6, 0.6, 0.6, 0.5] + [0.1] * 94)
    stricter = evaluate_scores(*tables, PREVALENCE, 0, natural, (0.27,))
    assert [cut.p_lens for cut in stricter.cuts] == sorted([*CUTS, 0.27])
    single = next(g for g in stricter.groups if (g.property, g.group) == ("kind", "single"))
    expected = [(p["p_lens"][truth["kind"] == "single"] > threshold).mean() for threshold in (0.9, 0.5)]
    assert [measured.value for measured in single.above] == pytest.approx(expected)
    assert single.kept.value == pytest.approx((p["p_lens"][truth["kind"] == "single"] >= 0.27).mean())
    assert next(g for g in evaluation.groups if g.group == "single").kept is None
    assert [stricter.overall[f"recall_single_at_{rate:g}"].value for rate in RATES] == pytest.approx(expected)
    assert stricter.overall["auroc"] == evaluation.overall["auroc"]
    text = evaluation_markdown(stricter, "test", "random numbers", "other numbers")
    assert "all non-lenses of other numbers exceed" in text
    lenses_alone = [table.filter(pa.compute.not_equal(tables[1]["kind"], "nonlens")) for table in tables]
    with pytest.raises(TrainingError, match="need scored non-lenses"):
        nonlens_scores(*lenses_alone)


def test_all_recalls_and_the_work_are_by_natural_non_lenses(tables, evaluation, rng):
    p, truth = arrays(tables)
    natural, is_single = rng.uniform(0, 1, 5000) ** 20, truth["kind"] == "single"
    sample = NonLensTail.of(np.float32(rng.uniform(0, 1, 20_000)), 0.0)
    found = evaluate_scores(*tables, PREVALENCE, 0, natural, sample=sample)
    ranked = np.sort(natural)[::-1]
    single = {of.rate: of for of in found.matched if of.kind == "single"}
    assert {of.n_nonlenses for of in found.matched} == {5000}
    assert (
        single[0.01].recall.value
        == found.overall["recall_single_at_0.01"].value
        == (p["p_lens"] > ranked[50])[is_single].mean()
    )
    lenses = p["p_lens"][truth["kind"] != "nonlens"]
    for n_false in (0, 10):
        assert found.overall[f"tpr_at_{n_false}_false_positives"].value == (lenses > ranked[n_false]).mean()
    work = inspected_per_lens(lenses, natural, 5000, PREVALENCE, 0.5)
    assert found.overall["inspected_per_lens_at_0.5"] == work != evaluation.overall["inspected_per_lens_at_0.5"]
    words = "Non-lenses of other shards set the thresholds of TPR0, TPR10 and"
    assert words in evaluation_markdown(found, "test", "numbers", "other shards")
    assert words not in evaluation_markdown(found, "test", "numbers")


def test_the_sample_of_the_card_counts_the_work_too(tables, rng, monkeypatch):
    monkeypatch.setattr("training.evaluation.metrics.N_BOOTSTRAP", 2)
    p, truth = arrays(tables)
    lenses = p["p_lens"][truth["kind"] != "nonlens"]
    half = float(np.median(lenses))
    others = rng.uniform(0, 1, 20_000) ** 20
    for least, shares in ((0.0, ("0.5", "0.75")), (0.9 * half, ("0.5",)), (1.1 * half, ())):
        sample = NonLensTail.of(np.float32(others), least)
        overall = evaluate_scores(*tables, PREVALENCE, 0, sample=sample).overall
        assert tuple(f"inspected_per_lens_at_{share}_by_sample" for share in shares) == tuple(
            name for name in overall if name.endswith("_by_sample")
        )
        for share in shares:
            expected = inspected_per_lens(lenses, np.float32(others), 20_000, PREVALENCE, float(share))
            assert overall[f"inspected_per_lens_at_{share}_by_sample"] == expected


def test_the_larger_sample_of_non_lenses_sets_thresholds(tables, evaluation, rng):
    p, truth = arrays(tables)
    others = np.float32(rng.uniform(0, 1, 20_000) ** 20)
    whole, few = (NonLensTail.of(of, 0.0) for of in (others, others[:1000]))
    found = evaluate_scores(*tables, PREVALENCE, 0, sample=whole).matched
    assert found == matched_recalls(p["p_lens"], truth["kind"], others, 20_000)
    assert evaluate_scores(*tables, PREVALENCE, 0, sample=few).matched == evaluation.matched


def test_a_short_sample_leaves_the_recalls_of_these_objects(tables, evaluation):
    sample = NonLensTail(np.linspace(0.99, 1, 64, dtype=np.float32), 0.99, 100_000)
    found = evaluate_scores(*tables, PREVALENCE, 0, sample=sample).matched
    by_rate = [[of for of in recalls if of.rate == 0.01] for recalls in (found, evaluation.matched)]
    assert by_rate[0] == by_rate[1]


def test_a_sample_must_reach_down_to_the_threshold():
    # Eight of ten lenses are three quarters, and reach 0.2; an interpolated quantile would be 0.225.
    lenses = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.3, 0.2, 0.1, 0.0])
    for least, given in ((0.2, 2), (0.21, 1)):
        sample = NonLensTail(np.float32([0.95]), least, 1000)
        assert len(_work_by_sample(lenses, sample, PREVALENCE)) == given


def test_purity_and_numbers_of_a_cut_by_bayes(tables, evaluation):
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    for cut in evaluation.cuts:
        recall, false = (p["p_lens"][is_lens] >= cut.p_lens).mean(), (p["p_lens"][~is_lens] >= cut.p_lens).mean()
        assert cut.recall.value == pytest.approx(recall)
        assert cut.n_false_positives == sum(score >= cut.p_lens for score in p["p_lens"][~is_lens])
        assert cut.to_inspect_per_million.value == pytest.approx(1e4 * recall + 0.99e6 * false)
        assert cut.purity.value == pytest.approx(1e4 * recall / (1e4 * recall + 0.99e6 * false))
        assert cut.purity.low < cut.purity.value <= cut.purity.high
    assert [cut.p_lens for cut in evaluation.cuts] == list(CUTS)


def test_a_natural_mix_of_lenses_has_its_own_recall(tables, evaluation):
    """Three of ten singles and four of five compound lenses pass: with 2 % compound lenses, 0.98 x 0.3 + 0.02 x 0.8 pass."""
    kinds = np.array(["single"] * 10 + ["double_ring"] * 2 + ["compound_arc"] * 3 + ["nonlens"] * 4)
    is_above = np.array([True] * 3 + [False] * 7 + [True] * 4 + [False] + [True] * 4)
    found = natural_recall(is_above, kinds, 0.02)
    assert found.value == pytest.approx(0.98 * 0.3 + 0.02 * 0.8)
    low, high = zip(*(binomtest(k, n).proportion_ci(method="wilson") for k, n in ((3, 10), (4, 5))), strict=True)
    assert (found.low, found.high) == pytest.approx((0.98 * low[0] + 0.02 * low[1], 0.98 * high[0] + 0.02 * high[1]))
    assert natural_recall(is_above, np.where(kinds == "single", "nonlens", kinds), 0.02) is None
    assert {cut.natural_recall for cut in evaluation.cuts} == {None}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 2)
        cuts = evaluate_scores(*tables, PREVALENCE, 0, compound_share=0.02).cuts
    # Kinds of lens score alike here, so that the mix changes little.
    assert all(cut.natural_recall.low <= cut.recall.value <= cut.natural_recall.high for cut in cuts)


def test_a_cut_without_false_positives_has_an_uncertain_purity():
    """Wilson's limit is z^2 / (n + z^2) for 0 of n, and one minus this for n of n."""
    n, prevalence, limit = 10_000, 5e-4, 1.959964**2 / (10_000 + 1.959964**2)
    p, is_lens = np.repeat([0.9, 1e-4], n), np.repeat([True, False], n)
    cut = cut_at(p, is_lens, prevalence, 0.5)
    assert (cut.n_false_positives, cut.purity.value, cut.purity.high) == (0, 1, 1)
    lenses, others = 500 * (1 - limit), 999_500 * limit
    assert cut.purity.low == pytest.approx(lenses / (lenses + others), rel=1e-6)
    assert (cut.to_inspect_per_million.low, cut.to_inspect_per_million.high) == pytest.approx((lenses, 500 + others), rel=1e-6)
    unreached = cut_at(p, is_lens, prevalence, 0.95)
    assert unreached.purity is unreached.expected_purity is None
    assert unreached.to_inspect_per_million.high == pytest.approx((500 + 999_500) * limit, rel=1e-6)


def test_calibrated_scores_have_the_expected_purity(tables, evaluation):
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    weights = np.where(is_lens, PREVALENCE / is_lens.sum(), (1 - PREVALENCE) / (~is_lens).sum())
    for cut in evaluation.cuts:
        above = p["p_lens"] >= cut.p_lens
        assert cut.expected_purity == pytest.approx(np.average(p["p_lens"][above], weights=weights[above]))
        assert cut.purity.low < cut.expected_purity < cut.purity.high
    boastful = cut_at(np.minimum(p["p_lens"] * 5, 1), is_lens, PREVALENCE, 0.1)
    assert boastful.expected_purity > boastful.purity.high


def test_one_class_only_is_refused(tables):
    scores, truth = tables
    lenses = np.array(truth["kind"].to_pylist()) != "nonlens"
    for chosen in (pa.array(lenses), pa.array(~lenses)):
        with pytest.raises(TrainingError, match="lenses and non-lenses"):
            evaluate_scores(scores.filter(chosen), truth.filter(chosen), None, np.random.default_rng(0))
    nameless = replaced(tables, [0.5, 0.5, 0.5], kind=["single", "nonlens", None])
    with pytest.raises(TrainingError, match=r"got \['None', 'nonlens', 'single'\]"):
        evaluate_scores(*nameless, None, 0)
