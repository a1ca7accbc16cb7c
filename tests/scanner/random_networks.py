"""Networks of the architectures with random weights."""

import torch
from torch import nn

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.parameters import he_initialise


def random_network(architecture, n_channels, seed=1):
    """Return a network with random weights, and normalisations that are not the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ARCHITECTURES[architecture].build(n_channels)
        he_initialise(network)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.uniform_(module.bias, -1, 1)
    return network.eval()
