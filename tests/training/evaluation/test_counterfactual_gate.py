import numpy as np
import pytest

from training.evaluation.counterfactual_gate import BRIGHTER, MOST_FALL, gate_markdown, gate_metrics, judge

N = 40


def p_of(odds):
    return 1 / (1 + np.exp(-np.asarray(odds, float)))


def scored(**changes):
    """Return scores of N lenses with log-odds about 2, and of the changes given as shifts of their log-odds."""
    before = 2 + np.linspace(-1, 1, N)
    return {"unchanged": p_of(before), **{name.replace("_", " "): p_of(before + shift) for name, shift in changes.items()}}


def judged(**changes):
    return judge(scored(**changes), 0.001, 0)


def test_the_change_of_the_median_is_the_shift():
    (_, effect) = judged(red_source=-0.75).effects
    assert effect.change == "red source"
    assert effect.median_change.value == pytest.approx(-0.75)
    assert effect.median_change.low == pytest.approx(-0.75, abs=1e-9)
    assert effect.below_cut.value == 0


def test_a_brighter_source_must_not_cost_anything():
    rising = {name.replace(" ", "_"): 0.5 * i for i, name in enumerate(BRIGHTER, start=1)}
    assert judged(**rising).passes
    falling = rising | {"source_3_mag_brighter": 0.9}
    (failure,) = judged(**falling).failures
    assert failure == "source 3 mag brighter: the median log-odds must not fall as sources brighten, they fall by 0.10"


@pytest.mark.parametrize(("change", "most"), MOST_FALL.items())
def test_a_weak_reason_may_cost_a_little(change, most):
    name = change.replace(" ", "_")
    assert judged(**{name: -most + 0.01}).passes
    (failure,) = judged(**{name: -most - 0.01}).failures
    assert failure.startswith(f"{change}: the median log-odds must fall by at most {most:g}")


def test_lenses_without_arcs_must_be_excluded():
    assert judged(no_arcs=-12.0).passes
    scores = scored(no_arcs=-12.0)
    scores["no arcs"][:3] = 0.01  # between the threshold and 0.5
    gate = judge(scores, 0.001, 0)
    assert gate.effects[1].below_cut.value == pytest.approx(37 / 40)
    assert gate.failures == ("no arcs: at least 95% must be below the candidates' threshold, 92.5% are",)


def test_figures_and_table():
    gate = judged(no_arcs=-12.0, red_source=-0.5)
    figures = gate_metrics(gate)
    assert figures["counterfactual_red_source"] == pytest.approx(-0.5)
    assert figures["counterfactual_no_arcs_below_cut"] == 1.0
    text = gate_markdown(gate)
    assert "| red source | -0.50 (-0.50 to -0.50) | 0.000 (0.000 to 0.088) |" in text
    assert "The gate is passed." in text


def test_scores_must_be_of_the_same_lenses():
    with pytest.raises(ValueError, match="equally many lenses"):
        judge({"unchanged": np.full(3, 0.5), "no arcs": np.full(2, 0.5)}, 0.001, 0)
    with pytest.raises(ValueError, match="'unchanged' among the changes"):
        judge({"no arcs": np.full(2, 0.5)}, 0.001, 0)


@pytest.mark.parametrize(("change", "most"), MOST_FALL.items())
def test_a_fall_just_beyond_its_limit_looks_so(change, most):
    (failure,) = judged(**{change.replace(" ", "_"): -most - 0.0004}).failures
    assert failure.endswith(f"by at most {most:g}, they fall by {most + 0.0004:.4f}")
