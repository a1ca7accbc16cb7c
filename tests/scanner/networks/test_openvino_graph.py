"""Graphs of OpenVINO compute what torch does, and layers without a counterpart are named."""

import numpy as np
import pytest
import torch
from torch import nn

from scanner.networks.errors import EngineError
from scanner.networks.openvino_engine import OpenVinoEngine, works
from scanner.networks.small_networks import CentreCrop, MeanOverOrientations

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
