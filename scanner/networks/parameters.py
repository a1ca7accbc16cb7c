"""The parameters of a network: their first values, and their number."""

from torch import nn

from scanner.networks import small_networks


def he_initialise(network: nn.Module) -> None:
    """Draw normal weights of variance 2 / fan-in with torch's global generator, zero biases (He et al. 2015, equation 10)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | small_networks.LiftingConv | small_networks.GroupConv):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
