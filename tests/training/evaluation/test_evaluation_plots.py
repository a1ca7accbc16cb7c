"""Tests of the plots of an evaluation, of their data rather than their pixels."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from tests.training.evaluation.known_scores import PREVALENCE, arrays
from training.evaluation.evaluate import BINS
from training.evaluation.evaluation_plots import draw_evaluation
from training.evaluation.reliability import reliability_bins


@pytest.fixture(scope="module")
def drawn(tables, evaluation, tmp_path_factory):
    """Draw the plots; return the folder, scores and truth, and what every step curve and error bar was drawn from."""
    folder, curves, bars = tmp_path_factory.mktemp("plots"), {}, []
    step, errorbar = Axes.step, Axes.errorbar

    def record_curve(axes, x, y, **style):
        curves[style["label"]] = x, y
        return step(axes, x, y, **style)

    def record_bars(axes, *values, **style):
        bars.append(values)
        return errorbar(axes, *values, **style)

    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Axes, "step", record_curve)
        patched.setattr(Axes, "errorbar", record_bars)
        draw_evaluation(folder, evaluation, {"p_lens": p["p_lens"], "A": p["p_A"]}, is_lens)
    return folder, p["p_lens"], is_lens, curves, bars


def test_pictures_are_written(drawn):
    for name in ("roc.png", "reliability.png", "reliability_log.png", "completeness.png"):
        assert (drawn[0] / name).read_bytes().startswith(b"\x89PNG")


def test_the_roc_curve_counts_lenses_and_others(drawn):
    _, p, is_lens, curves, _ = drawn
    assert list(curves) == ["p_lens", "A"]
    false, true = curves["p_lens"]
    for threshold in (0.001, 0.01, 0.1):
        at = np.searchsorted(true, (p[is_lens] >= threshold).mean() - 1e-12)
        assert false[at] == pytest.approx((p[~is_lens] >= threshold).mean(), abs=1e-3)


def test_objects_that_a_network_lacks_are_left_out(tables, evaluation, tmp_path, monkeypatch):
    curves, step = [{}, {}], Axes.step
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    rng = np.random.default_rng(0)
    seen = rng.random(len(is_lens)) < 0.6
    partial = {"p_lens": p["p_lens"], "A": np.where(seen, p["p_A"], np.nan)}
    partial |= {"lenses alone": np.where(is_lens, p["p_A"], np.nan), "nothing": np.full(len(is_lens), np.nan)}
    for found, order in zip(curves, (np.arange(len(is_lens)), rng.permutation(len(is_lens))), strict=True):

        def record(axes, x, y, *, found=found, **style):
            found[style["label"]] = x, y
            return step(axes, x, y, **style)

        monkeypatch.setattr(Axes, "step", record)
        draw_evaluation(tmp_path, evaluation, {name: values[order] for name, values in partial.items()}, is_lens[order])
    assert [list(found) for found in curves] == [["p_lens", "A"]] * 2
    for one, other in zip(curves[0]["A"], curves[1]["A"], strict=True):
        np.testing.assert_array_equal(one, other)
    false, true = curves[0]["A"]
    assert (false[-1], true[-1], len(false)) == (1, 1, len(np.unique(p["p_A"][seen])))


def test_reliability_compares_restated_scores_with_lens_shares(drawn):
    """Scores are restated to the share of lenses by Bayes' rule: odds times the ratio of the prior odds."""
    _, p, is_lens, _, bars = drawn
    share = is_lens.mean()
    odds = p / (1 - p) / (PREVALENCE / (1 - PREVALENCE)) * share / (1 - share)
    here = odds / (1 + odds)
    points = [given for given in bars if np.ndim(given[0]) == 0][:10]
    for b, (x, y, error) in enumerate(points):
        inside = (here >= b / 10) & (here < (b + 1) / 10)
        assert (x, y) == pytest.approx((here[inside].mean(), is_lens[inside].mean()))
        assert min(np.ravel(error)) >= 0


def test_reliability_at_the_prevalence_has_a_point_for_each_bin(drawn):
    _, p, is_lens, _, bars = drawn
    bins = [of for of in reliability_bins(p, is_lens, PREVALENCE) if of.n_lenses + of.n_nonlenses]
    points = [given for given in bars if np.ndim(given[0]) == 0][10:]
    assert len(points) == len(bins) > 10
    for of, (x, y, error) in zip(bins, points, strict=True):
        assert (x, y) == pytest.approx((of.mean_p, max(of.fraction.value, 1e-6)))
        assert y + error[1][0] == pytest.approx(max(of.fraction.high, y))
        assert y - error[0][0] == pytest.approx(max(of.fraction.low, 1e-6))


def test_scores_without_a_prevalence_have_one_reliability(tables, evaluation, tmp_path):
    p, truth = arrays(tables)
    uncalibrated = evaluation.model_copy(update={"prevalence": None})
    draw_evaluation(tmp_path, uncalibrated, {"p_lens": p["p_lens"]}, truth["kind"] != "nonlens")
    assert {path.name for path in tmp_path.iterdir()} == {"roc.png", "reliability.png", "completeness.png"}


def test_completeness_has_a_panel_for_each_property(drawn, evaluation):
    lines = [given for given in drawn[4] if np.ndim(given[0]) > 0]
    assert len(lines) == 2 * len(BINS)
    values = [group.above[0].value for group in evaluation.groups if group.property == next(iter(BINS))]
    np.testing.assert_allclose(lines[0][1], values)
