"""The stage that looks at the candidates, fitted on margins set by hand."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from scanner.networks.kind_regression import kind_features
from scanner.vocabulary.kinds import KINDS
from tests.scanner.cascades import CANDIDATE, second_opinion, stack
from training.candidate_stage import (
    OPINION_SHARE,
    final_p_lens,
    fit_kind_regression,
    fit_lens_regression,
    make_candidate_stage,
    reaching,
)
from training.evaluation.calibrate import fit_lens_curve
from training.evaluation.metrics import auroc
from training.margins import Margins

N = 4000
CUT = 1e-6
"""A cut that nearly every object reaches."""


@pytest.fixture
def natural(rng):
    """Margins of a committee that sees the kinds poorly, and of a network that sees them well but knows no lenses."""
    kinds = rng.choice(len(KINDS), N, p=(0.5, 0.3, 0.1, 0.1)).astype(np.int8)
    truth = np.eye(len(KINDS))[kinds]
    lens = np.where(kinds > 0, 5.0, -5.0)[:, None]
    poor = {name: truth[:, 1:] + lens + rng.normal(0, 1.5, (N, 3)) for name in ("A", "B")}
    return Margins({**poor, "K": 4 * truth[:, 1:] + rng.normal(0, 1.5, (N, 3))}, kinds)


def test_the_regression_gives_the_probabilities_of_the_model(rng):
    # Features of each kind are normal about its mean with one width: then the odds are known.
    counts, at = (3000, 1500, 500), ((-4.0, -4.0), (4.0, 0.0), (0.0, 4.0))
    kinds = np.repeat(np.arange(1, 4), counts).astype(np.int8)
    log_odds = np.repeat(at, counts, axis=0) / 4 + rng.normal(size=(len(kinds), 2))
    margins = np.concatenate([np.zeros((len(kinds), 1)), log_odds], axis=1)
    lenses = Margins({"A": np.zeros((len(kinds), 3)), "K": margins}, kinds)
    regression = fit_kind_regression(lenses, ("A",), "K")
    assert regression.training_fractions == (0.6, 0.3, 0.1)
    means = np.array(at) / 4
    log_p = log_odds @ means.T - (means**2).sum(axis=1) / 2 + np.log(np.array(counts) / 5000)
    expected = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
    assert np.abs(regression.fitted_probabilities(lenses.by_network) - expected).mean() < 0.02


def test_the_candidate_network_helps_the_committee(natural):
    stage = make_candidate_stage(CANDIDATE, stack(("A", "B")), natural, 0.02, CUT)
    assert stage.network.name == stage.combiner.network == "K"
    assert stage.combiner.committee == ("A", "B")
    assert stage.combiner.compound_share == 0.02
    assert stage.metrics["auroc_compound"] > 0.95
    assert 0.6 < stage.metrics["auroc_compound_of_committee"] < 0.9
    lenses = natural.rows(natural.is_lens)
    features = kind_features(lenses.by_network, ("A", "B"), "K", stage.combiner.clip)
    np.testing.assert_allclose(stage.combiner.centre, features.mean(axis=0))


def test_nonlenses_change_nothing_about_the_kinds(natural):
    changed = {name: np.where(natural.is_lens[:, None], of, 7.0) for name, of in natural.by_network.items()}
    both = natural, Margins(changed, natural.kinds)
    stages = [make_candidate_stage(CANDIDATE, stack(("A", "B")), of, 0.02, CUT) for of in both]
    assert stages[0].combiner == stages[1].combiner


def test_figures_are_of_lenses_that_were_not_fitted(natural, rng):
    # Margins without information must look so, however many features fit noise.
    noise = {name: rng.normal(size=(N, 3)) for name in ("A", "B", "K")}
    metrics = make_candidate_stage(CANDIDATE, stack(("A", "B")), Margins(noise, natural.kinds), 0.02, CUT).metrics
    assert metrics["auroc_compound"] == pytest.approx(0.5, abs=0.04)


def test_figures_are_measured_on_the_other_half(natural):
    few = natural.rows(np.arange(N) < 400)
    metrics = make_candidate_stage(CANDIDATE, stack(("A", "B")), few, 0.02, CUT).metrics
    fitted_on = np.random.default_rng(0).permutation(400) % 2 == 0
    fitted, other = (few.rows(few.is_lens & half) for half in (fitted_on, ~fitted_on))
    p_single = fit_kind_regression(fitted, ("A", "B"), "K").fitted_probabilities(other.by_network)[:, 0]
    assert metrics["auroc_compound"] == pytest.approx(roc_auc_score(other.kinds > 1, 1 - p_single))
    p = stack(("A", "B")).probabilities(other.by_network)
    given_lens = 1 - p[:, 1] / p[:, 1:].sum(axis=1)
    assert metrics["auroc_compound_of_committee"] == pytest.approx(roc_auc_score(other.kinds > 1, given_lens))


def log_odds_of_two(rng, n, variance):
    """Draw log-odds of a lens, `[2, object]`, calibrated each by itself and independent, and which objects are lenses."""
    is_lens = np.arange(n) % 2 == 0
    middle = np.where(is_lens, variance / 2, -variance / 2)
    return middle + np.sqrt(variance) * rng.normal(size=(2, n)), is_lens


def two_networks(rng, n=40000, variance=4.0):
    """Return margins of a committee A and of K, whose log-odds of a lens are calibrated, and as good as A's."""
    (of_a, of_k), is_lens = log_odds_of_two(rng, n, variance)
    kinds = np.where(is_lens, 1 + np.arange(n) // 2 % 3, 0).astype(np.int8)
    # A network's log-odds of a lens are those of its three kinds of lens together.
    margins = {name: np.repeat(of[:, None] - np.log(3), 3, axis=1) for name, of in (("A", of_a), ("K", of_k))}
    return Margins(margins, kinds)


def test_the_log_odds_of_independent_networks_add_up(rng):
    found = fit_lens_regression(two_networks(rng), stack(("A",)), "K", 1e-9)
    # The sum is what is right: twice the mean.
    assert found.network_share == 0.5
    assert found.slope == pytest.approx(2.0, abs=0.05)
    assert found.bias == pytest.approx(0.0, abs=0.06)


def test_a_straight_line_that_is_right_stays_straight(rng):
    natural = two_networks(rng)
    found = fit_lens_regression(natural, stack(("A",)), "K", 1e-9)
    np.testing.assert_allclose(found.curve.becomes, found.curve.at, atol=0.25)
    of_a, of_k = (natural.by_network[name][:, 0] + np.log(3) for name in "AK")
    assert np.abs(found.log_odds(of_a, natural.by_network["K"]) - of_a - of_k).mean() < 0.2


def test_the_surest_objects_are_promised_no_more_than_they_hold(rng):
    """The true log-odds of a lens rise half as fast above 4, where a straight line goes on."""
    n = 200_000
    log_odds = rng.normal(0, 4, n)
    truth = np.minimum(log_odds, 4) + 0.5 * np.maximum(log_odds - 4, 0)
    kinds = np.where(rng.random(n) < expit(truth), rng.integers(1, 4, n), 0).astype(np.int8)
    margins = np.repeat(log_odds[:, None] - np.log(3), 3, axis=1)
    found = fit_lens_regression(Margins({"A": margins, "K": margins}, kinds), stack(("A",)), "K", 1e-9)
    sure = log_odds > 7
    says = {curve: found.model_copy(update={"curve": curve}).log_odds(log_odds, margins) for curve in (found.curve, None)}
    errors = {curve: np.abs(of - truth)[sure].mean() for curve, of in says.items()}
    assert errors[found.curve] < 0.3
    assert errors[None] > 1.0


def test_a_network_that_knows_lenses_corrects_the_committee(rng):
    natural = two_networks(rng)
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 0.01)
    assert stage.lens.from_p_lens == 0.01
    # The mean of two calibrated log-odds of variance 4: lenses and others differ by 4 at a variance of 2.
    half = reaching(natural, stack(("A",)), 1e-9)
    both = final_p_lens(
        stack(("A",)), stage.model_copy(update={"lens": stage.lens.model_copy(update={"from_p_lens": 1e-9})}), half
    )
    assert auroc(both, half.is_lens) == pytest.approx(norm.cdf(2.0), abs=0.005)
    assert stage.metrics["auroc_lens"] > stage.metrics["auroc_lens_of_committee"] + 0.03
    assert stage.metrics["log_loss"] < stage.metrics["log_loss_of_committee"] - 0.03


