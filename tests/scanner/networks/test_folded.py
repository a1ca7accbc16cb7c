import pytest
import torch
from torch import nn

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.folded import folded_network


def network_of(architecture):
    """Return a network with statistics and scales that matter, as after training."""
    torch.manual_seed(0)
    network = ARCHITECTURES[architecture].build(3)
    for module in network.modules():
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensor = getattr(module, name, None)
            if tensor is not None:
                nn.init.uniform_(tensor, *((0.5, 2.0) if name == "running_var" else (-0.2, 0.2)))
    return network


@pytest.mark.parametrize("changes", [{"stride": 2}, {"dilation": 2}, {"groups": 2}])
def test_strided_dilated_and_grouped_convolutions_are_refused(changes):
    with pytest.raises(ValueError, match="must have a stride of 1, a dilation of 1 and one group, got Conv2d"):
        folded_network(nn.Sequential(nn.Conv2d(2, 4, 3, **changes)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_folded_layers_compute_the_same_function(architecture):
    network = network_of(architecture)
    assert network.training
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = folded_network(network)
    assert network.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.Dropout) for layer in folded)
    side = ARCHITECTURES[architecture].input_pixels
    inputs = torch.rand(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        expected, got = network.double().eval()(inputs), folded.double()(inputs)
    # The folded weights were rounded to float32.
    assert (got - expected).abs().max() < 1e-6 * expected.abs().max()


def test_convolutions_keep_their_exact_weights():
    network = network_of("ou66")
    assert torch.equal(folded_network(network)[0].weight, network[0].weight)
    assert torch.equal(folded_network(network)[0].bias, network[0].bias)
