"""The stage that tells the kind of candidates, fitted on margins set by hand and on packages of networks."""

import numpy as np
import pytest

from scanner.networks.kind_regression import kind_features
from scanner.vocabulary.kinds import KINDS
from tests.scanner.cascades import KIND, stack
from training.kind_stage import fit_kind_regression, make_kind_stage
from training.margins import Margins

N = 4000


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


def test_the_kind_network_helps_the_committee(natural):
    stage = make_kind_stage(KIND, stack(("A", "B")), natural, 0.02)
    assert stage.network.name == stage.combiner.network == "K"
    assert stage.combiner.committee == ("A", "B")
    assert stage.combiner.compound_share == 0.02
    assert stage.metrics["auroc_compound"] > 0.95
    assert 0.6 < stage.metrics["auroc_compound_of_committee"] < 0.9
    lenses = natural.rows(natural.is_lens)
    features = kind_features(lenses.by_network, ("A", "B"), "K", stage.combiner.clip)
    np.testing.assert_allclose(stage.combiner.centre, features.mean(axis=0))


def test_nonlenses_change_nothing(natural):
    changed = {name: np.where(natural.is_lens[:, None], of, 7.0) for name, of in natural.by_network.items()}
    stages = [make_kind_stage(KIND, stack(("A", "B")), of, 0.02) for of in (natural, Margins(changed, natural.kinds))]
    assert stages[0] == stages[1]


def test_figures_are_of_lenses_that_were_not_fitted(natural, rng):
    # Margins without information must look so, however many features fit noise.
    noise = {name: rng.normal(size=(N, 3)) for name in ("A", "B", "K")}
    metrics = make_kind_stage(KIND, stack(("A", "B")), Margins(noise, natural.kinds), 0.02).metrics
    assert metrics["auroc_compound"] == pytest.approx(0.5, abs=0.04)
