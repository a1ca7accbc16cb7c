"""Graphs of OpenVINO compute what torch does, and layers without a counterpart are named."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from scanner.networks.errors import EngineError
from scanner.networks.openvino_engine import OpenVinoEngine, has_bfloat16, works
from scanner.networks.polar_networks import MeanAndPeak, WrapAngles
from scanner.networks.small_networks import CentreCrop, MeanOverOrientations
from tests.scanner.random_networks import random_network

pytestmark = pytest.mark.skipif(not works(), reason="OpenVINO does not work on this machine")


def test_pool_steps_padding_and_missing_biases_are_kept(rng):
    layers = nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4, 3, 1), nn.Flatten()
    network = nn.Sequential(CentreCrop(12), *layers, nn.Linear(48, 2, bias=False)).eval()
    inputs = rng.normal(0, 1, (5, 2, 18, 18)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(OpenVinoEngine(network, 2, 18).logits(inputs), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_without_a_counterpart_is_named():
    with pytest.raises(EngineError, match="does not support MaxPool2d with ceil_mode"):
        OpenVinoEngine(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Flatten()), 1, 5)
    with pytest.raises(EngineError, match=r"supports the layers CentreCrop, Conv2d, .*, got Sigmoid"):
        OpenVinoEngine(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.Flatten()), 1, 5)


def test_orientations_are_averaged():
    """Two channels of four orientations: the means of 0 to 3 and of 4 to 7."""
    network = nn.Sequential(MeanOverOrientations())
    logits = OpenVinoEngine(network, 8, 1).logits(np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1))
    assert logits.tolist() == [[1.5, 5.5]]


def test_angles_wrap_around_and_radii_end():
    network = nn.Sequential(WrapAngles(1, 2), nn.Flatten())
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    padded = OpenVinoEngine(network, 1, 4).logits(x).reshape(6, 8)
    assert not padded[[0, -1]].any()
    assert padded[1].tolist() == [3, 4, 1, 2, 3, 4, 1, 2]
    assert padded[4].tolist() == [15, 16, 13, 14, 15, 16, 13, 14]


def test_mean_and_largest_value_of_each_map():
    x = np.array([[1, 2, 3, 6], [-1, -1, -1, -5]], np.float32).reshape(1, 2, 2, 2)
    assert OpenVinoEngine(nn.Sequential(MeanAndPeak()), 2, 2).logits(x).tolist() == [[3, -2, 6, -1]]


def test_a_polar_network_computes_what_torch_does(rng):
    network = random_network("polar", 3)
    inputs = rng.normal(size=(11, 3, 100, 100)).astype(np.float32)
    with torch.no_grad():
        expected = copy.deepcopy(network).double()(torch.from_numpy(inputs).double()).numpy()
    engine = OpenVinoEngine(network, 3, 100, threads=1)
    found = engine.logits(inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(expected[:, 1] - expected[:, 0]) > 0.3
    # Neither the batch, nor the threads, nor pixels outside the field change a bit.
    assert np.array_equal(engine.logits(inputs[3:4]), found[3:4])
    assert np.array_equal(OpenVinoEngine(network, 3, 100, threads=2).logits(inputs), found)
    field = np.ascontiguousarray(inputs[..., 2:-2, 2:-2])
    assert np.array_equal(OpenVinoEngine(network, 3, 96, threads=1).logits(field), found)


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU has no instructions for bfloat16")
def test_a_polar_network_in_bfloat16(rng):
    network = random_network("polar", 3)
    inputs = rng.normal(size=(8, 3, 96, 96)).astype(np.float32)
    exact, rounded = (OpenVinoEngine(network, 3, 96, precision).logits(inputs) for precision in ("float32", "bfloat16"))
    np.testing.assert_allclose(rounded, exact, atol=0.05 * np.abs(exact).max())
    assert not np.array_equal(rounded, exact)
