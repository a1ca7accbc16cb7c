"""A stand-in for bfloat16 on machines without it: the same networks, with weights, inputs and every layer's output rounded."""

import numpy as np
import torch

from scanner.networks.card_file import read_card
from scanner.networks.ensemble import Ensemble
from scanner.networks.package import load_network
from scanner.scan import scoring


class RoundedEngine:
    """Rounds where hardware does, and sums in float32 as hardware does: equal to torch in bfloat16, ten times as fast."""

    def __init__(self, network):
        self._network = network.to(torch.bfloat16).float()
        for layer in self._network.modules():
            if not list(layer.children()):
                layer.register_forward_hook(lambda _layer, _inputs, output: _rounded(output))

    def logits(self, inputs):
        with torch.no_grad():
            return self._network(_rounded(torch.from_numpy(np.ascontiguousarray(inputs)))).numpy()


def _rounded(tensor):
    return tensor.to(torch.bfloat16).float()


def load_rounded(folder, *, first=False, candidates=False):
    card = read_card(folder)
    if first or candidates:
        card = card.first_stage_card if first else card.candidate_stage_card
    return Ensemble(card, {network.name: RoundedEngine(load_network(folder, network)) for network in card.networks})


def sweep_by_rounding(monkeypatch):
    """Make every scanner with a sweep use emulated bfloat16 from now on, whatever this machine supports."""
    monkeypatch.setattr(scoring, "fast_precision", lambda _engine: "bfloat16")
    monkeypatch.setattr(scoring, "load_package", lambda folder, *_, **__: load_rounded(folder))
    monkeypatch.setattr(scoring, "load_first_stage", lambda folder, *_, **__: load_rounded(folder, first=True))
    monkeypatch.setattr(scoring, "load_candidate_stage", lambda folder, *_, **__: load_rounded(folder, candidates=True))
