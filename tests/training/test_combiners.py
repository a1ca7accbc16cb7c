import numpy as np
import pytest

from tests.training.test_calibrate import drawn
from training.calibrate import fit_stack, fit_tied_stack
from training.combiners import best_stack, can_compare, compare_combiners


def test_a_tied_stack_is_the_regression_on_the_mean():
    margins, kinds, _ = drawn(2000)
    tied = fit_tied_stack(margins, kinds)
    alone = fit_stack({"mean": (margins["a"] + margins["b"]) / 2}, kinds)
    expected = alone.probabilities({"mean": (margins["a"] + margins["b"]) / 2})
    assert tied.probabilities(margins) == pytest.approx(expected, abs=1e-9)
    assert tied.networks == ("a", "b")


def test_networks_of_different_classes_cannot_be_averaged():
    margins, kinds, _ = drawn(100)
    with pytest.raises(ValueError, match=r"equally many classes.*\[2, 3\]"):
        fit_tied_stack({"a": margins["a"], "b": np.hstack([margins["b"]] * 2)}, kinds)


def test_the_stack_wins_where_networks_must_be_weighed():
    """The two margins of the known model tell different kinds apart; the mean throws that away."""
    margins, kinds, posterior = drawn(1000)
    compared = {c.combiner: c for c in compare_combiners(margins, kinds, np.random.default_rng(0))}
    assert set(compared) == {"mean", "stack", "neighbours", "tsne_grid"}
    best = -np.log(np.where(kinds > 0, 1 - posterior[:, 0], posterior[:, 0])).mean()
    assert compared["stack"].log_loss == pytest.approx(best, abs=0.02)
    assert compared["stack"].log_loss < compared["mean"].log_loss
    assert best_stack(tuple(compared.values())) == "stack"
    assert all(0.5 < c.auroc < 1 for c in compared.values())


def test_the_mean_wins_where_networks_are_alike():
    """Sixty noisy copies and few objects: weights of their own are only fitted to noise."""
    rng = np.random.default_rng(1)
    kinds = np.arange(160) % 4
    signal = np.where(kinds > 0, 1.0, -1.0)
    margins = {f"n{i}": (signal + rng.normal(0, 8.0, 160))[:, None] for i in range(60)}
    assert best_stack(compare_combiners(margins, kinds, np.random.default_rng(0))) == "mean"


def test_few_objects_cannot_be_compared():
    assert can_compare(np.arange(80) % 4)
    assert not can_compare(np.arange(79) % 4)
