"""A network whose layers between convolutions train in one step each on a CPU."""

from torch import nn

from training.fused_dropout import leading_dropout
from training.fused_norm import leading_norm


def with_fused_steps(network: nn.Module) -> nn.Module:
    """Return a network that trains normalisation, ReLU and pooling in one step, and ReLU, pooling and dropout in one.

    It shares parameters, buffers and layers with `network`, and computes what `network` computes, up to rounding and to the
    choice of the activations that are dropped. Only an `nn.Sequential` is changed; other networks are returned as they are.
    """
    if not isinstance(network, nn.Sequential):
        return network
    layers: list[nn.Module] = []
    rest = list(network)
    while rest:
        fused = leading_norm(rest) or leading_dropout(rest)
        layers.append(fused or rest[0])
        rest = rest[fused.n_layers if fused else 1 :]
    return nn.Sequential(*layers)
