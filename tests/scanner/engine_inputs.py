"""The shipped networks, and inputs for them."""

import numpy as np

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.preprocess.network_inputs import network_input
from scanner.vocabulary.geometry import GEOMETRIES

SHIPPED = {card.name: (folder, card) for folder in sorted(SHIPPED_DIR.iterdir()) for card in read_card(folder).networks}
"""Network name to its package and card."""


def inputs_of(card, n, seed=0):
    """Return `[n, channel, y, x]` as a scan would make them: galaxies of many sizes, half of them with a ring, in noise."""
    rng = np.random.default_rng(seed)
    size, radius, axis_ratio = rng.uniform((0.2, 0.5, 0.5), (1.0, 2.5, 1.0), (n, 3)).T[:, :, None, None]
    peak = 10 ** rng.uniform(0.5, 2.5, (n, 1, 1))
    ring = rng.uniform(0, 0.5, (n, 1, 1)) * (np.arange(n) % 2)[:, None, None]
    stamps = {}
    for band, grid in GEOMETRIES[card.geometry].grids.items():
        at = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
        r = np.hypot(at[:, None], at / axis_ratio)
        light = peak * (np.exp(-r / size) + ring * np.exp(-(((r - radius) / 0.2) ** 2)))
        stamps[band] = (light + rng.normal(size=light.shape)).astype(np.float32)
    return network_input(stamps, card.channels, card.input_pixels)


def field_of(inputs, card):
    """Return the middle of inputs that the network sees."""
    margin = (card.input_pixels - card.field_pixels) // 2
    inside = slice(margin, margin + card.field_pixels)
    return np.ascontiguousarray(inputs[..., inside, inside])


def check_logits(got, expected, precision):
    """Check float32 up to rounding, and bfloat16 to 3 % of the largest logit; bfloat16 must not equal float32."""
    assert (got.dtype, got.shape) == (np.float32, expected.shape)
    error = np.abs(got - expected).max()
    if precision == "float32":
        assert error < 1e-4
        assert largest_probability_error(got, expected) < 1e-5
    else:
        assert 1e-3 < error < 0.03 * np.abs(expected).max()
        assert largest_probability_error(got, expected) < 0.05


def largest_probability_error(logits, expected):
    return np.abs(_softmax(logits) - _softmax(expected)).max()


def _softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return shares / shares.sum(axis=1, keepdims=True)