def test_the_correction_starts_at_its_limit(rng):
    natural = two_networks(rng)
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 0.01)
    before, after = (final_p_lens(stack(("A",)), of, natural) for of in (None, stage))
    assert (before != after).tolist() == (before >= np.float32(0.01)).tolist()


def test_a_network_that_knows_no_lenses_corrects_nothing(rng):
    natural = two_networks(rng)
    noisy = Margins({**natural.by_network, "K": rng.normal(size=(len(natural.kinds), 3))}, natural.kinds)
    stages = [
        make_candidate_stage(CANDIDATE, stack(("A",)), noisy.rows(np.arange(40000) // 5000 == k), 0.02, CUT) for k in range(8)
    ]
    assert [stage.lens for stage in stages] == [None] * 8
    # Too few to try a correction on one half of them are too few for one.
    thirty = noisy.rows(natural.is_lens | (np.arange(40000) < 60))
    assert fit_lens_regression(thirty, stack(("A",)), "K", 1e-9) is not None
    assert make_candidate_stage(CANDIDATE, stack(("A",)), thirty, 0.02, CUT).lens is None
    against = {**natural.by_network, "K": -3 * natural.by_network["K"]}
    assert fit_lens_regression(Margins(against, natural.kinds), stack(("A",)), "K", 1e-9) is None
    few = natural.rows(natural.is_lens | (np.arange(40000) < 38))
    assert fit_lens_regression(few, stack(("A",)), "K", 1e-9) is None


def test_a_network_without_information_does_not_pass_for_a_calibration(rng):
    natural = two_networks(rng)
    # The committee is three times too sure, and K says the same of every object.
    sure = {"A": 3 * natural.by_network["A"] + 2 * np.log(3), "K": np.full_like(natural.by_network["K"], 0.5)}
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), Margins(sure, natural.kinds), 0.02, CUT)
    assert stage.lens is None
    assert stage.metrics["log_loss"] == pytest.approx(stage.metrics["log_loss_of_committee"], abs=1e-3)


