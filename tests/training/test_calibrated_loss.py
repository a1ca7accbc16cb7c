import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from training.calibrated_loss import calibrated_loss


def drawn(rng, n_classes, n=4000):
    """Return log-probabilities `[object, class]` and labels that were drawn with these probabilities."""
    log_p = log_softmax(rng.normal(size=(n, n_classes)) * 2, axis=1)
    labels = (np.exp(log_p).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)
    return log_p, labels, np.eye(n_classes)[labels]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scale_offsets_and_whatever_is_added_do_not_count(n_classes):
    rng = np.random.default_rng(1)
    log_p, _, targets = drawn(rng, n_classes)
    weights = np.linspace(0.5, 2, n_classes)
    changed = 0.4 * log_p + rng.normal(size=n_classes) + 30 * rng.normal(size=(len(log_p), 1))
    assert calibrated_loss(changed, targets, weights) == pytest.approx(calibrated_loss(log_p, targets, weights), abs=1e-6)


def test_two_classes_have_the_loss_of_a_logistic_regression():
    rng = np.random.default_rng(2)
    log_p, labels, targets = drawn(rng, 2)
    weights = np.array([0.5, 3.0])
    margins, of_objects = (log_p[:, 1] - log_p[:, 0])[:, np.newaxis], weights[labels]
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(margins, labels, of_objects)
    expected = log_loss(labels, fitted.predict_proba(margins)[:, 1], sample_weight=of_objects)
    assert calibrated_loss(0.3 * log_p + [0.0, 1.5], targets, weights) == pytest.approx(expected, rel=1e-7)


def test_a_network_in_the_wrong_order_knows_nothing():
    log_p, labels, targets = drawn(np.random.default_rng(4), 2)
    p = labels.mean()
    assert calibrated_loss(-log_p, targets, np.ones(2)) == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p), rel=1e-7)


def test_probabilities_as_targets_weigh_their_classes():
    """Each object with probabilities counts as much as objects of each class in these proportions."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(50, 3))
    tenths = rng.multinomial(10, [0.2, 0.3, 0.5], size=50)
    weights = np.array([1.0, 2.0, 0.7])
    repeated_logits = np.repeat(np.repeat(logits, 3, axis=0), tenths.ravel(), axis=0)
    repeated_targets = np.repeat(np.tile(np.eye(3), (50, 1)), tenths.ravel(), axis=0)
    expected = calibrated_loss(repeated_logits, repeated_targets, weights)
    assert calibrated_loss(logits, tenths / 10, weights) == pytest.approx(expected, rel=1e-8)


def test_better_order_lowers_the_loss_of_separated_classes():
    labels = np.array([0, 0, 0, 1, 1, 1])
    separated = np.array([-3.0, -2, -1, 1, 2, 3])
    mixed = np.array([-3.0, -2, 1.5, 1, 2, 3])
    loss = [calibrated_loss(np.stack([-z, z], axis=1), np.eye(2)[labels], np.ones(2)) for z in (separated, mixed)]
    assert 0 <= loss[0] < 1e-4
    assert loss[1] > 0.1
