"""Portraits of networks of every architecture, compared with direct outputs of the networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from torch import nn

from scanner.explain.dream import CLASS_GENERATION, DEEP_DREAM, KERNEL_IMAGES, Climb
from scanner.explain.figures import pages_bytes
from scanner.explain.kernels import kernel_layers
from scanner.explain.portrait_figures import picture, portrait_figures
from scanner.explain.portraits import Climbs, bounds, kernel_images, portrait, starting_noise, towards_classes
from scanner.networks.architectures import FLAGSHIP_NETWORKS, PAPER_NETWORKS, NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channels import channels
from scanner.preprocess.network_inputs import network_input
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from tests.scanner.explain.test_occlusion import made_network

SPECS = {spec.name: spec for spec in (*PAPER_NETWORKS, *FLAGSHIP_NETWORKS)}
SHORT = Climbs(Climb(6, 0.1, is_stretched=True), Climb(2, 0.1), Climb(3, 1e-2))


def card_of(name):
    spec = SPECS[name]
    return draft_network_card(spec, "mer10" if spec in FLAGSHIP_NETWORKS else "challenge", {})


def network_of(name):
    return made_network(SPECS[name].architecture, len(SPECS[name].channels))


def objects_of(card, n, seed=3):
    geometry = MER_10 if card.geometry == "mer10" else CHALLENGE
    rng = np.random.default_rng(seed)
    return {band: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}


def said(network, images):
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
    made = portrait(network, card, np.random.default_rng(1), SHORT, objects, lambda *step: steps.append(step))
    return network, card, objects, made, steps


def test_class_images_raise_their_class_within_the_input_bounds(drawn):
    network, card, _, made, _ = drawn
    start = starting_noise(card, np.random.default_rng(1))
    low, high = bounds(card.channels)
    logits = said(network, made.class_images)
    assert (np.diag(log_odds(logits)) > log_odds(said(network, start))[0]).all()
    np.testing.assert_allclose(made.class_p, softmax(logits, 1), rtol=1e-4, atol=1e-6)
    everything = [start, made.class_images, *(one.made[None] for one in made.kernels), *(row.images for row in made.dreams)]
    for images in everything:
        assert (images >= low).all()
        assert (images <= high).all()


def test_a_kernels_object_activates_it_most(drawn):
    network, card, objects, made, _ = drawn
    inputs = network_input(objects, card.channels, card.input_pixels)
    n_layers = {layer.name: layer.n_layers for layer in kernel_layers(network)}
    n_turns = 4 if card.architecture == "equivariant" else 1
    assert {one.layer for one in made.kernels} == n_layers.keys()
    for one in made.kernels:
        with torch.no_grad():
            values = network[: n_layers[one.layer]](torch.from_numpy(inputs))[:, n_turns * one.kernel].mean((-2, -1)).numpy()
        assert values[one.place] >= values.max() - 1e-5
        np.testing.assert_array_equal(one.seen, inputs[one.place])
    assert len({one.place for one in made.kernels}) > 1


def test_dreams_are_of_the_least_and_most_lens_like_objects(drawn):
    network, card, objects, made, _ = drawn
    inputs = network_input(objects, card.channels, card.input_pixels)
    logits = said(network, inputs)
    against_nonlens = -log_odds(logits)[:, 0]
    assert [row.place for row in made.dreams] == [against_nonlens.argmin(), against_nonlens.argmax()]
    for row in made.dreams:
        np.testing.assert_array_equal(row.images[0], inputs[row.place])
        after = said(network, row.images)
        assert (np.diag(log_odds(after)[1:]) > log_odds(after)[0]).all()
        assert row.p.shape == (1 + len(card.classes), len(card.classes))


def test_steps_are_reported_and_counted(drawn):
    network, _, _, _, steps = drawn
    n_layers = len(kernel_layers(network))
    assert steps == [(6, 6), *[(2, 2)] * n_layers, (3, 3)]
    assert SHORT.n_steps(network, has_objects=True) == 9 + 2 * n_layers
    assert SHORT.n_steps(network, has_objects=False) == 6 + 2 * n_layers


def test_figures_have_a_page_with_titles_for_each_part(drawn):
    _, card, _, made, _ = drawn
    kernels, classes, excited, dreamt = portrait_figures(made, ["a", "b", "c$_{x$", "d", "e"])
    titles = [[axis.get_title() for axis in page.axes if axis.get_title()] for page in (kernels, classes, excited, dreamt)]
    assert len(titles[0]) == len(made.first_kernels)
    assert [title.split(" = ")[0] for title in titles[1]] == [f"p({name})" for name in card.classes]
    first = made.kernels[0]
    assert titles[2][:2] == [f"[layer {first.layer} kernel {first.kernel}]", ["a", "b", "c$_{x$", "d", "e"][first.place]]
    assert len(titles[3]) == 2 * (1 + len(card.classes))
    assert all("\np(lens) = " in title for title in titles[3])
    np.testing.assert_array_equal(excited.axes[1].get_images()[0].get_array(), picture(first.seen, card.channels))
    seen_in_dream = picture(made.dreams[0].images[0], card.channels, 2.5)
    np.testing.assert_array_equal(dreamt.axes[0].get_images()[0].get_array(), seen_in_dream)
    assert {image.origin for page in (kernels, classes) for axis in page.axes for image in axis.get_images()} == {"lower"}


def test_no_objects_give_no_dreams_and_equal_seeds_equal_bytes():
    network, card = network_of("equivariant-sky"), card_of("equivariant-sky")
    first, again, other = (portrait(network, card, np.random.default_rng(seed), Climbs().of_at_most(1)) for seed in (1, 1, 2))
    pages, pages_again = portrait_figures(first), portrait_figures(again)
    assert len(pages) == 3
    assert pages_bytes(pages[:2], "pdf") == pages_bytes(pages_again[:2], "pdf")
    assert not np.array_equal(first.class_images, other.class_images)


def test_one_object_is_both_most_and_least_a_lens():
    network, card = network_of("equivariant-sky"), card_of("equivariant-sky")
    made = portrait(network, card, np.random.default_rng(1), Climbs().of_at_most(1), objects_of(card, 1))
    assert [row.place for row in made.dreams] == [0]


def test_the_rates_mean_the_same_on_every_scale(rng):
    """Images climb alike for a network that reads -2 to 6 and one that reads the same in 0-1."""
    card = card_of("OU-H")
    network = nn.Sequential(nn.Flatten(), nn.Linear(66 * 66, 2))

    class ToUnit(nn.Module):
        def forward(self, x):
            return (x + 2) / 8

    start = rng.random((1, 1, 66, 66), dtype=np.float32)
    wide = card.model_copy(update={"channels": channels("sky_asinh", "H")})
    how = Climb(6, 5.0, is_stretched=True)
    expected = towards_classes(network, card, start, how)
    assert np.abs(expected - start).mean() > 0.1
    found = towards_classes(nn.Sequential(ToUnit(), network), wide, 8 * start - 2, how)
    np.testing.assert_allclose((found + 2) / 8, expected, atol=1e-5)


def test_several_images_climb_to_every_class(rng):
    network, card = network_of("OU-JYH"), card_of("OU-JYH")
    start = rng.random((2, 3, 66, 66), dtype=np.float32)
    together = towards_classes(network, card, start, SHORT.of_object)
    alone = [towards_classes(network, card, start[i : i + 1], SHORT.of_object) for i in range(2)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_a_kernel_image_climbs_at_its_full_gradient():
    """Each step follows the gradient of one pixel, 0.5, whatever the number of pixels."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        network[0].weight[:, 0, 0, 0] = torch.tensor([0.5, -0.5])
    card = draft_network_card(NetworkSpec("x", "ou66", channels("min_max", "H")), "challenge", {})
    start = np.full((1, 1, 66, 66), 0.4, np.float32)
    light, dark = kernel_images(network, card, 1, [0, 1], start, Climb(4, 0.1))
    np.testing.assert_allclose(light, 0.6, atol=1e-6)
    np.testing.assert_allclose(dark, 0.2, atol=1e-6)


