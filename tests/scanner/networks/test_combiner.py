import math

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.combiner import MeanCombiner, SoftmaxStack, spread, stack_features
from scanner.networks.lens_curve import LensCurve
from scanner.vocabulary.kinds import KINDS


def stack(**changes):
    content = {
        "kind": "softmax_stack",
        "networks": ("a", "b"),
        "classes": KINDS,
        "clip": 5.0,
        "centre": (1.0, -1.0),
        "scale": (2.0, 0.5),
        "weights": ((-1.0, -0.5), (0.3, 0.1), (0.2, 0.4), (0.5, -0.2)),
        "biases": (0.5, 0.1, -0.2, -0.4),
        "training_fractions": (0.4, 0.3, 0.2, 0.1),
        "prevalence": None,
    }
    return SoftmaxStack(**{**content, **changes})


MARGINS = {"a": np.array([[0.3], [-9.0], [100.0]]), "b": np.array([[-1.2], [2.0], [-0.4]])}


def by_hand(i):
    a, b = (max(-5, min(5, MARGINS[name][i, 0])) for name in "ab")
    x = [(a - 1) / 2, (b + 1) / 0.5]
    card = stack()
    z = [math.exp(w[0] * x[0] + w[1] * x[1] + bias) for w, bias in zip(card.weights, card.biases, strict=True)]
    return [value / sum(z) for value in z]


def test_softmax_stack_by_hand():
    got = stack().combine(MARGINS)
    for i in range(3):
        p = by_hand(i)
        assert got.p_lens[i] == pytest.approx(1 - p[0], abs=1e-6)
        assert got.p_compound[i] == pytest.approx(p[2] + p[3], abs=1e-6)
        nonlens = stack().training_fractions[0]
        like_a_lens = (1 - p[0]) / (1 - nonlens) >= p[0] / nonlens
        assert got.subclass[i] == (KINDS[p.index(max(p[1:]))] if like_a_lens else "nonlens")
    assert got.p_lens.dtype == got.p_compound.dtype == np.float32


def test_prior_shift_by_bayes():
    """Likelihoods times the new prior: p(k|x)/pi_k * pi'_k, the mix of lens kinds unchanged."""
    new = [0.99, 0.01 * 0.3 / 0.6, 0.01 * 0.2 / 0.6, 0.01 * 0.1 / 0.6]
    got = stack(prevalence=0.01).probabilities(MARGINS)
    for i in range(3):
        product = [p * n / f for p, n, f in zip(by_hand(i), new, (0.4, 0.3, 0.2, 0.1), strict=True)]
        assert got[i] == pytest.approx([value / sum(product) for value in product], abs=1e-12)


def test_rare_compound_lenses_by_bayes():
    """One lens in fifty is compound instead of one in two; `p_lens` does not change."""
    rare, fitted = stack().assuming(0.01, 0.02).combine(MARGINS), stack().assuming(0.01, None).combine(MARGINS)
    assert np.array_equal(rare.p_lens, fitted.p_lens)
    for i in range(3):
        _, single, arc, ring = by_hand(i)
        odds = (arc + ring) / single * (0.02 / 0.98) / (0.3 / 0.3)
        assert rare.p_compound[i] / rare.p_lens[i] == pytest.approx(odds / (1 + odds), rel=1e-5)
        assert fitted.p_compound[i] / fitted.p_lens[i] == pytest.approx((arc + ring) / (arc + ring + single), rel=1e-5)


@pytest.mark.parametrize(("prevalence", "share"), [(None, None), (0.01, None), (0.01, 0.02), (0.3, 0.9)])
def test_kinds_of_a_lens_by_bayes(prevalence, share):
    """Likelihoods times the new frequencies of the kinds; arcs and rings keep their fitted ratio of 2 to 1."""
    got = stack().assuming(prevalence, share).combine(MARGINS)
    assumed = 0.5 if share is None else share
    for i in range(3):
        likelihoods = [p / fraction for p, fraction in zip(by_hand(i)[1:], (0.3, 0.2, 0.1), strict=True)]
        product = [li * new for li, new in zip(likelihoods, (1 - assumed, assumed * 2 / 3, assumed / 3), strict=True)]
        assert got.kinds_given_lens[i] == pytest.approx([value / sum(product) for value in product], abs=1e-6)
    assert got.kinds_given_lens.sum(axis=1) == pytest.approx(1, abs=2e-7)
    assert got.p_compound == pytest.approx(got.p_lens * got.kinds_given_lens[:, 1:].sum(axis=1), abs=2e-7)
    assert got.kinds_given_lens.dtype == np.float32


