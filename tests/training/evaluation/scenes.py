"""Images with known arcs, and a network that sees them."""

import numpy as np
import torch
from torch import nn

from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import MER_10

CARD = draft_network_card(NetworkSpec("light", "compact", channels("min_max", "VIS")), "mer10", {})


def scene(n, geometry=MER_10, seed=1):
    """Return stamps with noise and a bright arc, placed differently in each, and the arc masks."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-3, 3, (2, n, 1, 1))
    stamps, truth = {}, np.empty(0)
    for band, grid in geometry.grids.items():
        at = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
        dy, dx = at[:, None] - corners[0], at[None, :] - corners[1]
        light = 30 * np.exp(-0.5 * ((np.hypot(dy, dx) - 0.4) / 0.1) ** 2) * (dy > 0)
        stamps[band] = (light + rng.normal(size=light.shape)).astype(np.float32)
        if band == "VIS":
            truth = light > 1
    return stamps, truth


def light_meter():
    """Make a network that outputs "lens" for stamps with many pixels above half the brightest pixel."""
    convolution, linear = nn.Conv2d(1, 1, 1), nn.Linear(10000, 4)
    with torch.no_grad():
        convolution.weight.fill_(1)
        convolution.bias.fill_(-0.5)
        linear.weight.zero_()
        linear.weight[1] = 2
        linear.bias.copy_(torch.tensor([0.0, -5.0, -20.0, -20.0]))
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), linear).eval()
