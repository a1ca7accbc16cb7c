"""Figures of what kernels and outputs respond to: figures 14 to 16 of Wilde et al. (2022)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from infra.progress import Progress
from scanner.explain.feature_figures import Cell, page, picture
from scanner.explain.feature_visualisation import (
    VisualisationSettings,
    kernel_images,
    probabilities,
    starting_noise,
    towards_classes,
)
from scanner.explain.kernels import kernel_layers, most_activating
from scanner.networks.network_card import NetworkCard
from scanner.preprocess.network_inputs import Inputs, network_input
from scanner.vocabulary.geometry import Stamps
from scanner.vocabulary.probability_text import probability_text

KERNELS: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType(
    {
        "OU-66": (("0", 6), ("0", 44), ("4", 25), ("4", 33), ("13", 4), ("17", 1), ("17", 11), ("20", 29)),
        "OU-200": (("4", 29), ("8", 1), ("12", 8), ("12", 18)),
    }
)
"""Layer and kernel that figures 14 and 15, or section 5.5, show of each network."""
_SEED = 0
_AT_ONCE = 50
_INCHES = 1.1


def kernel_figure(
    network: nn.Sequential, card: NetworkCard, objects: Stamps, settings: VisualisationSettings, progress: Progress
) -> Figure:
    """Draw, for the paper's kernels, the generated image and, with a square-root stretch, the object that activates it most.

    Args:
        network: A network in eval mode.
        card: Its card.
        objects: Band to `[object, y, x]`, in the card's geometry.
        settings: Steps of the ascent.
        progress: Called with the steps of each layer's ascent.
    """
    best = most_activating(network, _batches(objects, card))
    start = starting_noise(card, np.random.default_rng(_SEED))
    by_layer: dict[str, list[int]] = defaultdict(list)
    for layer, kernel in KERNELS[card.name]:
        by_layer[layer].append(kernel)
    depth = {layer.name: layer.n_layers for layer in kernel_layers(network)}
    cells: list[Cell] = []
    for layer, kernels in by_layer.items():
        generated = kernel_images(network, card, depth[layer], kernels, start, settings.of_kernel, progress)
        for kernel, image in zip(kernels, generated, strict=True):
            index = int(best[layer].indices[kernel])
            exciting = _input({band: images[index : index + 1] for band, images in objects.items()}, card)[0]
            cells += [
                (f"[layer {layer} kernel {kernel}]", picture(image, card.channels)),
                (f"object {index}", picture(np.sqrt(exciting), card.channels)),
            ]
    rows = [cells[i : i + 4] for i in range(0, len(cells), 4)]
    return page(f"{card.name}: generated images, and the object that activates the kernel most", rows, _INCHES)


def class_figure(
    network: nn.Sequential, card: NetworkCard, objects: Stamps, settings: VisualisationSettings, progress: Progress
) -> Figure:
    """Draw class generated images, then Deep Dreams of objects with a square-root stretch, a row for each.

    Args:
        network: A network in eval mode, of two classes.
        card: Its card.
        objects: Band to `[2, y, x]`: a non-lens, then a lens.
        settings: Steps of the ascents.
        progress: Called with the steps of each ascent.
    """
    start = starting_noise(card, np.random.default_rng(_SEED))
    generated = towards_classes(network, card, start, settings.of_class, progress)
    of_class = probabilities(network, generated)
    rows: list[list[Cell]] = [
        [
            (f"from noise, towards {name}\np {probability_text(of_class[i, i])}", picture(generated[i], card.channels))
            for i, name in enumerate(card.classes)
        ]
    ]
    shown = _input(objects, card)
    dreams = towards_classes(network, card, shown, settings.of_object, progress).reshape(len(shown), -1, *shown.shape[1:])
    for name, original, of_object in zip(("non-lens", "lens"), shown, dreams, strict=True):
        images = np.concatenate([original[None], of_object])
        p = probabilities(network, images)
        titles = [f"{name}, as it is", *(f"{name}, towards {of}" for of in card.classes)]
        rows.append(
            [
                (f"{title}\np(lens) {probability_text(1 - p[i, 0])}", picture(np.sqrt(images[i]), card.channels))
                for i, title in enumerate(titles)
            ]
        )
    return page(f"{card.name}: class generated images and Deep Dream, NISP and VIS", rows, _INCHES)


def _batches(objects: Stamps, card: NetworkCard) -> Iterator[Inputs]:
    for first in range(0, len(next(iter(objects.values()))), _AT_ONCE):
        yield _input({band: images[first : first + _AT_ONCE] for band, images in objects.items()}, card)


def _input(objects: Stamps, card: NetworkCard) -> Inputs:
    return network_input(objects, card.channels, card.input_pixels)
