import pkgutil
import re

import pytest
import torch
from torch import nn

from scanner.networks.architectures import ARCHITECTURES, FIRST_STAGE_NETWORKS, FLAGSHIP_NETWORKS
from scanner.networks.parameters import he_initialise
from scanner.networks.small_networks import GroupConv, LiftingConv, OrientedBatchNorm, compact, equivariant
from scanner.vocabulary.kinds import KINDS
from tests.scanner.networks.flops import mflop


def trained_looking(network):
    """Give a network random weights, and batch statistics unlike those of a fresh network."""
    torch.manual_seed(0)
    he_initialise(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("build", [compact, equivariant])
def test_a_stamp_gives_one_logit_per_kind(build):
    network = trained_looking(build(5))
    assert network(torch.randn(3, 5, 100, 100)).shape == (3, len(KINDS))
    with pytest.raises(ValueError, match="n_channels=0"):
        build(0)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_quarter_turns_change_the_equivariant_network_by_rounding_alone(turn):
    network, x = trained_looking(equivariant(4)), torch.randn(2, 4, 100, 100)
    turned = torch.rot90(x, turn, (-2, -1))
    with torch.no_grad():
        assert (network(turned) - network(x)).abs().max() < 1e-5
        plain = trained_looking(compact(4))
        assert (plain(turned) - plain(x)).abs().max() > 1e-2


def test_layers_turn_with_their_input():
    """A turned image gives the turned output with its orientations shifted by one."""
    torch.manual_seed(1)
    x = torch.randn(2, 3, 12, 12)
    lifting, group, norm = LiftingConv(3, 2), GroupConv(2, 5), OrientedBatchNorm(5)
    he_initialise(nn.Sequential(lifting, group))

    def moved(y):
        n = y.shape[1] // 4
        return torch.rot90(y.reshape(len(y), n, 4, *y.shape[-2:]).roll(1, 2), 1, (-2, -1)).reshape(y.shape)

    with torch.no_grad():
        lifted, lifted_turned = lifting(x), lifting(torch.rot90(x, 1, (-2, -1)))
        assert torch.allclose(lifted_turned, moved(lifted), atol=1e-5)
        assert torch.allclose(norm(group(moved(lifted))), moved(norm(group(lifted))), atol=1e-5)


def test_oriented_batch_norm_by_hand():
    torch.manual_seed(2)
    x = torch.randn(6, 8, 5, 5) * 3 + 1
    got = OrientedBatchNorm(2).train()(x)
    for n in range(2):
        together = x[:, 4 * n : 4 * n + 4]
        expected = (together - together.mean()) / torch.sqrt(together.var(unbiased=False) + 1e-5)
        assert torch.allclose(got[:, 4 * n : 4 * n + 4], expected, atol=1e-5)


SMALL = [name for name in ARCHITECTURES if not name.startswith("ou") and name != "equivariant"]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_costs_what_its_docstring_says(name):
    build = pkgutil.resolve_name(ARCHITECTURES[name].builder)
    (stated,) = re.findall(r"(\d+) MFLOP", build.__doc__)
    assert mflop(build(5), 5) == pytest.approx(int(stated), abs=0.6)


@pytest.mark.parametrize(("name", "dropout"), [("equivariant_first", 0.0), ("equivariant_large", 0.2), ("compact_large", 0.2)])
def test_only_the_first_stage_has_no_dropout(name, dropout):
    layers = ARCHITECTURES[name].build(5)
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [dropout] * 2


def test_stages_cost_little():
    n_pixels = 100
    # The blur of VIS that all three share: two products of matrices.
    blur = 2 * 2 * n_pixels**3 / 1e6
    assert blur + sum(mflop(spec.build(), len(spec.channels)) for spec in FLAGSHIP_NETWORKS) < 150
    (first,) = FIRST_STAGE_NETWORKS
    assert mflop(first.build(), len(first.channels)) < 25
