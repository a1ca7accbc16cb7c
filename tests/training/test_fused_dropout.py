"""Tests of the fused step of dropout against torch's own layers in double precision."""

import copy

import pytest
import torch
from torch import nn

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.parameters import he_initialise
from training.fused_dropout import FusedDropout, leading_dropout
from training.fused_steps import with_fused_steps

P = 0.25
LAYERS = {
    "dropout": lambda: [nn.ReLU(), nn.Dropout(P)],
    "pool_and_dropout": lambda: [nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(P)],
}


@pytest.fixture(params=LAYERS)
def layers(request):
    return nn.Sequential(*LAYERS[request.param]()).train()


def some_inputs(dtype=torch.float32, shape=(3, 8, 5, 7)):
    torch.manual_seed(4)
    return torch.randn(shape).to(dtype)


def with_gradient(network, x):
    """Return the result, and the gradient of the input for a weighted sum of the result."""
    x = x.clone().requires_grad_()
    torch.manual_seed(6)
    out = network(x)
    torch.manual_seed(7)
    (out * torch.randn(out.shape).to(out.dtype)).sum().backward()
    return out.detach(), x.grad


def rectified(layers, x):
    """Return the activations before dropout."""
    return layers[:-1](x)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kept_activations_and_gradients_are_those_of_the_layers(layers, memory_format, dtype):
    x = some_inputs(dtype).to(memory_format=memory_format)
    out, gradient = with_gradient(with_fused_steps(layers), x)
    exact = x.double().requires_grad_()
    before = rectified(layers, exact)
    kept = out > 0
    scaled = before * kept / (1 - P)
    torch.manual_seed(7)
    (scaled * torch.randn(out.shape).to(dtype)).sum().backward()
    tolerance = 1e-6 if dtype == torch.float32 else 8e-3
    assert out.dtype == dtype
    assert torch.allclose(out.double(), scaled.detach(), rtol=tolerance, atol=0)
    assert torch.allclose(gradient.double(), exact.grad, rtol=tolerance, atol=0)
    assert 0 < int(kept.sum()) < int((before > 0).sum())


def test_each_activation_is_dropped_with_the_given_probability(layers):
    torch.manual_seed(5)
    out = with_fused_steps(layers)(torch.ones(64, 50, 24, 24))
    dropped = (out == 0).double()
    n = dropped.numel()
    assert abs(float(dropped.mean()) - P) < 5 * (P * (1 - P) / n) ** 0.5
    for axis in range(4):
        shares = dropped.mean([other for other in range(4) if other != axis])
        assert (shares - P).abs().max() < 5 * (P * (1 - P) * len(shares) / n) ** 0.5


def test_neighbours_and_images_are_dropped_independently(layers):
    torch.manual_seed(5)
    dropped = (with_fused_steps(layers)(torch.ones(64, 50, 24, 24)) == 0).double() - P
    for axis in range(4):
        for step in (1, 2, 8):
            products = dropped.narrow(axis, step, dropped.shape[axis] - step) * dropped.narrow(
                axis, 0, dropped.shape[axis] - step
            )
            assert abs(float(products.mean())) < 5 * P * (1 - P) / products.numel() ** 0.5


def test_the_seed_decides_and_each_step_differs(layers):
    fused = with_fused_steps(layers)
    x = torch.ones(4, 8, 12, 12)
    torch.manual_seed(8)
    first, second = fused(x), fused(x)
    torch.manual_seed(8)
    assert torch.equal(fused(x), first)
    assert not torch.equal(first, second)


def test_threads_do_not_change_a_bit(layers, torch_threads):
    results = []
    for n_threads in (1, 2, 5):
        torch.set_num_threads(n_threads)
        results.append(with_gradient(with_fused_steps(layers), some_inputs()))
    for other in results[1:]:
        assert all(torch.equal(value, first) for value, first in zip(other, results[0], strict=True))


def test_in_evaluation_nothing_is_dropped(layers):
    fused = with_fused_steps(layers).eval()
    x = some_inputs()
    assert torch.equal(fused(x), rectified(layers, x))


def test_a_missing_value_stays_missing(layers):
    out = with_fused_steps(layers)(torch.full((1, 8, 12, 12), torch.nan))
    assert out.isnan().float().mean() > 0.5


@pytest.mark.parametrize("x", [torch.ones(4, 8), torch.ones(2, 8, 5, 5, dtype=torch.float64)])
def test_other_activations_go_through_the_layers(x):
    fused = with_fused_steps(nn.Sequential(nn.ReLU(), nn.Dropout(P)).train())
    assert fused(x).dtype == x.dtype


def test_one_pixel_cannot_be_pooled_as_with_the_layers():
    fused = with_fused_steps(nn.Sequential(*LAYERS["pool_and_dropout"]()).train())
    with pytest.raises(RuntimeError, match="too small"):
        fused(torch.ones(2, 8, 1, 1))


@pytest.mark.parametrize(
    "others",
    [
        [nn.ReLU(), nn.Dropout(0.0)],
        [nn.ReLU(), nn.Dropout(1.0)],
        [nn.Tanh(), nn.Dropout(P)],
        [nn.ReLU(), nn.MaxPool2d(3), nn.Dropout(P)],
        [nn.ReLU(), nn.MaxPool2d(2)],
        [nn.ReLU()],
    ],
)
def test_other_layers_stay(others):
    assert leading_dropout(others) is None
    assert list(with_fused_steps(nn.Sequential(*others))) == others


@pytest.mark.parametrize("name", ["OU-66", "OU-200"])
def test_the_papers_networks_learn_as_with_their_own_layers(name):
    spec = next(spec for spec in PAPER_NETWORKS if spec.name == name)
    torch.manual_seed(5)
    network = spec.build()
    he_initialise(network)
    # So small a probability drops nothing here, and both networks compute the same.
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 1e-9
    exact = copy.deepcopy(network).double()
    fused = with_fused_steps(network)
    assert sum(isinstance(layer, FusedDropout) for layer in fused) == sum(isinstance(layer, nn.Dropout) for layer in network)
    x, labels = torch.randn(2, len(spec.channels), spec.input_pixels, spec.input_pixels), torch.arange(2)
    for trained, inputs in ((fused, x), (exact, x.double())):
        nn.functional.cross_entropy(trained.train()(inputs), labels).backward()
    for parameter, expected in zip(network.parameters(), exact.parameters(), strict=True):
        assert (parameter.grad - expected.grad).norm() <= 1e-3 * expected.grad.norm() + 1e-6
