"""Scores of some objects by the networks of an ensemble, and maps of the pixels that the scores rest on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from infra.progress import Progress, no_progress
from scanner.explain.gradcam import GradCamMapper
from scanner.explain.occlusion import MASKS, Masks, OcclusionMapper
from scanner.networks.card import EnsembleCard
from scanner.networks.errors import PackageError
from scanner.networks.log_odds import lens_log_odds, logit_margins
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network
from scanner.networks.torch_engine import TorchEngine
from scanner.networks.turned_engine import TurnedEngine
from scanner.preprocess.network_inputs import network_input
from scanner.vocabulary.geometry import GEOMETRIES, Stamps

MOST_NETWORKS = 3
"""Largest number of networks that are explained by default."""


@dataclass(frozen=True)
class NetworkMaps:
    """One network's maps of some objects, `[batch, ...]`. Angles count from the middle, along the axes of the stamps."""

    network: str
    side_arcsec: float
    """Side of the stamps, and of every map except `occlusion`."""
    p_lens: NDArray[np.float32]
    """`p_<network>` of a scan: over all the network's orientations, where the maps are of the stamps as they lie."""
    occlusion: NDArray[np.float32]
    """`[batch, y, x]`: change of the log-odds of a lens when pixels there are hidden; negative where they support a lens."""
    occlusion_side_arcsec: float
    """Side of the square of all cells of `occlusion`; a cell is as wide as the masks' step and centred on its mask."""
    cam: NDArray[np.float32]
    """`[batch, y, x]`: Grad-CAM."""
    guided: NDArray[np.float32]
    """`[batch, y, x]`: the positive part of Guided Grad-CAM, summed over all channels."""
    occlusion_start_arcsec: float = 0.0
    """Distance from the left (and lower) edge of the stamps to that square; the masks may leave out the other edge."""


def networks_with_most_bands(card: EnsembleCard) -> list[str]:
    """Return the networks that read the most bands, at most three."""
    n_bands = {network.name: len({channel.band for channel in network.channels}) for network in card.networks}
    most = max(n_bands.values())
    return [name for name, n in n_bands.items() if n == most][:MOST_NETWORKS]


def chosen_networks(card: EnsembleCard, names: Sequence[str] | None) -> list[str]:
    """Return the named networks, each once; by default those that read the most bands.

    Raises:
        PackageError: the ensemble has no network of a name, or `names` is empty.
    """
    known = [network.name for network in card.networks]
    chosen = networks_with_most_bands(card) if names is None else list(dict.fromkeys(names))
    if unknown := [name for name in chosen if name not in known]:
        raise PackageError(f"{card.name} has no network {', '.join(unknown)}; it has {', '.join(known)}")
    if not chosen:
        raise PackageError(f"at least one network of {card.name} must be named, out of {', '.join(known)}")
    return chosen


def explain(
    folder: Path, card: EnsembleCard, stamps: Stamps, names: Sequence[str] | None = None, progress: Progress | None = None
) -> list[NetworkMaps]:
    """Return maps of each object for some networks of a package.

    Args:
        folder: Folder of the package.
        card: Its card.
        stamps: Band to `[batch, y, x]`, in the ensemble's geometry.
        names: Names of networks; by default those that read the most bands.
        progress: Called after each map.

    Raises:
        PackageError: the ensemble has no such network, or its weights cannot be used.
    """
    chosen = chosen_networks(card, names)
    known = {network.name: network for network in card.networks}
    n_objects = len(next(iter(stamps.values())))
    report = progress or no_progress
    maps = []
    for number, name in enumerate(chosen):

        def report_object(done: int, before: int = number * n_objects) -> None:
            report(before + done, len(chosen) * n_objects)

        maps.append(_network_maps(load_network(folder, known[name]), card, known[name], stamps, report_object))
    return maps


def _network_maps(
    network: nn.Sequential, ensemble: EnsembleCard, card: NetworkCard, stamps: Stamps, report: Callable[[int], None]
) -> NetworkMaps:
    inputs = network_input(stamps, card.channels, card.input_pixels)
    masks = MASKS[card.architecture]
    mapper, grad = OcclusionMapper(network, masks), GradCamMapper(network)
    whole = lens_log_odds(mapper.whole_logits(inputs))
    changes = []
    for i in range(len(inputs)):
        changes.append(lens_log_odds(mapper.logits(inputs[i : i + 1])[0]) - whole[i])
        report(i + 1)
    maps = grad.maps(inputs)
    side_arcsec = stamp_side_arcsec(card)
    start_arcsec, covered_arcsec = cells_arcsec(masks, card.input_pixels, side_arcsec)
    return NetworkMaps(
        network=card.name,
        side_arcsec=side_arcsec,
        p_lens=ensemble.p_of_network(card.name, logit_margins(_turned_logits(network, card, inputs))).astype(np.float32),
        occlusion=np.stack(changes).astype(np.float32),
        occlusion_side_arcsec=covered_arcsec,
        cam=maps.cam,
        guided=np.maximum(maps.guided, 0).sum(axis=1),
        occlusion_start_arcsec=start_arcsec,
    )


def _turned_logits(network: nn.Sequential, card: NetworkCard, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the network's logits, `[batch, class]`, over the orientations that its scores are a mean of."""
    engine = TorchEngine(network)
    return (engine if card.turns == 1 else TurnedEngine(engine, card.turns)).logits(inputs)


def stamp_side_arcsec(card: NetworkCard) -> float:
    """Return the side of a network's stamps: that of its widest band (VIS), as the bands' squares differ a little."""
    grids = GEOMETRIES[card.geometry].grids
    return max(grids[channel.band].side_arcsec for channel in card.channels)


def cells_arcsec(masks: Masks, n_pixels: int, side_arcsec: float) -> tuple[float, float]:
    """Return the distance of the square of all cells of an occlusion map from the edge of the stamp, and its side."""
    pixel_arcsec = side_arcsec / n_pixels
    first = (masks.side_pixels - masks.step_pixels) / 2
    return first * pixel_arcsec, len(masks.starts(n_pixels)) * masks.step_pixels * pixel_arcsec