def test_an_object_that_looks_certain_prevents_no_correction(rng):
    natural = two_networks(rng)
    surely = {"A": natural.by_network["A"].copy(), "K": natural.by_network["K"].copy()}
    # Non-lenses, in both halves, that float32 calls lenses with a probability of 1.
    surely["A"][1:41:2] = 19.9
    surely["K"][1:41:2] = -9.0
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), Margins(surely, natural.kinds), 0.02, CUT)
    assert stage.lens is not None


def test_the_correction_is_fitted_on_all_draws(rng):
    natural = two_networks(rng, 4000)
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 0.01)
    assert stage.lens == fit_lens_regression(natural, stack(("A",)), "K", 0.01)


def test_a_correction_must_gain_two_standard_errors(rng):
    """K knows a little: how much it helps is counted on the half of the draws that its correction is not fitted on."""
    n, ratios = 2000, []
    fitted_on = np.random.default_rng(0).permutation(n) % 2 == 0
    for variance in np.linspace(0.01, 0.3, 12):
        ((of_a, _), is_lens), ((of_k, _), _) = (log_odds_of_two(rng, n, of) for of in (4.0, variance))
        kinds = np.where(is_lens, 1 + np.arange(n) // 2 % 3, 0).astype(np.int8)
        margins = {name: np.repeat(of[:, None] - np.log(3), 3, axis=1) for name, of in (("A", of_a), ("K", of_k))}
        natural = Margins(margins, kinds)
        stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 1e-9)
        regression = fit_lens_regression(natural.rows(fitted_on), stack(("A",)), "K", 1e-9)
        other, sign = natural.rows(~fitted_on), np.where(is_lens, 1, -1)[~fitted_on]
        # The committee alone is calibrated anew, in the same way.
        line = LogisticRegression(max_iter=2000).fit(of_a[fitted_on, None], is_lens[fitted_on])
        straight = line.coef_[0, 0] * of_a + line.intercept_[0]
        alone = fit_lens_curve(straight[fitted_on], is_lens[fitted_on]).calibrated(straight[~fitted_on])
        before = -np.log(expit(sign * alone))
        corrected = regression.log_odds(of_a[~fitted_on], other.by_network["K"])
        after = -np.log(expit(sign * corrected))
        assert stage.metrics["auroc_lens_of_committee"] == pytest.approx(roc_auc_score(sign, alone))
        assert stage.metrics["auroc_lens"] == pytest.approx(roc_auc_score(sign, corrected))
        assert stage.metrics["log_loss_of_committee"] == pytest.approx(before.mean(), rel=1e-9)
        assert stage.metrics["log_loss"] == pytest.approx(after.mean(), rel=1e-9)
        ratios.append(np.mean(before - after) / (np.std(before - after) / np.sqrt(len(before))))
        assert (stage.lens is not None) == (ratios[-1] > 2)
    # The limit decides: some gain less, and some hardly more.
    assert np.histogram(ratios, [-np.inf, 1, 2, 3, np.inf])[0].min() > 0


