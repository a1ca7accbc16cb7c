"""Tests of the figures of kernels and classes, with one step of each ascent."""

import numpy as np
import pytest
import torch

from infra.progress import no_progress
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from scanner.preprocess.network_inputs import network_input
from scanner.vocabulary.geometry import CHALLENGE
from tests.training.reproduction.made import OURS, card_of
from training.reproduction.kernel_figures import KERNELS, class_figure, kernel_figure

SETTINGS = VisualisationSettings().of_at_most(1)


@pytest.fixture(scope="module")
def card():
    return next(card for card in card_of(OURS).networks if card.name == "OU-66")


@pytest.fixture(scope="module")
def network(card):
    return load_network(SHIPPED_DIR / OURS, card)


@pytest.fixture(scope="module")
def objects():
    rng = np.random.default_rng(0)
    return {
        band: rng.gamma(2, 1, (4, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in CHALLENGE.grids.items()
    }


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.images]


def test_the_papers_kernels_stand_beside_their_object(network, card, objects):
    shown = titles(kernel_figure(network, card, objects, SETTINGS, no_progress))
    assert shown[::2] == [f"[layer {layer} kernel {kernel}]" for layer, kernel in KERNELS["OU-66"]]
    with torch.inference_mode():
        maps = network[0](torch.from_numpy(network_input(objects, card.channels, card.input_pixels)))
    most = int(maps[:, 44].mean((-2, -1)).argmax())
    assert shown[shown.index("[layer 0 kernel 44]") + 1] == f"object {most}"


def test_classes_and_dreams_have_a_row_each(network, card, objects):
    pair = {band: images[:2] for band, images in objects.items()}
    shown = titles(class_figure(network, card, pair, SETTINGS, no_progress))
    assert [title.split("\n")[0] for title in shown] == [
        "from noise, towards nonlens",
        "from noise, towards lens",
        *(f"{name}, {what}" for name in ("non-lens", "lens") for what in ("as it is", "towards nonlens", "towards lens")),
    ]
