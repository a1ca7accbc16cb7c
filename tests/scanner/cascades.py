"""Small cascades for tests."""

import numpy as np

from scanner.catalogue.plan import ScanConfig
from scanner.networks.architectures import NetworkSpec
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.ensemble import Ensemble
from scanner.networks.kind_regression import KindRegression
from scanner.networks.lens_regression import LensRegression
from scanner.networks.package import draft_network_card, write_package
from scanner.networks.stage_cards import CandidateStage, EarlyExit, SecondOpinion
from scanner.networks.stage_cards import FirstStage as FirstStageCard
from scanner.preprocess.channel import channels
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import open_scanner
from scanner.vocabulary.geometry import MER_10
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


CANDIDATE = draft_network_card(NetworkSpec("K", "equivariant_light", channels("sky_asinh", "VIS")), "mer10", {})


def kind_regression(**changes):
    """Return a regression that adds up the log-odds of the committee and of K; three fifths of its lenses are single."""
    content = {
        "committee": ("A", "B"),
        "network": "K",
        "clip": 20.0,
        "centre": (0.0,) * 4,
        "scale": (1.0,) * 4,
        "weights": ((0.0,) * 4, (0.5, 0.0, 1.0, 0.0), (0.0, 0.5, 0.0, 1.0)),
        "biases": (0.0,) * 3,
        "training_fractions": (0.6, 0.2, 0.2),
    }
    return KindRegression(**{**content, **changes})


def lens_regression(**changes):
    """Return a regression that adds up the log-odds of the committee and of a network, from a `p_lens` of 0.02 on."""
    content = {"from_p_lens": 0.02, "network_share": 0.5, "slope": 2.0, "bias": 0.0, "clip": 20.0}
    return LensRegression(**{**content, **changes})


OTHERS = tuple(
    draft_network_card(NetworkSpec(name, "equivariant_light", channels("sky_asinh", band)), "mer10", {})
    for name, band in (("other-A", "VIS"), ("other-B", "H"))
)


def second_opinion(**changes):
    """Return a second opinion of two networks of another ensemble."""
    return SecondOpinion(**{"networks": OTHERS, "combiner": stack(("other-A", "other-B")), **changes})


def candidate_stage(**changes):
    """Return a candidate stage of the network K."""
    return CandidateStage(**{"network": CANDIDATE, "combiner": kind_regression(), **changes})


def cascade_card(exclude_below=0.01, early_exit=None, committee=None, candidate_stage=None, default_cut=None, **first):
    """Return a card; `committee` is the committee's combiner, `first` are changes of the first stage."""
    stage = {
        "network": draft_network_card(FIRST, "mer10", {}),
        "combiner": stack(("light",)),
        "exclude_below": exclude_below,
    }
    return card(
        COMMITTEE,
        geometry="mer10",
        combiner=committee or stack(("A", "B")),
        assumed_prevalence=0.01,
        first=FirstStageCard(**{**stage, **first}),
        early_exit=early_exit,
        candidate_stage=candidate_stage,
        default_cut=default_cut or (0.02 if candidate_stage else None),
    )


def write_cascade(folder, exclude_below=0.01, early_exit=None, seed=3, **changes):
    written = cascade_card(exclude_below, early_exit, **changes)
    built = networks((FIRST, *COMMITTEE), seed)
    if written.candidate_stage:
        for number, network in enumerate(written.candidate_stage.networks, start=1):
            built |= networks((network.spec,), seed + number)
    return write_package(folder, written, {name: network.state_dict() for name, network in built.items()})


class Pixel:
    """An engine whose margins are all one pixel of the input less 5; its feature is that pixel."""

    def __init__(self, at):
        self._at, self.n_rows = at, 0

    def logits(self, inputs):
        self.n_rows += len(inputs)
        seen = inputs[:, 0, 0, self._at]
        return np.stack([np.zeros_like(seen), *[seen - 5] * 3], axis=1).astype(np.float32)

    def logits_and_features(self, inputs):
        return self.logits(inputs), inputs[:, 0, 0, self._at : self._at + 1]


def pixel_stages(monkeypatch, whole, *, features=False):
    """Return a card and both its stages; `light`, A and B read pixels 0, 1 and 2 of `stamps_of`, on inputs not scaled."""
    monkeypatch.setattr(
        "scanner.preprocess.prepared_stamps.network_inputs",
        lambda stamps, wanted, *_: dict.fromkeys(wanted, stamps["VIS"][:, None]),
    )
    first = Ensemble(whole.first_stage_card, {"light": Pixel(0)})
    return whole, first, Ensemble(whole, {"A": Pixel(1), "B": Pixel(2)}, features=features)


def stamps_of(*pixels):
    """Return stamps that are zero but for the first three pixels of each."""
    images = np.zeros((len(pixels), 100, 100), np.float32)
    images[:, 0, :3] = pixels
    return dict.fromkeys(MER_10.grids, images)


def scanned_stamps(package, stamps, **config):
    """Return the rows of a scan of stamps with a package."""
    settings = {"candidate_threshold": 0.5, "engine": "torch", "batch_size": 16, **config}
    return score_stamps(stamps, open_scanner(package, ScanConfig(**settings)))
