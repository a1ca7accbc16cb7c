"""Feature visualisations of networks of every architecture, compared with direct outputs of the networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from torch import nn

from scanner.explain.feature_visualisation import (
    VisualisationSettings,
    bounds,
    kernel_images,
    starting_noise,
    towards_classes,
    visualise_features,
)
from scanner.explain.gradient_ascent import CLASS_GENERATION, DEEP_DREAM, KERNEL_IMAGES, AscentSettings
from scanner.explain.kernels import kernel_layers
from scanner.networks.architectures import FLAGSHIP_NETWORKS, PAPER_NETWORKS, NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channel import channels
from scanner.preprocess.network_inputs import network_input
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from tests.scanner.random_networks import random_network

SPECS = {spec.name: spec for spec in (*PAPER_NETWORKS, *FLAGSHIP_NETWORKS)}
SHORT = VisualisationSettings(AscentSettings(6, 0.1, is_stretched=True), AscentSettings(2, 0.1), AscentSettings(3, 1e-2))
SHORTEST = VisualisationSettings().of_at_most(1)


def card_of(name):
    spec = SPECS[name]
    return draft_network_card(spec, "mer10" if spec in FLAGSHIP_NETWORKS else "challenge", {})


def network_of(name):
    return random_network(SPECS[name].architecture, len(SPECS[name].channels))


def objects_of(card, n, seed=3):
    geometry = MER_10 if card.geometry == "mer10" else CHALLENGE
    rng = np.random.default_rng(seed)
    return {band: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}


def logits_of(network, images):
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


def log_odds(logits):
    """Return the log-odds of each class against all others; they still differ where probabilities are 0 or 1."""
    return np.stack([logits[:, i] - logsumexp(np.delete(logits, i, 1), 1) for i in range(logits.shape[1])], 1)


@pytest.fixture(scope="module", params=["OU-66", "compact-sky", "equivariant-centre"])
def drawn(request):
    network, card = network_of(request.param), card_of(request.param)
    objects = objects_of(card, 5)
    steps = []
    shown = visualise_features(network, card, np.random.default_rng(1), SHORT, objects, lambda *step: steps.append(step))
    return network, card, objects, shown, steps


def test_class_images_raise_their_class_within_the_input_bounds(drawn):
    network, card, _, shown, _ = drawn
    start = starting_noise(card, np.random.default_rng(1))
    low, high = bounds(card.channels)
    logits = logits_of(network, shown.class_images)
    assert (np.diag(log_odds(logits)) > log_odds(logits_of(network, start))[0]).all()
    np.testing.assert_allclose(shown.class_p, softmax(logits, 1), rtol=1e-4, atol=1e-6)
    everything = [
        start,
        shown.class_images,
        *(kernel.generated[None] for kernel in shown.kernels),
        *(row.images for row in shown.dreams),
    ]
    for images in everything:
        assert (images >= low).all()
        assert (images <= high).all()


def test_a_kernels_object_activates_it_most(drawn):
    network, card, objects, shown, _ = drawn
    inputs = network_input(objects, card.channels, card.input_pixels)
    n_layers = {layer.name: layer.n_layers for layer in kernel_layers(network)}
    n_turns = 4 if card.architecture == "equivariant" else 1
    assert {kernel.layer for kernel in shown.kernels} == n_layers.keys()
    for kernel in shown.kernels:
        with torch.no_grad():
            maps = network[: n_layers[kernel.layer]](torch.from_numpy(inputs))[:, n_turns * kernel.kernel]
        values = maps.mean((-2, -1)).numpy()
        assert values[kernel.object_index] >= values.max() - 1e-5
        np.testing.assert_array_equal(kernel.object_input, inputs[kernel.object_index])
    assert len({kernel.object_index for kernel in shown.kernels}) > 1


def test_dreams_are_of_the_least_and_most_lens_like_objects(drawn):
    network, card, objects, shown, _ = drawn
    inputs = network_input(objects, card.channels, card.input_pixels)
    logits = logits_of(network, inputs)
    against_nonlens = -log_odds(logits)[:, 0]
    assert [row.object_index for row in shown.dreams] == [against_nonlens.argmin(), against_nonlens.argmax()]
    for row in shown.dreams:
        np.testing.assert_array_equal(row.images[0], inputs[row.object_index])
        after = logits_of(network, row.images)
        assert (np.diag(log_odds(after)[1:]) > log_odds(after)[0]).all()
        assert row.p.shape == (1 + len(card.classes), len(card.classes))


def test_steps_are_reported_and_counted(drawn):
    network, _, _, _, steps = drawn
    n_layers = len(kernel_layers(network))
    assert steps == [(6, 6), *[(2, 2)] * n_layers, (3, 3)]
    assert SHORT.n_steps(network, has_objects=True) == 9 + 2 * n_layers
    assert SHORT.n_steps(network, has_objects=False) == 6 + 2 * n_layers


def test_equal_seeds_give_equal_images():
    network, card = network_of("equivariant-sky"), card_of("equivariant-sky")
    first, again, other = (visualise_features(network, card, np.random.default_rng(seed), SHORTEST) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.class_images, again.class_images)
    assert not np.array_equal(first.class_images, other.class_images)
    assert first.dreams == ()


def test_one_object_is_both_most_and_least_a_lens():
    network, card = network_of("equivariant-sky"), card_of("equivariant-sky")
    shown = visualise_features(network, card, np.random.default_rng(1), SHORTEST, objects_of(card, 1))
    assert [row.object_index for row in shown.dreams] == [0]


def test_the_rates_mean_the_same_on_every_scale(rng):
    """Images ascend alike for a network that reads -2 to 6 and one that reads the same in 0-1."""
    card = card_of("OU-H")
    network = nn.Sequential(nn.Flatten(), nn.Linear(66 * 66, 2))

    class ToUnit(nn.Module):
        def forward(self, x):
            return (x + 2) / 8

    start = rng.random((1, 1, 66, 66), dtype=np.float32)
    wide = card.model_copy(update={"channels": channels("sky_asinh", "H")})
    settings = AscentSettings(6, 5.0, is_stretched=True)
    expected = towards_classes(network, card, start, settings)
    assert np.abs(expected - start).mean() > 0.1
    found = towards_classes(nn.Sequential(ToUnit(), network), wide, 8 * start - 2, settings)
    np.testing.assert_allclose((found + 2) / 8, expected, atol=1e-5)


def test_several_images_ascend_to_every_class(rng):
    network, card = network_of("OU-JYH"), card_of("OU-JYH")
    start = rng.random((2, 3, 66, 66), dtype=np.float32)
    together = towards_classes(network, card, start, SHORT.of_object)
    alone = [towards_classes(network, card, start[i : i + 1], SHORT.of_object) for i in range(2)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_a_kernel_image_ascends_at_its_full_gradient():
    """Each step follows the gradient of one pixel, 0.5, whatever the number of pixels."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        network[0].weight[:, 0, 0, 0] = torch.tensor([0.5, -0.5])
    card = draft_network_card(NetworkSpec("x", "ou66", channels("min_max", "H")), "challenge", {})
    start = np.full((1, 1, 66, 66), 0.4, np.float32)
    light, dark = kernel_images(network, card, 1, [0, 1], start, AscentSettings(4, 0.1))
    np.testing.assert_allclose(light, 0.6, atol=1e-6)
    np.testing.assert_allclose(dark, 0.2, atol=1e-6)


def test_the_defaults_are_the_papers_and_can_be_cut_short():
    assert VisualisationSettings() == VisualisationSettings(CLASS_GENERATION, KERNEL_IMAGES, DEEP_DREAM)
    cut = VisualisationSettings().of_at_most(2000)
    assert cut == VisualisationSettings(replace(CLASS_GENERATION, n_steps=2000), KERNEL_IMAGES, DEEP_DREAM)
