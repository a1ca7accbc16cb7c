"""Small ensembles for tests."""

import torch

from scanner.networks.architectures import BAND_ORDER, NetworkSpec
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card, write_card
from scanner.networks.combiner import MeanCombiner
from scanner.networks.package import draft_network_card, write_package
from scanner.networks.parameters import he_initialise
from scanner.networks.training_data_card import TrainingDataCard
from scanner.preprocess.channel import channels

SPECS = (
    NetworkSpec("OU-H", "ou66", channels("min_max", "H")),
    NetworkSpec("OU-66", "ou66", channels("min_max", *BAND_ORDER)),
    NetworkSpec("OU-VIS", "ou200", channels("min_max", "VIS")),
)


def networks(specs=SPECS, seed=0):
    """Return freshly initialised networks by name."""
    torch.manual_seed(seed)
    built = {spec.name: spec.build() for spec in specs}
    for network in built.values():
        he_initialise(network)
    return built


def card(specs=SPECS, **changes):
    names = tuple(spec.name for spec in specs)
    content = {
        "format_version": 2,
        "name": "test",
        "description": "random weights",
        "licence": "MIT",
        "geometry": "challenge",
        "networks": tuple(draft_network_card(spec, changes.get("geometry", "challenge"), {"auroc": 0.5}) for spec in specs),
        "combiner": MeanCombiner(kind="mean", networks=names),
        "training_data": TrainingDataCard(description="none", digest=None, n_objects={}),
        "metrics": {"auroc": 0.5},
        "calibration": "none",
        "assumed_prevalence": None,
        "limits": ("Says nothing.",),
        "citation": "none",
    }
    return EnsembleCard(**{**content, **changes})


def write_test_package(folder, specs=SPECS, seed=0, **changes):
    """Write a package of random networks to `folder` and return its card."""
    states = {name: network.state_dict() for name, network in networks(specs, seed).items()}
    return write_package(folder, card(specs, **changes), states)


def add_metric(folder):
    """Write a metric onto the card of a package, as another command would meanwhile."""
    card = read_card(folder)
    write_card(folder, card.model_copy(update={"metrics": {**card.metrics, "of_another_command": 0.5}}))