def test_objects_below_the_limit_count_for_nothing(rng):
    natural, limit = two_networks(rng, 4000), 0.01
    reached = reaching(natural, stack(("A",)), limit)
    assert 1000 < len(reached.kinds) < 3000
    found = fit_lens_regression(natural, stack(("A",)), "K", limit)
    assert found == fit_lens_regression(reached, stack(("A",)), "K", limit)
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, limit)
    fitted_on = np.random.default_rng(0).permutation(4000) % 2 == 0
    half, other = (reaching(natural.rows(of), stack(("A",)), limit) for of in (fitted_on, ~fitted_on))
    of_half, of_other = (of.by_network["A"][:, 0] + np.log(3) for of in (half, other))
    corrected = fit_lens_regression(half, stack(("A",)), "K", limit).log_odds(of_other, other.by_network["K"])
    line = LogisticRegression(max_iter=2000).fit(of_half[:, None], half.is_lens)
    straight, along = (line.coef_[0, 0] * of + line.intercept_[0] for of in (of_half, of_other))
    alone = fit_lens_curve(straight, half.is_lens).calibrated(along)
    for name, log_odds in (("log_loss", corrected), ("log_loss_of_committee", alone)):
        loss = -np.log(expit(np.where(other.is_lens, log_odds, -log_odds)))
        assert stage.metrics[name] == pytest.approx(loss.mean(), rel=1e-6)


def test_a_second_opinion_corrects_where_it_helps(rng):
    """Its networks err on other objects: with it, the log loss on the half that is not fitted is lower."""
    natural = two_networks(rng, 4000)
    truth = np.where(natural.is_lens, 2.0, -2.0)[:, None] / 2
    others = {name: truth + rng.normal(0, 1, (4000, 1)) * np.ones(3) for name in ("other-A", "other-B")}
    natural = Margins({**natural.by_network, **others}, natural.kinds)
    stages = [make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 0.01, of) for of in (None, second_opinion())]
    assert stages[1].metrics["log_loss"] < 0.97 * stages[0].metrics["log_loss"]
    assert stages[0].opinion is None
    assert stages[1].opinion == second_opinion()
    assert stages[1].lens.opinion_share == OPINION_SHARE
    # p_lens is what the stage on the card gives, and the curve is fitted on the mean with the second opinion in it.
    p_lens = final_p_lens(stack(("A",)), stages[1], natural)
    chosen = reaching(natural, stack(("A",)), 0.01)
    mean = stages[1].lens.mean_log_odds(
        stack(("A",)).fitted_log_odds(chosen.by_network),
        chosen.by_network["K"],
        stack(("other-A", "other-B")).fitted_log_odds(chosen.by_network),
    )
    line = LogisticRegression(max_iter=2000).fit(mean[:, None], chosen.is_lens)
    assert stages[1].lens.slope == pytest.approx(line.coef_[0, 0])
    assert (p_lens != final_p_lens(stack(("A",)), stages[0], natural)).sum() == len(chosen.kinds)


def test_a_second_opinion_without_a_correction_is_left_out(natural, rng):
    noise = {name: rng.normal(size=(N, 3)) for name in natural.by_network}
    others = {name: rng.normal(size=(N, 3)) for name in ("other-A", "other-B")}
    stage = make_candidate_stage(
        CANDIDATE, stack(("A", "B")), Margins({**noise, **others}, natural.kinds), 0.02, CUT, second_opinion()
    )
    assert stage.lens is None
    assert stage.opinion is None


def test_twenty_nonlenses_are_enough_but_lenses_are_needed(rng):
    natural = two_networks(rng, 4000)
    twenty = natural.rows(natural.is_lens | (np.arange(4000) < 40))
    assert (~twenty.is_lens).sum() == 20
    assert fit_lens_regression(twenty, stack(("A",)), "K", 1e-9) is not None
    assert fit_lens_regression(natural.rows(~natural.is_lens), stack(("A",)), "K", 1e-9) is None


def test_an_object_at_the_limit_is_corrected(rng):
    natural = two_networks(rng, 4000)
    p_lens = stack(("A",)).combine(natural.by_network).p_lens
    limit = float(np.sort(p_lens)[3000])
    assert len(reaching(natural, stack(("A",)), limit).kinds) == 1000
    stage = make_candidate_stage(CANDIDATE, stack(("A",)), natural, 0.02, 0.01)
    stage = stage.model_copy(update={"lens": stage.lens.model_copy(update={"from_p_lens": limit})})
    assert (final_p_lens(stack(("A",)), stage, natural) != p_lens).tolist() == (p_lens >= np.float32(limit)).tolist()
    # The limit is not rounded: a number between this score and the next is above it.
    assert len(reaching(natural, stack(("A",)), float(np.nextafter(limit, 1))).kinds) == 999
