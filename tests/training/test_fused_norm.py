"""Tests of the fused step against torch's own layers in double precision."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from scanner.networks.architectures import COMMITTEE_NETWORKS, FIRST_STAGE_NETWORKS
from scanner.networks.parameters import he_initialise
from scanner.networks.polar_networks import LogPolar
from scanner.networks.small_networks import OrientedBatchNorm
from tests.training.tiny import SIDE, VIS, LinearSpec, tiny_config, tiny_dataset
from training import fused_norm
from training.fit import fit_network
from training.fused_norm import FusedNorm
from training.fused_steps import with_fused_steps
from training.step import train_epoch

LAYERS = {
    "norm": lambda: [nn.BatchNorm2d(8), nn.ReLU()],
    "norm_and_pool": lambda: [nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)],
    "oriented": lambda: [OrientedBatchNorm(2), nn.ReLU()],
    "oriented_and_pool": lambda: [OrientedBatchNorm(2), nn.ReLU(), nn.MaxPool2d(2)],
}


@pytest.fixture(params=LAYERS)
def layers(request):
    """Return layers with weights of both signs."""
    torch.manual_seed(3)
    network = nn.Sequential(*LAYERS[request.param]())
    nn.init.normal_(network[0].weight)
    nn.init.normal_(network[0].bias)
    return network.train()


def gradients(network, x, weights):
    """Return the result, and the gradients of input, weight and bias, of a weighted sum of the result."""
    x = x.clone().requires_grad_()
    out = network(x)
    (out * weights.to(out.dtype)[..., : out.shape[-2], : out.shape[-1]]).sum().backward()
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    found = [out, x.grad, norm.weight.grad, norm.bias.grad]
    network.zero_grad()
    return [value.detach().double() for value in found]


def some_inputs(dtype=torch.float32):
    torch.manual_seed(4)
    return (torch.randn(3, 8, 5, 7) * 2 + 1).to(dtype), torch.randn(3, 8, 5, 7)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_results_and_gradients_are_those_of_the_layers(layers, memory_format):
    x, weights = some_inputs()
    fused = with_fused_steps(copy.deepcopy(layers))
    assert [type(layer) for layer in fused] == [FusedNorm]
    expected = gradients(layers.double(), x.double(), weights.double())
    found = gradients(fused, x.to(memory_format=memory_format), weights)
    for value, exact in zip(found, expected, strict=True):
        assert torch.allclose(value, exact, rtol=1e-4, atol=1e-4)


def test_running_statistics_are_those_of_the_layers(layers):
    fused = copy.deepcopy(layers)
    for _ in range(3):
        layers(some_inputs()[0])
        with_fused_steps(fused)(some_inputs()[0])
    for value, expected in zip(fused.buffers(), layers.buffers(), strict=True):
        assert torch.allclose(value, expected, rtol=1e-5)
    assert int(fused[0].num_batches_tracked) == 3


def test_bfloat16_stays_bfloat16_within_its_rounding(layers):
    x, weights = some_inputs(torch.bfloat16)
    fused = with_fused_steps(copy.deepcopy(layers))
    assert fused(x).dtype == torch.bfloat16
    expected = gradients(layers.double(), x.double(), weights.double())
    found = gradients(fused, x, weights)
    for value, exact in zip(found, expected, strict=True):
        assert (value - exact).norm() < 0.01 * exact.norm()


def test_threads_do_not_change_a_bit(layers, torch_threads):
    x, weights = some_inputs()
    results = []
    for n_threads in (1, 2, 5):
        torch.set_num_threads(n_threads)
        results.append(gradients(with_fused_steps(layers), x, weights))
    for other in results[1:]:
        assert all(torch.equal(value, first) for value, first in zip(other, results[0], strict=True))


@pytest.mark.parametrize("spec", [*COMMITTEE_NETWORKS, *FIRST_STAGE_NETWORKS], ids=lambda spec: spec.name)
def test_networks_learn_as_with_their_own_layers(spec):
    torch.manual_seed(5)
    network = spec.build()
    he_initialise(network)
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    own, exact = copy.deepcopy(network), copy.deepcopy(network).double()
    fused = with_fused_steps(own)
    n_fused, n_norms = (
        sum(isinstance(of, kind) for of in layers) for layers, kind in ((fused, FusedNorm), (network, nn.BatchNorm2d))
    )
    assert n_fused == n_norms > 0
    x, labels = torch.randn(4, len(spec.channels), 100, 100), torch.arange(4)
    for trained, inputs in ((fused, x), (exact, x.double())):
        trained.train()
        for layer in trained.modules():
            if isinstance(layer, LogPolar):
                # Otherwise it turns objects at random.
                layer.eval()
        nn.functional.cross_entropy(trained(inputs), labels).backward()
    for parameter, expected in zip(own.parameters(), exact.parameters(), strict=True):
        assert (parameter.grad - expected.grad).norm() <= 0.05 * expected.grad.norm() + 1e-6


def test_in_evaluation_the_layers_themselves_are_called(layers):
    x, _ = some_inputs()
    with_fused_steps(layers)(x)
    fused = with_fused_steps(layers).eval()
    assert not layers[0].training
    assert torch.equal(fused(x), layers(x))


@pytest.mark.parametrize(
    "others",
    [
        [nn.BatchNorm2d(8), nn.Tanh()],
        [nn.BatchNorm2d(8, affine=False), nn.ReLU()],
        [nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU()],
        [nn.BatchNorm2d(8, momentum=None), nn.ReLU()],
        [nn.ReLU(), nn.MaxPool2d(2)],
    ],
)
def test_other_layers_stay(others):
    assert list(with_fused_steps(nn.Sequential(*others))) == others


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3), nn.MaxPool2d(2, padding=1), nn.MaxPool2d(2, ceil_mode=True)])
def test_other_poolings_follow_the_step(pool):
    fused = with_fused_steps(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), pool))
    assert isinstance(fused[0], FusedNorm)
    assert fused[0].pool is None
    assert fused[1] is pool


def test_networks_of_another_form_are_left_alone():
    network = nn.BatchNorm2d(8)
    assert with_fused_steps(network) is network


def test_one_pixel_and_other_types_go_through_the_layers(layers):
    assert with_fused_steps(layers[:2])(torch.randn(3, 8, 1, 1)).shape == (3, 8, 1, 1)
    x, _ = some_inputs()
    assert with_fused_steps(layers.double())(x.double()).dtype == torch.float64


def test_an_error_in_a_thread_is_raised(layers, torch_threads, monkeypatch):
    def fail(*_):
        raise ValueError("no sums")

    torch.set_num_threads(2)
    monkeypatch.setattr(fused_norm.activation_kernels, "add_sums", fail)
    with pytest.raises(ValueError, match="no sums"):
        with_fused_steps(layers)(some_inputs()[0])


class NormSpec(LinearSpec):
    """A network with one normalisation."""

    def build(self):
        return nn.Sequential(nn.Conv2d(1, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * SIDE**2, 2))


def test_a_fit_trains_with_the_fused_step(tmp_path, monkeypatch):
    trained = []

    def watched(network, *arguments, **options):
        trained.append(network)
        return train_epoch(network, *arguments, **options)

    monkeypatch.setattr("training.fit.train_epoch", watched)
    spec = NormSpec("norm", "norm", VIS)
    result = fit_network(spec, tiny_dataset(60), tiny_config(spec, epochs=2), tmp_path)
    assert isinstance(trained[0][1], FusedNorm)
    saved = load_file(result.weights)
    assert set(saved) == set(spec.build().state_dict())
    assert saved["1.num_batches_tracked"] > 0
