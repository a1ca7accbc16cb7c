"""Average the weights of ensembles that were trained on from the same weights: a sharper ensemble at the cost of one.

Izmailov et al. 2018 (UAI) average the weights of one training, Wortsman et al. 2022 (ICML) of several from the same start.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network, write_package
from scanner.networks.training_data_card import data_lists
from training.errors import TrainingError
from training.limits import LENSES_ALONE


def average_packages(packages: Sequence[Path], name: str, out: Path) -> EnsembleCard:
    """Write the package `out`, whose networks have the mean weights of those of the same names in `packages`.

    Everything else is that of the first package, its calibration too, without what was measured on it. What learnt from lenses
    alone says so on the card of the average.

    Raises:
        TrainingError: there is one package only, or a network is missing in one, or is another there.
        PackageError: a package cannot be read.
    """
    if len(packages) < 2:
        raise TrainingError(f"an average needs at least two ensembles, got {len(packages)}")
    cards = [read_card(package) for package in packages]
    first = cards[0]
    for package, card in zip(packages[1:], cards[1:], strict=True):
        _check_same_networks(packages[0], first, package, card)
    states = {
        network.name: _mean(
            [
                load_network(folder, _named(card, network.name)).state_dict()
                for folder, card in zip(packages, cards, strict=True)
            ]
        )
        for network in first.all_networks
    }
    data = first.training_data.model_copy(update=data_lists(card.training_data for card in cards))
    changes: dict[str, Any] = {
        "name": name,
        "description": f"The mean weights of {', '.join(f'{card.name} ({card.sha256[:12]})' for card in cards)}.",
        "networks": tuple(_unmeasured(network) for network in first.networks),
        "first": first.first and first.first.model_copy(update={"network": _unmeasured(first.first.network), "metrics": {}}),
        "early_exit": first.early_exit and first.early_exit.model_copy(update={"metrics": {}}),
        "candidate_stage": first.candidate_stage
        and first.candidate_stage.with_networks(_unmeasured).model_copy(update={"metrics": {}}),
        "calibration": f"That of {first.name}, before its weights were averaged: lensscan models combine calibrates them.",
        "training_data": data,
        "metrics": {},
        "limits": tuple(_limits(cards)),
        "cuts": (),
        "nonlens_sample": None,
        "feature_reference": None,
        "probes": "",
    }
    return write_package(out, first.model_copy(update=changes), states)


def _limits(cards: Sequence[EnsembleCard]) -> Iterator[str]:
    """Yield the limits of the average of ensembles."""
    if any(LENSES_ALONE in card.limits for card in cards):
        yield LENSES_ALONE
    yield f"Nothing was measured since the weights were averaged. Before, {cards[0].name} had limits of its own."


def _check_same_networks(package: Path, card: EnsembleCard, other_package: Path, other: EnsembleCard) -> None:
    ours, theirs = ({network.name: network.spec for network in of.all_networks} for of in (card, other))
    if ours == theirs:
        return
    what = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    raise TrainingError(
        f"{other_package}: must have the networks of {package} to be averaged with it, but {', '.join(what)} differ"
    )


def _named(card: EnsembleCard, name: str) -> NetworkCard:
    return next(network for network in card.all_networks if network.name == name)


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor; counters, which are integers, stay those of the first state."""
    return {
        key: torch.stack([state[key] for state in states]).mean(0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }


def _unmeasured(network: NetworkCard) -> NetworkCard:
    return network.model_copy(update={"metrics": {}})