def test_a_lens_curve_changes_the_odds_of_a_lens_alone():
    """Odds of a lens by hand, then by the prevalence; kinds of lens keep their ratios."""
    curve = LensCurve(at=(-0.5, 0.5), becomes=(-2.0, 1.0), slopes=(2.0, 0.5))
    straight, curved = stack(), stack(lens_curve=curve)
    p = curved.probabilities(MARGINS)
    for i in range(3):
        before = by_hand(i)
        x = math.log((1 - before[0]) / before[0])
        z = -2 + 2 * (x + 0.5) if x < -0.5 else 1 + 0.5 * (x - 0.5) if x > 0.5 else -2 + 3 * (x + 0.5)
        assert 1 - p[i, 0] == pytest.approx(1 / (1 + math.exp(-z)), abs=1e-12)
        assert p[i, 1:] / p[i, 1:].sum() == pytest.approx([value / sum(before[1:]) for value in before[1:]], abs=1e-12)
        odds = math.exp(z) * (0.01 / 0.99) / (0.6 / 0.4)
        assert curved.assuming(0.01, None).combine(MARGINS).p_lens[i] == pytest.approx(odds / (1 + odds), rel=1e-6)
    given = [combiner.combine(MARGINS).kinds_given_lens for combiner in (straight, curved)]
    assert given[1] == pytest.approx(given[0], abs=1e-6)


def test_a_stack_states_only_the_curve_and_pooling_it_has():
    """Cards that were written before keep their digest."""
    assert {"lens_curve", "pooling"}.isdisjoint(stack().what_decides())
    assert stack(pooling="without_lowest").what_decides()["pooling"] == "without_lowest"
    curve = LensCurve(at=(0.0,), becomes=(0.0,), slopes=(1.0, 1.0))
    assert stack(lens_curve=curve).what_decides()["lens_curve"]["slopes"] == [1.0, 1.0]


def test_the_subclass_does_not_follow_the_prevalence():
    assert stack().assuming(1e-6, 1e-3).combine(MARGINS).subclass == stack().combine(MARGINS).subclass


def test_the_subclass_does_not_follow_the_number_of_nonlenses():
    """Thirty times as many non-lenses in the fit add ln 30 to the bias of a regression that is otherwise the same."""
    few, biases = stack().training_fractions, stack().biases
    many = np.array([30 * few[0], *few[1:]]) / (30 * few[0] + 1 - few[0])
    wide = stack(training_fractions=tuple(many), biases=(biases[0] + math.log(30), *biases[1:]))
    assert wide.combine(MARGINS).subclass == stack().combine(MARGINS).subclass
    assert (wide.probabilities(MARGINS)[:, 0] > 0.5).tolist() != (stack().probabilities(MARGINS)[:, 0] > 0.5).tolist()


def test_a_lens_split_between_kinds_is_still_a_lens():
    """p = 0.4, 0.25, 0.2, 0.15 whatever the margins."""
    flat = stack(weights=((0.0, 0.0),) * 4, biases=tuple(math.log(p) for p in (0.4, 0.25, 0.2, 0.15)))
    got = flat.combine(MARGINS)
    assert got.p_lens == pytest.approx(0.6, abs=1e-6)
    assert set(got.subclass) == {"single"}


def test_the_fitted_prevalence_changes_nothing():
    assert np.abs(stack(prevalence=0.6).probabilities(MARGINS) - stack().probabilities(MARGINS)).max() < 1e-12


