"""Kernel activations, worked out on paper, and compared with feature maps by scipy and with all images at once."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from scanner.explain.kernels import first_kernels, kernel_activations, kernel_layers, most_activating
from scanner.networks.architectures import ARCHITECTURES
from tests.hand_set_networks import FEATURE_MAP, IMAGE, KERNEL, summing_network
from tests.scanner.random_networks import random_network


def test_the_papers_layers_have_the_papers_numbers():
    """Figures 14 and 15 name the layers so."""
    names = [layer.name for layer in kernel_layers(random_network("ou66", 1))]
    assert names == ["0", "4", "7", "10", "13", "17", "20", "23", "26"]
    assert [layer.name for layer in kernel_layers(random_network("ou200", 1))] == ["0", "4", "8", "12", "16", "19"]


def test_kernels_and_their_activation_by_hand():
    """The mean of the feature map is 756 / 9 = 84; of minus the image it is -84, as ReLU comes later."""
    network = summing_network()
    activations = kernel_activations(network, np.concatenate([IMAGE, -IMAGE]))
    assert {name: values.tolist() for name, values in activations.items()} == {"0": [[84], [-84]]}
    best = most_activating(network, [-IMAGE, IMAGE, IMAGE])["0"]
    assert (best.indices.tolist(), best.values.tolist()) == ([1], [84])
    np.testing.assert_array_equal(first_kernels(network), KERNEL[None, None])
    assert FEATURE_MAP.mean() == 84


def test_a_kernels_value_is_the_mean_before_relu(rng):
    network = random_network("ou66", 2)
    images = rng.normal(size=(3, 2, 66, 66)).astype(np.float32)
    found = kernel_activations(network, images)["0"]
    weight, bias = (parameter.detach().numpy() for parameter in network[0].parameters())
    for i in range(3):
        for kernel in (0, 17, 49):
            feature_map = sum(correlate2d(images[i, c], weight[kernel, c], mode="valid") for c in range(2)) + bias[kernel]
            assert found[i, kernel] == pytest.approx(feature_map.mean(), abs=1e-4)
    assert (found < 0).any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_convolution_is_listed_with_its_normalisation(architecture, rng):
    network = random_network(architecture, 2)
    n_pixels = ARCHITECTURES[architecture].input_pixels
    images = rng.random((2, 2, n_pixels, n_pixels), dtype=np.float32)
    layers, found = kernel_layers(network), kernel_activations(network, images)
    assert list(found) == [layer.name for layer in layers]
    for layer in layers:
        assert not isinstance(network[layer.n_layers], nn.BatchNorm2d)
        with torch.no_grad():
            expected = network[: layer.n_layers](torch.from_numpy(images)).mean((-2, -1))
        np.testing.assert_allclose(found[layer.name], expected, rtol=1e-5, atol=1e-5)


def test_the_most_activating_images_do_not_depend_on_batches(rng):
    network = random_network("ou66", 1)
    images = rng.random((11, 1, 66, 66), dtype=np.float32)
    images[7] = images[2]
    everything = kernel_activations(network, images)
    found = most_activating(network, (images[i : i + 3] for i in range(0, 11, 3)))
    assert found.keys() == everything.keys()
    for name, values in everything.items():
        np.testing.assert_allclose(found[name].values, values.max(axis=0), rtol=1e-5)
        np.testing.assert_allclose(values[found[name].indices, range(values.shape[1])], values.max(axis=0), rtol=1e-5)
        # The first of two equal images wins.
        assert 7 not in found[name].indices


def test_first_kernels_are_the_weights():
    network = random_network("equivariant", 2)
    assert first_kernels(network).shape == (3, 2, 3, 3)
    assert first_kernels(random_network("ou200", 4)).shape == (50, 4, 5, 5)