def test_pictures_show_bands_in_the_papers_colours():
    paper = channels("min_max", "J", "Y", "H", "VIS")
    image = np.broadcast_to(np.array([0.2, 0.1, 0.3, 0.9], np.float32)[:, None, None], (4, 50, 50))
    shown = picture(image, paper)
    assert shown.shape == (50, 102, 3)
    np.testing.assert_allclose(shown[:, :50], np.broadcast_to([0.3, 0.2, 0.1], (50, 50, 3)), rtol=1e-6)
    assert (shown[:, 50:52] == 1).all()
    np.testing.assert_allclose(shown[:, 52:], 0.9)
    np.testing.assert_allclose(picture(image, paper, 2.5)[0, 0], [0.75, 0.5, 0.25], rtol=1e-6)


def test_pictures_of_other_scales_lie_between_their_bounds():
    flagship = (*channels("sky_asinh", "VIS", "Y", "J", "H"), *channels("detail", "VIS"))
    image = np.broadcast_to(np.array([6, -2, 2, 6, -3], np.float32)[:, None, None], (5, 3, 3))
    shown = picture(image, flagship, 2.5)
    assert shown.shape == (3, 3 * 3 + 2, 3)
    # NISP, then VIS, then VIS on its other scale.
    np.testing.assert_allclose(shown[0, [0, 4, 8]], [[1, 0.5, 0], [1, 1, 1], [0, 0, 0]])
    one_band = picture(np.full((1, 3, 3), 0.25, np.float32), channels("min_max", "H"))
    np.testing.assert_allclose(one_band, 0.25)


def test_the_defaults_are_the_papers_and_can_be_cut_short():
    assert Climbs() == Climbs(CLASS_GENERATION, KERNEL_IMAGES, DEEP_DREAM)
    cut = Climbs().of_at_most(2000)
    assert cut == Climbs(replace(CLASS_GENERATION, n_steps=2000), KERNEL_IMAGES, DEEP_DREAM)
