import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from scanner.networks.architectures import LENS_OR_NOT
from training.step import class_weights, cross_entropy, evaluate, train_epoch


def test_class_weights_balance_the_classes():
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, LENS_OR_NOT).numpy()
    assert weights == pytest.approx([40 / 60, 40 / 20])
    assert weights[labels].sum() == pytest.approx(40)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    with pytest.raises(ValueError, match="'nonlens': 30, 'lens': 0"):
        class_weights(np.zeros(30, dtype=np.int64), LENS_OR_NOT)


def test_cross_entropy_is_equation_2_weighted():
    rng = np.random.default_rng(0)
    logits, labels, weights = rng.normal(size=(6, 2)), np.array([0, 1, 1, 0, 1, 1]), np.array([0.5, 2.0])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    w = weights[labels]
    expected = -(w * np.log(p[np.arange(6), labels])).sum() / w.sum()
    got = cross_entropy(torch.tensor(logits), torch.tensor(labels), torch.tensor(weights))
    assert got.item() == pytest.approx(expected, rel=1e-12)


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def batches(n=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(n):
        x = torch.rand(8, 1, 2, 2, generator=generator)
        yield x, (x.sum((1, 2, 3)) > 2).long()


def test_one_step_of_gradient_descent_by_hand():
    network, weights = linear(), torch.tensor([1.0, 3.0])
    before = [p.detach().clone().requires_grad_() for p in network.parameters()]
    (x, y), *_ = batches(1)
    loss = nn.functional.cross_entropy(x.flatten(1) @ before[0].T + before[1], y, weight=weights)
    gradients = torch.autograd.grad(loss, before)
    result = train_epoch(network, torch.optim.SGD(network.parameters(), 0.5), [(x, y)], weights, bfloat16=False)
    for parameter, old, gradient in zip(network.parameters(), before, gradients, strict=True):
        assert torch.allclose(parameter, old - 0.5 * gradient, atol=1e-6)
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)


def test_two_steps_of_unequal_batches_by_hand():
    """Each step has its own gradient and rate; the loss is the weighted mean over the objects, measured before each step."""
    (x, y), *_ = batches(1)
    parts, weights, rates = [(x[:5], y[:5]), (x[5:], y[5:])], torch.tensor([1.0, 3.0]), [0.5, 2.0]
    network = linear()
    expected = [p.detach().clone().requires_grad_() for p in network.parameters()]
    losses, correct = [], 0
    for (inputs, labels), rate in zip(parts, rates, strict=True):
        logits = inputs.flatten(1) @ expected[0].T + expected[1]
        loss = nn.functional.cross_entropy(logits, labels, weight=weights)
        gradients = torch.autograd.grad(loss, expected)
        expected = [(p - rate * g).detach().requires_grad_() for p, g in zip(expected, gradients, strict=True)]
        losses.append(loss.item())
        correct += int((logits.argmax(1) == labels).sum())
    result = train_epoch(
        network, torch.optim.SGD(network.parameters(), 9.0), parts, weights, bfloat16=False, learning_rate=rates.__getitem__
    )
    for parameter, other in zip(network.parameters(), expected, strict=True):
        assert torch.allclose(parameter, other, atol=1e-6)
    of_parts = [float(weights[labels].sum()) for _, labels in parts]
    assert result.loss == pytest.approx(np.average(losses, weights=of_parts), rel=1e-5)
    assert 0 < result.accuracy == correct / 8 < 1
    assert evaluate(network, parts, weights, bfloat16=False).loss != pytest.approx(result.loss, rel=1e-3)


@pytest.mark.parametrize("is_soft", [False, True])
def test_losses_do_not_depend_on_the_batch_size(is_soft):
    (x, y), *_ = batches(1)
    labels = functional.one_hot(y, 2) * 0.8 + 0.1 if is_soft else y
    found = []
    for size in (1, 3, 8):
        parts = [(x[i : i + size], labels[i : i + size]) for i in range(0, 8, size)]
        found.append(evaluate(linear(), parts, torch.tensor([1.0, 3.0]), bfloat16=False).loss)
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


def test_certain_probabilities_have_the_loss_of_labels():
    rng = np.random.default_rng(0)
    logits, labels, weights = torch.tensor(rng.normal(size=(6, 2))), torch.tensor([0, 1, 1, 0, 1, 1]), torch.tensor([0.5, 2.0])
    certain = cross_entropy(logits, functional.one_hot(labels, 2).double(), weights.double())
    assert certain.item() == pytest.approx(cross_entropy(logits, labels, weights.double()).item(), rel=1e-12)


class Probe(nn.Module):
    """Layer that records how it is run."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, x.dtype, torch.is_grad_enabled()))
        return x


@pytest.mark.parametrize("bfloat16", [True, False])
def test_dropout_is_used_in_training_only_at_either_precision(bfloat16):
    probe = Probe()
    network = nn.Sequential(linear(), probe)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    evaluated = evaluate(network, batches(1), torch.ones(2), bfloat16=bfloat16)
    trained = train_epoch(network, optimiser, batches(1), torch.ones(2), bfloat16=bfloat16)
    evaluate(network, batches(1), torch.ones(2), bfloat16=bfloat16)
    assert probe.seen == [(False, dtype, False), (True, dtype, True), (False, dtype, False)]
    # Before the first step both have the same weights; at any precision of the network, the loss is computed in float32.
    # Kernels may add in another order.
    tolerance = 1e-2 if bfloat16 else 1e-5
    assert trained.loss == pytest.approx(evaluated.loss, rel=tolerance)
    assert trained.accuracy == evaluated.accuracy
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16), torch.no_grad():
        (x, y), *_ = batches(1)
        logits = linear()(x)
    assert trained.loss == pytest.approx(nn.functional.cross_entropy(logits.float(), y).item(), rel=tolerance)
    with pytest.raises(ValueError, match="at least one batch"):
        train_epoch(network, optimiser, [], torch.ones(2), bfloat16=False)


def test_evaluation_counts_and_changes_nothing():
    network = linear()
    before = [p.clone() for p in network.parameters()]
    result = evaluate(network, batches(), torch.ones(2), bfloat16=False)
    correct = torch.cat([network(x).argmax(1) == y for x, y in batches()])
    assert result.accuracy == pytest.approx(correct.float().mean().item())
    # Three batches of eight.
    loss = torch.stack([nn.functional.cross_entropy(network(x), y) for x, y in batches()]).mean()
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    with pytest.raises(ValueError, match="at least one batch"):
        evaluate(network, [], torch.ones(2), bfloat16=False)
