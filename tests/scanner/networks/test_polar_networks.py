"""Logarithmic polar coordinates: circles become lines, larger rings the same picture farther out, turns a shift of angles."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.polar_networks import (
    INNERMOST_PIXELS,
    N_ANGLES,
    N_RADII,
    LogPolar,
    MeanAndPeak,
    WrapAngles,
    in_pixels,
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
    return LogPolar().eval()(picture(brightness))[0, 0].numpy()


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
    radii, angles = ((np.arange(n) + 0.5) * np.pi / 96 for n in (96, 192))
    x, y = (2 * np.exp(radii)[:, None] * of(angles) + (SIDE - 1) / 2 for of in (np.cos, np.sin))
    samples = map_coordinates(image, [y, x], order=1)
    expected = samples.reshape(N_RADII, 2, N_ANGLES, 2).mean((1, 3))
    found = LogPolar().eval()(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    # All of them lie in the field that the network sees, and in a disc of the stated radius.
    assert INNERMOST_PIXELS * np.exp(2 * np.pi * N_RADII / N_ANGLES) == pytest.approx(46.3, abs=0.05)
    assert np.abs(offsets_pixels()).max() < SIDE / 2


def test_positions_keep_their_digits_in_bfloat16():
    image = picture(lambda r, _: np.exp(-(((r - 30) / 2) ** 2)))
    layer = LogPolar().eval()
    half = layer(image.bfloat16())
    assert half.dtype == torch.bfloat16
    np.testing.assert_allclose(half.float(), layer(image), atol=0.01)


def test_positions_keep_their_digits_where_training_computes_in_bfloat16():
    image, layer, places = picture(lambda r, _: np.exp(-(((r - 40) / 1.5) ** 2))).float(), LogPolar(), []
    for is_mixed in (False, True):
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            places.append(layer(image.expand(8, -1, -1, -1)))
    torch.testing.assert_close(places[1], places[0], rtol=0, atol=1e-5)


def test_each_object_is_turned_and_stretched_in_training():
    radius = INNERMOST_PIXELS * FACTOR**24
    blob = picture(lambda r, angle: np.exp(-(((r - radius) / 3) ** 2) - (angle / 0.2) ** 2))
    torch.manual_seed(5)
    cells = LogPolar()(torch.cat([blob, 2 * blob], dim=1).expand(600, -1, -1, -1))
    # All channels alike: the second stays twice the first.
    torch.testing.assert_close(cells[:, 1], 2 * cells[:, 0])
    weights = cells[:, 0].numpy() / cells[:, 0].sum((-2, -1), keepdim=True).numpy()
    rows = np.sum(weights * np.arange(N_RADII)[:, None], axis=(1, 2))
    at = np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES
    turns = np.angle(np.sum(weights * np.exp(1j * at), axis=(1, 2)))
    assert np.abs(np.mean(np.exp(1j * turns))) < 4 / np.sqrt(600)
    assert np.abs(np.mean(np.exp(2j * turns))) < 4 / np.sqrt(600)
    # Evenly by up to one cell either way.
    assert np.ptp(rows) == pytest.approx(2, abs=0.1)
    assert np.std(rows) == pytest.approx(2 / np.sqrt(12), rel=0.05)
    assert np.mean(rows) == pytest.approx(np.sum(sampled_rows(blob)), abs=0.05)


def test_no_object_is_mirrored_in_training():
    """Two blobs keep their order around the middle: the second lies one radian further, from x to y."""
    radius = INNERMOST_PIXELS * FACTOR**24
    blobs = [
        picture(lambda r, angle, at=at: np.exp(-(((r - radius) / 3) ** 2) - ((angle - at) / 0.2) ** 2)) for at in (0.0, 1.0)
    ]
    torch.manual_seed(6)
    cells = LogPolar()(torch.cat(blobs, dim=1).expand(20, -1, -1, -1)).sum(-2).numpy()
    phases = np.angle(cells @ np.exp(1j * np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES))
    assert np.ptp(phases[:, 0]) > 3
    np.testing.assert_allclose(np.angle(np.exp(1j * (phases[:, 1] - phases[:, 0]))), 1, atol=0.02)


def sampled_rows(blob):
    cells = LogPolar().eval()(blob)[0, 0].numpy()
    return cells.sum(axis=1) / cells.sum() * np.arange(N_RADII)


def test_gradients_pass_after_inference():
    layer, x = LogPolar().eval(), torch.ones(1, 1, SIDE, SIDE)
    with torch.inference_mode():
        layer(x)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad.sum() == pytest.approx(N_RADII * N_ANGLES, rel=1e-4)


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


def test_features_of_a_direction_see_the_opposite_one():
    torch.manual_seed(3)
    convolutions = polar(1)[2:-5].double().eval()
    cells = torch.randn(1, 1, N_RADII, N_ANGLES, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(convolutions(cells)[..., 0].sum(), cells)
    # The first of twelve angles holds cells 0 to 7; 48 to 55 lie on the other side.
    assert gradient[..., 48:56].abs().max() > 0


def test_maps_are_turned_back_to_pixels():
    maps = np.random.default_rng(4).random((2, 1, 6, 12))
    found = in_pixels(torch.from_numpy(maps), SIDE)[:, 0].numpy()
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rows = np.log(np.hypot(x, y) / 2) / np.pi * 6 - 0.5
    columns = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * 12 - 0.5
    for one, cells in zip(found, maps[:, 0], strict=True):
        expected = map_coordinates(np.tile(cells, 3), [np.clip(rows, 0, 5), columns + 12], order=1)
        np.testing.assert_allclose(one, np.where(np.hypot(x, y) <= 2 * np.exp(np.pi), expected, 0), atol=1e-9)
    assert not found[:, 0, 0].any()
    assert found[:, SIDE // 2, 2].all()


def test_layers_of_the_network():
    layers = list(polar(5))
    assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.2]
    convolutions = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Conv2d)]
    assert [tuple(layers[i].kernel_size) for i in convolutions] == [(3, 3)] * 4 + [(3, 5), (3, 7), (3, 7)]
    for i in convolutions:
        assert isinstance(layers[i + 1], torch.nn.BatchNorm2d)
        assert isinstance(layers[i + 2], torch.nn.ReLU)
    assert ARCHITECTURES["polar"].turns == 1
    # Weights that were trained fit no other widths; multiplications and additions are 88 million, as it says.
    widths = [(layers[i].in_channels, layers[i].out_channels) for i in convolutions]
    assert widths == [(5, 16), (16, 32), (32, 32), (32, 48), (48, 48), (48, 64), (64, 64)]
    n_cells = [48 * 96 // 4**n for n in (0, 1, 1, 2, 2, 3, 3)]
    n_taps = [9, 9, 9, 9, 15, 21, 21]
    n_products = sum(n * m * a * b for n, m, (a, b) in zip(n_cells, n_taps, widths, strict=True))
    assert 2 * n_products == pytest.approx(88e6, rel=0.01)
    pooled = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.MaxPool2d)]
    assert [sum(i < at for i in convolutions) for at in pooled] == [1, 3, 5]
    assert [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, torch.nn.Linear)] == [
        (128, 128),
        (128, 4),
    ]


def test_a_network_needs_channels():
    with pytest.raises(ValueError, match="n_channels=0"):
        polar(0)
