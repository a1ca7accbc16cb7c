"""Tiny networks with weights set by hand; the tests that use them work out the answers on paper."""

import numpy as np
import torch
from torch import nn

KERNEL = np.array([[1, 2], [3, 4]], np.float32)
IMAGE = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
"""Pixel `[y, x]` is 4 y + x."""
FEATURE_MAP = np.array([[34, 44, 54], [74, 84, 94], [114, 124, 134]], np.float32)
"""`KERNEL` on `IMAGE`: (4 y + x) + 2 (4 y + x + 1) + 3 (4 y + x + 4) + 4 (4 y + x + 5) = 34 + 40 y + 10 x; its sum is 756."""
PIXEL_WEIGHTS = np.array([[1, 3, 3, 2], [4, 10, 10, 6], [4, 10, 10, 6], [3, 7, 7, 4]], np.float32)
"""Sum of the kernel's weights that reach each pixel: a corner lies in one window, an edge in two, the middle in four."""


def summing_network(lens_weight=1.0):
    """Return a network with one kernel of 2 x 2 pixels, from `[batch, 1, 4, 4]` to logits of non-lens, 0, and of lens.

    The logit of lens is `lens_weight` times the sum of the feature map after ReLU: for images without negative pixels
    `lens_weight` times the sum of all pixels, each times its `PIXEL_WEIGHTS`.
    """
    convolution, summing = nn.Conv2d(1, 1, 2, bias=False), nn.Linear(9, 2, bias=False)
    with torch.no_grad():
        convolution.weight[0, 0] = torch.from_numpy(KERNEL)
        summing.weight[:] = torch.tensor([[0.0], [lens_weight]])
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), summing).eval()


def adding_network(n_pixels, lens_weight=1.0):
    """Return a network from `[batch, 1, n_pixels, n_pixels]` to logits of non-lens, 0, and of lens, a multiple of the sum."""
    convolution, adding = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(n_pixels**2, 2, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(1)
        adding.weight[:] = torch.tensor([[0.0], [lens_weight]])
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), adding).eval()
