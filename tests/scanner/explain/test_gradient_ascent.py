"""Gradient ascent, compared with the authors' printed output and with ascents worked out by hand."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from scanner.explain.gradient_ascent import CLASS_GENERATION, DEEP_DREAM, AscentSettings, ascend, noise
from scanner.explain.kernels import kernel_activations, kernel_layers
from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.published import read_published
from tests.hand_set_networks import PIXEL_WEIGHTS, summing_network
from tests.scanner.random_networks import random_network
from tests.shared import PUBLISHED

LOW, HIGH = np.zeros(1, np.float32), np.ones(1, np.float32)


@pytest.mark.needs_shared("published_ensemble")
@pytest.mark.parametrize("target", [0, 1])
def test_class_generation_reproduces_the_authors_output(target):
    """The authors' noise and network give the probabilities that their notebook prints for the first ten steps."""
    spec = next(spec for spec in PAPER_NETWORKS if spec.name == "OU-200")
    network = spec.build()
    network.load_state_dict(read_published(PUBLISHED, spec))
    network.eval()
    with (PUBLISHED / "class_generation_expected_ou200.csv").open() as file:
        printed = [row for row in csv.DictReader(file) if int(row["target_class"]) == target]
    start = np.load(PUBLISHED / "class_generation_noise_ou200.npy").astype(np.float32)
    seen = []

    def objective(images):
        logits = network(images)
        seen.append(torch.softmax(logits, 1)[0].detach().numpy())
        return logits[:, target]

    settings = replace(CLASS_GENERATION, n_steps=10)
    ascend(objective, start, settings, np.zeros(4, np.float32), np.ones(4, np.float32))
    expected = [[float(row["p0"]), float(row["p1"])] for row in printed[:10]]
    np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_an_ascent_by_hand():
    """Each of two steps adds 0.05 times a pixel's weight to 0.1; the middle would end at 1.1 and is cut to 1."""
    network = summing_network()
    start = np.full((1, 1, 4, 4), 0.1, np.float32)
    images = ascend(lambda images: network(images)[:, 1], start, AscentSettings(2, 0.05), LOW, HIGH)
    expected = [[0.2, 0.4, 0.4, 0.3], [0.5, 1, 1, 0.7], [0.5, 1, 1, 0.7], [0.4, 0.8, 0.8, 0.5]]
    np.testing.assert_allclose(images[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(expected, np.minimum(0.1 + 0.1 * PIXEL_WEIGHTS, 1), rtol=1e-6)


def test_the_ascent_on_a_linear_network_follows_its_weights():
    weights = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    start = np.full((2, 1, 2, 2), 0.5, np.float32)
    start[1] += 0.1
    found = ascend(lambda images: (images[:, 0] * weights).sum((1, 2)), start, AscentSettings(3, 0.1), LOW, HIGH)
    np.testing.assert_allclose(found[:, 0], np.clip(start[:, 0] + 0.3 * weights.numpy(), 0, 1), atol=1e-6)
    assert start.max() < 0.7


def test_images_ascend_independently_and_the_network_is_unchanged(rng):
    network = random_network("ou66", 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start = rng.random((3, 2, 66, 66), dtype=np.float32)
    low, high = np.zeros(2, np.float32), np.ones(2, np.float32)
    steps = []

    def lens_output(images):
        return network(images)[:, 1]

    together = ascend(lens_output, start, AscentSettings(5, 0.1), low, high, lambda *step: steps.append(step))
    alone = ascend(lens_output, start[2:], AscentSettings(5, 0.1), low, high)
    np.testing.assert_allclose(together[2:], alone, atol=1e-5)
    assert steps == [(5, 5)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    with torch.no_grad():
        assert (network(torch.from_numpy(together))[:, 1] > network(torch.from_numpy(start))[:, 1]).all()


@pytest.mark.parametrize("architecture", ["ou66", "equivariant"])
def test_a_kernels_image_excites_that_kernel(architecture, rng):
    network = random_network(architecture, 2)
    layer = kernel_layers(network)[1]
    start = noise(2, 100 if architecture == "equivariant" else 66, rng)
    low, high = np.zeros(2, np.float32), np.ones(2, np.float32)
    first = network[: layer.n_layers]
    found = ascend(lambda images: first(images)[:, 3].mean((-2, -1)), start, AscentSettings(20, 1.0), low, high)
    before, after = (kernel_activations(network, images)[layer.name][0, 3] for images in (start, found))
    assert after > before


def test_noise_is_the_same_in_all_channels(rng):
    made = noise(4, 200, rng)
    assert made.shape == (1, 4, 200, 200)
    # As smooth as the authors' own.
    assert np.corrcoef(made[0, 0, :, 1:].ravel(), made[0, 0, :, :-1].ravel())[0, 1] == pytest.approx(0.86, abs=0.03)
    assert (made == made[:, :1]).all()
    assert 0 <= made.min() < 0.05
    assert 0.95 < made.max() <= 1


def test_the_defaults_are_the_papers_and_bad_settings_are_refused():
    assert (AscentSettings(5000, 0.1, is_stretched=True), AscentSettings(1000, 1e-3)) == (CLASS_GENERATION, DEEP_DREAM)
    for wrong in ((0, 0.1), (1, 0.0), (1, float("nan"))):
        with pytest.raises(ValueError, match="n_steps >= 1 and learning_rate > 0"):
            AscentSettings(*wrong)


def test_images_are_stretched_and_constant_ones_stay_finite():
    start = np.stack([np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4), np.full((1, 4, 4), 0.5, np.float32)])
    settings = AscentSettings(1, 1e-9, is_stretched=True)
    found = ascend(lambda images: images.sum((1, 2, 3)), start, settings, np.array([-3.0]), np.array([5.0]))
    np.testing.assert_allclose(found[0], -3 + 8 * start[0], atol=1e-5)
    np.testing.assert_allclose(found[1], start[1], atol=1e-5)


def test_a_zero_gradient_changes_nothing():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    nn.init.constant_(network[0].weight, 0.0)
    start = np.full((1, 1, 3, 3), 0.25, np.float32)
    np.testing.assert_array_equal(
        ascend(lambda images: network(images).sum((1, 2, 3)), start, AscentSettings(2, 1.0), LOW, HIGH), start
    )
