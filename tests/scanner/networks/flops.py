"""The arithmetic of a network."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def mflop(network: nn.Module, n_channels: int) -> float:
    """Return the multiply-adds of convolutions and dense layers for one stamp of 100 pixels a side, times two, in millions."""
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, n_channels, 100, 100))
    return counter.get_total_flops() / 1e6
