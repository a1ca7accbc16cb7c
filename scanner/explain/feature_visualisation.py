"""Feature visualisation of a network: its first kernels, and images that maximise its outputs (Wilde et al. 2022, 5.2-5.5).

The ascent works in shares of the value range of each channel, so that the paper's rates, which are for images in 0-1, mean the
same for networks that read other scales.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.progress import Progress
from scanner.explain.gradient_ascent import (
    CLASS_GENERATION,
    DEEP_DREAM,
    KERNEL_IMAGES,
    AscentSettings,
    Objective,
    ascend,
    noise,
)
from scanner.explain.kernels import KernelLayer, MostActivating, first_kernels, kernel_layers, most_activating
from scanner.networks.network_card import NetworkCard
from scanner.preprocess.channel import Channel
from scanner.preprocess.channels import value_range
from scanner.preprocess.network_inputs import Inputs, network_input
from scanner.vocabulary.geometry import Stamps

InputImage = NDArray[np.float32]
"""`[channel, y, x]`, as a network reads it."""
KERNELS_A_LAYER = 3
_AT_ONCE = 64
"""Number of objects that are made into inputs together."""


@dataclass(frozen=True)
class VisualisationSettings:
    """Settings of the ascents of one visualisation; the defaults are the paper's."""

    of_class: AscentSettings = CLASS_GENERATION
    of_kernel: AscentSettings = KERNEL_IMAGES
    of_object: AscentSettings = DEEP_DREAM

    def of_at_most(self, n_steps: int) -> "VisualisationSettings":
        """Return these settings, cut short to `n_steps` steps per ascent."""
        cut = {name: replace(ascent, n_steps=min(ascent.n_steps, n_steps)) for name, ascent in vars(self).items()}
        return VisualisationSettings(**cut)

    def n_steps(self, network: nn.Sequential, *, has_objects: bool) -> int:
        """Return the number of steps of all ascents of one visualisation together."""
        n_of_kernels = len(kernel_layers(network)) * self.of_kernel.n_steps
        return self.of_class.n_steps + n_of_kernels + has_objects * self.of_object.n_steps


@dataclass(frozen=True)
class KernelVisualisation:
    """Images that excite one kernel."""

    layer: str
    """Name of the layer in the network."""
    kernel: int
    """Index of the kernel; in an equivariant layer, the kernel in its first orientation."""
    generated: InputImage
    """The generated kernel image."""
    object_index: int | None
    """Index, from 0, of the object that activates the kernel most; None without objects."""
    object_input: InputImage | None
    """The network's input for that object."""


@dataclass(frozen=True)
class DeepDreams:
    """One object, and its image after an ascent towards each class."""

    object_index: int
    """Index of the object, from 0."""
    images: Inputs
    """`[1 + class, channel, y, x]`: the object itself first."""
    p: NDArray[np.float32]
    """`[1 + class, class]`: probabilities of each image."""


@dataclass(frozen=True)
class FeatureVisualisation:
    """Images that show what the kernels and outputs of one network respond to."""

    card: NetworkCard
    first_kernels: NDArray[np.float32]
    """`[kernel, channel, y, x]`"""
    class_images: Inputs
    """`[class, channel, y, x]`: class generated images."""
    class_p: NDArray[np.float32]
    """`[class, class]`: the network's probabilities for each image."""
    kernels: tuple[KernelVisualisation, ...]
    dreams: tuple[DeepDreams, ...]
    """DeepDreams of the object with the lowest lens probability, then of that with the highest; empty without objects."""


def visualise_features(
    network: nn.Sequential,
    card: NetworkCard,
    rng: np.random.Generator | int,
    settings: VisualisationSettings,
    objects: Stamps | None = None,
    progress: Progress | None = None,
) -> FeatureVisualisation:
    """Visualise the features of a network; every ascent from noise starts from the same noise.

    Args:
        network: A network in eval mode.
        card: Its card.
        rng: Generator of the noise, or its seed.
        settings: Settings of the ascents.
        objects: Band to `[batch, y, x]`, in the card's geometry.
        progress: Called with the steps of each ascent on its own.
    """
    start = starting_noise(card, np.random.default_rng(rng))
    class_images = towards_classes(network, card, start, settings.of_class, progress)
    kernels = _kernel_visualisations(network, card, start, settings.of_kernel, objects, progress)
    dreams = () if objects is None else _dreams(network, card, objects, settings.of_object, progress)
    class_p = probabilities(network, class_images)
    return FeatureVisualisation(card, first_kernels(network), class_images, class_p, kernels, dreams)


