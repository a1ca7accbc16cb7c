"""Weights that fits start from: those of an earlier ensemble's networks, or of smaller networks with the same inputs.

A larger network gets the smaller one's weights in its first channels. Its further channels are drawn at random and feed none of
the first, so that it begins with the smaller network's outputs and learns what more channels can add (after Net2Net: Chen,
Goodfellow & Shlens 2016, section 2.3, which copies channels instead).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network
from scanner.networks.parameters import he_initialise
from training.checkpoint import save_weights
from training.config import TrainConfig
from training.errors import TrainingError
from training.fit import start_file

State = Mapping[str, Tensor]


def put_start_weights(package: Path, config: TrainConfig, work: Path) -> None:
    """Save the start weights in the work folder of each fit, where every worker finds them.

    A network starts from the one of its name, or else from the first of the package that it can be grown from.

    Raises:
        TrainingError: the package cannot be read, or holds no network that a configured one can start from.
    """
    try:
        card = read_card(package)
        for spec in config.networks:
            start = start_file(work, spec)
            start.parent.mkdir(parents=True, exist_ok=True)
            network = spec.build()
            network.load_state_dict(_start_state(package, card, spec, config.seed))
            save_weights(start, network)
    except PackageError as error:
        raise TrainingError(str(error)) from error


def _start_state(package: Path, card: EnsembleCard, spec: NetworkSpec, seed: int) -> State:
    # The committee comes first, because its networks know more than a first stage, and more objects than a candidate network.
    others = [network for network in card.all_networks if network not in card.networks]
    candidates = [*card.networks, *others]
    of_that_name = [network for network in candidates if network.name == spec.name]
    for network in of_that_name or candidates:
        state = _state_from(package, network, spec, seed)
        if state is not None:
            return state
    raise TrainingError(
        f"{package}: must hold {spec.name} ({spec.architecture}), or a smaller network of its kind, with the same inputs, got "
        f"{', '.join(f'{network.name} ({network.architecture})' for network in candidates)}"
    )


def _state_from(package: Path, network: NetworkCard, spec: NetworkSpec, seed: int) -> State | None:
    """Return the network's state, grown if it is smaller; None if its inputs, outputs or layers are others."""
    if network.channels != spec.channels or network.classes != spec.classes or network.input_pixels != spec.input_pixels:
        return None
    state = load_network(package, network).state_dict()
    return state if network.architecture == spec.architecture else grown(state, spec, seed)


def grown(small: State, spec: NetworkSpec, seed: int = 0) -> State | None:
    """Return the state of a larger network that begins with a smaller one's outputs; None if it has other layers.

    A kernel that covers a smaller field keeps its middle, and the outputs then change by what lies outside.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = spec.build()
        he_initialise(network)
    large = network.state_dict()
    if list(large) != list(small):
        return None
    if any(not _holds(large[name].shape, small[name].shape) for name in large):
        return None
    return {name: _embedded(large[name], small[name]) for name in large}


def _holds(large: torch.Size, small: torch.Size) -> bool:
    """Return whether there are at least as many channels, the first two axes, and no larger kernels, the others."""
    if len(large) != len(small):
        return False
    return all(n >= m for n, m in zip(large[:2], small[:2], strict=True)) and all(
        n <= m for n, m in zip(large[2:], small[2:], strict=True)
    )


def _embedded(large: Tensor, small: Tensor) -> Tensor:
    """Return the large tensor with the small one in its first channels, which read no other channels."""
    if small.ndim == 0:
        return small.clone()
    out = large.clone()
    n_out = len(small)
    if small.ndim == 1:
        out[:n_out] = small
        return out
    for axis, n_wanted in enumerate(large.shape[2:], start=2):
        small = small.narrow(axis, (small.shape[axis] - n_wanted) // 2, n_wanted)
    out[:n_out] = 0
    out[:n_out, : small.shape[1]] = small
    return out