def test_mean_of_the_named_networks():
    got = MeanCombiner(kind="mean", networks=("a", "b")).combine({**MARGINS, "c": np.full((3, 1), 50.0)})
    expected = [(1 / (1 + math.exp(-a[0])) + 1 / (1 + math.exp(-b[0]))) / 2 for a, b in zip(*MARGINS.values(), strict=True)]
    assert got.p_lens == pytest.approx(expected, abs=1e-6)
    assert got.p_compound is None
    assert got.subclass is None
    assert got.kinds_given_lens is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": ((1.0, 1.0),)}, "weights must hold 4"),
        ({"weights": ((1.0,),) * 4}, "2 numbers a class"),
        ({"scale": (1.0, 0.0)}, "greater than 0"),
        ({"centre": (1.0,)}, "scale must hold 1"),
        ({"training_fractions": (0.4, 0.3, 0.2, 0.2)}, "sum to 1"),
        ({"classes": ("a", "b", "c", "d")}, "classes must be"),
        ({"classes": KINDS[::-1]}, "classes must be"),
        ({"biases": (float("nan"), 0.0, 0.0, 0.0)}, "finite"),
        ({"training_fractions": (0.4, 0.3, 0.2, 0.100002)}, r"sum to 1, got 1\.000002 "),
        ({"training_fractions": (0.4, 0.3, 0.2, 0.099998)}, r"sum to 1, got 0\.999998 "),
        ({"training_fractions": (0.5, 0.3, 0.2, 0.0)}, "greater than 0"),
        ({"training_fractions": (1.0, 0.3, 0.2, 0.1)}, "less than 1"),
        ({"training_fractions": (0.5, 0.5)}, "training_fractions must hold 4 entries, got 2"),
        ({"biases": (0.0,) * 5}, "biases must hold 4 entries, got 5"),
        ({"prevalence": 0.0}, "greater than 0"),
        ({"prevalence": 1.0}, "less than 1"),
        ({"compound_share": 0.0}, "greater than 0"),
        ({"compound_share": 1.0}, "less than 1"),
        ({"clip": 0.0}, "greater than 0"),
        ({"networks": ()}, "at least 1 item"),
        ({"centre": ()}, "at least 1 item"),
        ({"more": 1}, "not permitted"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_inconsistent_stack_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        stack(**changes)


def test_any_positive_clip_is_accepted():
    assert stack(clip=0.25).clip == 0.25


def test_combiners_are_frozen_and_fractions_may_be_rounded():
    given = stack(training_fractions=(0.4, 0.3, 0.2, 0.1000005), scale=(0.001, 0.5))
    mean = MeanCombiner(kind="mean", networks=("a",))
    for frozen, name in ((given, "clip"), (mean, "networks")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(frozen, name, getattr(frozen, name))
    for changes, says in (({"networks": ()}, "at least 1 item"), ({"more": 1}, "not permitted")):
        with pytest.raises(ValidationError, match=says):
            MeanCombiner(**{"kind": "mean", "networks": ("a",), **changes})


def test_the_fitted_compound_share_is_the_default():
    assert stack().assumed_compound_share == pytest.approx(0.5)
    assert stack().fitted_prevalence == pytest.approx(0.6)
    assert stack(training_fractions=(0.5, 0.4, 0.07, 0.03)).assumed_compound_share == pytest.approx(0.2)
    assert stack(compound_share=0.02).assumed_compound_share == 0.02


def test_the_compound_share_of_unequally_frequent_kinds():
    """A flat regression gives the fitted fractions, or the assumed ones."""
    fractions = (0.5, 0.4, 0.07, 0.03)
    flat = stack(weights=((0.0, 0.0),) * 4, biases=tuple(map(math.log, fractions)), training_fractions=fractions)
    for combiner, share in ((flat, 0.2), (flat.assuming(0.01, 0.6), 0.6)):
        got = combiner.combine(MARGINS)
        assert got.p_compound / got.p_lens == pytest.approx(share, rel=1e-5)
    assert flat.assuming(0.01, 0.6).combine(MARGINS).p_lens == pytest.approx(0.01, rel=1e-5)


def test_a_certain_nonlens_has_no_compound_probability():
    sure = stack(clip=1e4, weights=((1.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)), centre=(0.0, 0.0), scale=(1.0, 1.0))
    got = sure.combine({"a": np.array([[2000.0]]), "b": np.array([[0.0]])})
    assert (got.p_lens.tolist(), got.p_compound.tolist(), got.subclass) == ([0], [0], ["nonlens"])
    assert got.kinds_given_lens.sum() == 1


def test_an_object_at_even_odds_gets_a_lens_kind():
    fractions = (0.5, 0.25, 0.125, 0.125)
    even = stack(weights=((0.0, 0.0),) * 4, biases=(math.log(4), math.log(2), 0.0, 0.0), training_fractions=fractions)
    assert even.probabilities(MARGINS)[:, 0].tolist() == [0.5] * 3
    assert even.combine(MARGINS).subclass == ["single"] * 3


def test_margins_are_clipped_and_in_the_order_of_networks():
    margins = {"b": np.array([[-9.0, 2.0]]), "a": np.array([[7.0, -5.5]])}
    assert stack_features(margins, ("a", "b"), 5.0).tolist() == [[5, -5, -5, 2]]
    assert stack_features(margins, ("b",), 2.5).tolist() == [[-2.5, 2]]


def test_no_network_is_left_out_of_one():
    margins = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, 9.0]])
    assert stack_features({"a": margins}, ("a",), 5.0, "without_lowest").tolist() == [[1, -2, 0.5], [3, 0, 5]]


