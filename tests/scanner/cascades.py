"""Small cascades for tests."""

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import EarlyExit
from scanner.networks.card import FirstStage as FirstStageCard
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.package import draft_network_card, write_package
from scanner.preprocess.channel import channels
from scanner.vocabulary.kinds import KINDS
from tests.scanner.ensembles import card, networks

FIRST = NetworkSpec("light", "equivariant_light", channels("sky_asinh", "VIS"))
COMMITTEE = (
    NetworkSpec("A", "equivariant", channels("sky_asinh", "VIS")),
    NetworkSpec("B", "compact", channels("sky_asinh", "VIS")),
)


def stack(names, n_margins=3, **changes):
    """Return a regression that adds up the margins of all networks and adds nothing."""
    n = len(names) * n_margins
    weights = [[0.0] * n] + [[float(i % n_margins == k) / len(names) for i in range(n)] for k in range(3)]
    content = {
        "kind": "softmax_stack",
        "networks": names,
        "classes": KINDS,
        "clip": 20.0,
        "centre": (0.0,) * n,
        "scale": (1.0,) * n,
        "weights": tuple(map(tuple, weights)),
        "biases": (0.0, 0.0, 0.0, 0.0),
        "training_fractions": (0.5, 0.3, 0.1, 0.1),
        "prevalence": 0.01,
    }
    return SoftmaxStack(**{**content, **changes})


def early_exit(exclude_below, **changes):
    """Return an early exit by the first network of the committee."""
    return EarlyExit(**{"network": "A", "combiner": stack(("A",)), "exclude_below": exclude_below, **changes})


def cascade_card(exclude_below=0.01, early_exit=None, **first):
    stage = {
        "network": draft_network_card(FIRST, "mer10", {}),
        "combiner": stack(("light",)),
        "exclude_below": exclude_below,
    }
    return card(
        COMMITTEE,
        geometry="mer10",
        combiner=stack(("A", "B")),
        assumed_prevalence=0.01,
        first=FirstStageCard(**{**stage, **first}),
        early_exit=early_exit,
    )


def write_cascade(folder, exclude_below=0.01, early_exit=None):
    states = {name: network.state_dict() for name, network in networks((FIRST, *COMMITTEE), 3).items()}
    return write_package(folder, cascade_card(exclude_below, early_exit), states)