def bounds(channels: Sequence[Channel]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the lowest and the highest value of the channels of an input, `[channel, 1, 1]` each."""
    low, high = np.array([value_range(channel.scaling) for channel in channels], np.float32).T
    return low[:, None, None], high[:, None, None]


def starting_noise(card: NetworkCard, rng: np.random.Generator) -> Inputs:
    """Return the paper's noise between the bounds of each channel, `[1, channel, y, x]`."""
    low, high = bounds(card.channels)
    return np.asarray(low + (high - low) * noise(len(card.channels), card.input_pixels, rng), np.float32)


def towards_classes(
    network: nn.Sequential, card: NetworkCard, start: Inputs, settings: AscentSettings, progress: Progress | None = None
) -> Inputs:
    """Return each start image after an ascent towards each class, `[image * class, channel, y, x]`.

    With two classes the ascent raises the output for the class, as in the paper. With more it raises the log-odds of the class
    against all others: the output for "compound_arc" rises most in images that the network classifies as double rings.
    """
    n_classes = len(card.classes)
    rows, targets = torch.arange(len(start) * n_classes), torch.arange(n_classes).repeat(len(start))

    def objective(images: Tensor) -> Tensor:
        logits = network(images)
        wanted: Tensor = logits[rows, targets]
        if n_classes == 2:
            return wanted
        others = logits.masked_fill(functional.one_hot(targets, n_classes).bool(), -torch.inf)
        return wanted - others.logsumexp(1)

    return _ascend(objective, np.repeat(start, n_classes, 0), settings, card, progress)


def kernel_images(
    network: nn.Sequential,
    card: NetworkCard,
    n_layers: int,
    maps: Sequence[int],
    start: Inputs,
    settings: AscentSettings,
    progress: Progress | None = None,
) -> Inputs:
    """Return, from one image, one for each of some feature maps after the first `n_layers` layers, `[map, channel, y, x]`.

    The ascent raises the sum of a map. The paper's activation is the mean, but its gradient is that of one pixel divided by the
    number of pixels: at a rate of 0.1 noise is still noise after 1000 steps.
    """
    first, rows, channels = network[:n_layers], torch.arange(len(maps)), torch.tensor(maps)

    def objective(images: Tensor) -> Tensor:
        return first(images)[rows, channels].sum((-2, -1))

    return _ascend(objective, np.repeat(start, len(maps), 0), settings, card, progress)


def probabilities(network: nn.Sequential, images: Inputs) -> NDArray[np.float32]:
    """Return a network's probabilities for inputs, `[batch, class]`."""
    with torch.inference_mode():
        return np.asarray(torch.softmax(network(torch.from_numpy(images)), 1).numpy())


def _ascend(
    objective: Objective, start: Inputs, settings: AscentSettings, card: NetworkCard, progress: Progress | None
) -> Inputs:
    """Run the ascent in shares of the range of each channel."""
    low, high = bounds(card.channels)
    least, span = torch.from_numpy(low), torch.from_numpy(high - low)

    def of_shares(shares: Tensor) -> Tensor:
        return objective(least + span * shares)

    shares = np.clip((start - low) / (high - low), 0, 1).astype(np.float32)
    zeros, ones = np.zeros(len(low), np.float32), np.ones(len(low), np.float32)
    raised = ascend(of_shares, shares, settings, zeros, ones, progress)
    return np.asarray(np.clip(low + (high - low) * raised, low, high), np.float32)


def _kernel_visualisations(
    network: nn.Sequential,
    card: NetworkCard,
    start: Inputs,
    settings: AscentSettings,
    objects: Stamps | None,
    progress: Progress | None,
) -> tuple[KernelVisualisation, ...]:
    best = None if objects is None else most_activating(network, _batches(objects, card))
    visualisations = []
    for layer in kernel_layers(network):
        kernels, maps = _chosen_kernels(network, layer)
        generated = kernel_images(network, card, layer.n_layers, maps, start, settings, progress)
        for kernel, feature_map, image in zip(kernels, maps, generated, strict=True):
            index, image_of_object = _most_activating_object(best, layer.name, feature_map, objects, card)
            visualisations.append(KernelVisualisation(layer.name, kernel, image, index, image_of_object))
    return tuple(visualisations)


def _chosen_kernels(network: nn.Sequential, layer: KernelLayer) -> tuple[list[int], list[int]]:
    """Choose some kernels of a layer, evenly spread, and their feature maps: in an equivariant layer, every fourth."""
    convolution = dict(network.named_children())[layer.name]
    n_kernels = len(next(convolution.parameters()))
    kernels = list(dict.fromkeys(np.linspace(0, n_kernels - 1, KERNELS_A_LAYER).round().astype(int).tolist()))
    n_orientations = 1 if isinstance(convolution, nn.Conv2d) else 4
    return kernels, [n_orientations * kernel for kernel in kernels]


def _most_activating_object(
    best: dict[str, MostActivating] | None, layer: str, feature_map: int, objects: Stamps | None, card: NetworkCard
) -> tuple[int | None, InputImage | None]:
    if best is None or objects is None:
        return None, None
    index = int(best[layer].indices[feature_map])
    return index, _inputs(objects, card, slice(index, index + 1))[0]


def _dreams(
    network: nn.Sequential, card: NetworkCard, objects: Stamps, settings: AscentSettings, progress: Progress | None
) -> tuple[DeepDreams, ...]:
    p_nonlens = np.concatenate([probabilities(network, inputs)[:, 0] for inputs in _batches(objects, card)])
    indices = list(dict.fromkeys([int(p_nonlens.argmax()), int(p_nonlens.argmin())]))
    start = np.concatenate([_inputs(objects, card, slice(index, index + 1)) for index in indices])
    dreams = towards_classes(network, card, start, settings, progress).reshape(len(indices), -1, *start.shape[1:])
    images = [np.concatenate([original[None], of_object]) for original, of_object in zip(start, dreams, strict=True)]
    return tuple(DeepDreams(index, row, probabilities(network, row)) for index, row in zip(indices, images, strict=True))


def _batches(objects: Stamps, card: NetworkCard) -> Iterator[Inputs]:
    for first in range(0, len(next(iter(objects.values()))), _AT_ONCE):
        yield _inputs(objects, card, slice(first, first + _AT_ONCE))


def _inputs(objects: Stamps, card: NetworkCard, rows: slice) -> Inputs:
    return network_input({band: images[rows] for band, images in objects.items()}, card.channels, card.input_pixels)
