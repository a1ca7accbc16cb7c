"""Logarithmic polar coordinates: circles become lines, larger rings the same picture farther out, turns a shift of angles."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from scanner.networks.polar_networks import (
    INNERMOST_PIXELS,
    N_ANGLES,
    N_RADII,
    LogPolar,
    MeanAndPeak,
    WrapAngles,
    offsets_pixels,
    polar,
)

SIDE = 96
FACTOR = np.exp(2 * np.pi / N_ANGLES)
"""Ratio of the radii of neighbouring cells."""


def picture(brightness):
    """Draw `brightness(radius, angle)`, in pixels and radians about the middle, as `[1, 1, y, x]`."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return torch.from_numpy(brightness(np.hypot(x, y), np.arctan2(y, x)))[None, None]


def sampled(brightness):
    return LogPolar()(picture(brightness))[0, 0].numpy()


def test_a_ring_lights_the_cells_of_its_radius():
    row = 24
    radius = INNERMOST_PIXELS * FACTOR ** (row + 0.5)
    cells = sampled(lambda r, _: np.exp(-(((r - radius) / 3) ** 2)))
    assert cells.shape == (N_RADII, N_ANGLES)
    assert (cells.argmax(axis=0) == row).all()
    assert np.ptp(cells[row]) < 0.02


def test_a_larger_picture_is_the_same_farther_out():
    def arc(scale):
        return lambda r, angle: np.exp(-(((r / scale - 12) / 3) ** 2) - ((angle - 0.7) / 0.5) ** 2)

    small, large = sampled(arc(1.0)), sampled(arc(FACTOR**8))
    np.testing.assert_allclose(large[8:], small[:-8], atol=0.02)
    assert small.max() > 0.9


def test_angles_grow_from_x_to_y():
    cells = sampled(lambda _, angle: np.cos(angle - np.pi / 2))
    assert set(cells[10:].argmax(axis=1)) <= {N_ANGLES // 4 - 1, N_ANGLES // 4}


def test_cells_are_means_of_interpolated_samples():
    image = np.random.default_rng(1).normal(size=(SIDE, SIDE))
    offsets = offsets_pixels() + (SIDE - 1) / 2
    samples = map_coordinates(image, [offsets[..., 1], offsets[..., 0]], order=1)
    expected = samples.reshape(N_RADII, 2, N_ANGLES, 2).mean((1, 3))
    found = LogPolar()(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    # All of them lie in the field that the network sees.
    assert np.abs(offsets_pixels()).max() < SIDE / 2


def test_positions_keep_their_digits_in_bfloat16():
    image = picture(lambda r, _: np.exp(-(((r - 30) / 2) ** 2)))
    half = LogPolar()(image.bfloat16())
    assert half.dtype == torch.bfloat16
    np.testing.assert_allclose(half.float(), LogPolar()(image), atol=0.01)


def test_padding_goes_round_in_angle_and_ends_in_radius():
    x = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    padded = WrapAngles(1, 2)(x)[0, 0]
    assert padded.shape == (5, 8)
    assert padded[0].eq(0).all()
    assert padded[-1].eq(0).all()
    assert padded[1].tolist() == [3, 4, 1, 2, 3, 4, 1, 2]


def test_mean_and_peak_of_each_map():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -1.0], [-1.0, -5.0]]]])
    assert MeanAndPeak()(x).tolist() == [[3.0, -2.0, 6.0, -1.0]]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_quarter_turns_change_no_logit(turn):
    torch.manual_seed(2)
    network = polar(2).double().eval()
    x = torch.randn(2, 2, SIDE, SIDE, dtype=torch.float64)
    torch.testing.assert_close(network(torch.rot90(x, turn, (-2, -1))), network(x), rtol=1e-9, atol=1e-12)


def test_the_last_map_spans_more_than_half_of_the_angles():
    """Light in one direction reaches features of the opposite one."""
    torch.manual_seed(3)
    spatial = polar(1)[:-5].double().eval()
    x = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    features = spatial(x + torch.randn_like(x))
    # Of a mirrored pair of directions, the first depends on pixels of the second.
    (gradient,) = torch.autograd.grad(features[..., 0].sum(), x)
    assert gradient[0, 0, :, : SIDE // 4].abs().max() > 0


def test_a_network_needs_channels():
    with pytest.raises(ValueError, match="n_channels=0"):
        polar(0)