def test_networks_that_know_no_kinds_cannot_be_pooled():
    margins = {"a": np.zeros((1, 3)), "b": np.zeros((1, 1))}
    for names in (("a", "b"), ("b",)):
        with pytest.raises(
            ValueError, match="whose margins are pooled must distinguish nonlens, single, compound_arc, double_ring"
        ):
            stack_features(margins, names, 5.0, "mean_probability")


def test_the_most_doubtful_network_is_left_out():
    """For each object by the odds of a lens of any kind: exp(4) + 2 exp(-9) is more than 3, and this is more than 0.3."""
    sure, even, low = [4.0, -9.0, -9.0], [0.0, 0.0, 0.0], list(np.log([0.1, 0.1, 0.1]))
    margins = {"a": np.array([sure, low]), "b": np.array([even, sure]), "c": np.array([low, even])}
    expected = [np.mean([sure, even], axis=0), np.mean([sure, even], axis=0)]
    np.testing.assert_allclose(stack_features(margins, ("a", "b", "c"), 20.0, "without_lowest"), expected, atol=1e-12)
    two = {"a": np.array([sure]), "b": np.array([even])}
    assert stack_features(two, ("a", "b"), 20.0, "without_lowest").tolist() == [sure]


def test_margins_of_the_mean_probabilities_by_hand():
    """Probabilities of the four kinds are averaged over networks, and their odds against a non-lens are read."""
    p = np.array([[[0.7, 0.1, 0.15, 0.05], [0.02, 0.5, 0.4, 0.08]], [[0.2, 0.3, 0.1, 0.4], [0.9, 0.05, 0.03, 0.02]]])
    margins = {name: np.log(of[:, 1:] / of[:, :1]) for name, of in zip("ab", p, strict=True)}
    mean = p.mean(axis=0)
    found = stack_features(margins, ("a", "b"), 20.0, "mean_probability")
    np.testing.assert_allclose(found, np.log(mean[:, 1:] / mean[:, :1]), atol=1e-12)


def test_fitted_log_odds_are_those_that_the_curve_gives():
    curved = stack(lens_curve=LensCurve(at=(-0.5, 0.5), becomes=(-2.0, 1.0), slopes=(2.0, 0.5)), prevalence=0.01)
    log_odds = curved.fitted_log_odds(MARGINS)
    for i in range(3):
        x = math.log((1 - by_hand(i)[0]) / by_hand(i)[0])
        expected = -2 + 2 * (x + 0.5) if x < -0.5 else 1 + 0.5 * (x - 0.5) if x > 0.5 else -2 + 3 * (x + 0.5)
        assert log_odds[i] == pytest.approx(expected, abs=1e-12)
    again = curved.combine(MARGINS, log_odds)
    np.testing.assert_allclose(again.p_lens, curved.combine(MARGINS).p_lens, rtol=1e-6)


def test_the_spread_is_the_standard_deviation_over_networks():
    p = {"a": np.array([0.1, 0.5]), "b": np.array([0.3, 0.5]), "c": np.array([0.8, 0.5])}
    found = spread({name: np.log(of / (1 - of))[:, None] for name, of in p.items()})
    # Mean 0.4: (0.3**2 + 0.1**2 + 0.4**2) / 3.
    assert found == pytest.approx([math.sqrt(0.26 / 3), 0], abs=1e-7)
    assert found.dtype == np.float32
