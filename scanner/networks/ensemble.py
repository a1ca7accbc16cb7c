"""An ensemble in memory: stamps in, one probability per network and their combination out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from scanner.networks.card import EnsembleCard, NetworkCard
from scanner.pixels.geometry import GEOMETRIES, Geometry, Stamps
from scanner.pixels.inputs import network_input


class Engine(Protocol):
    """Runs one network."""

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[batch, band, y, x]` to `[batch, 2]`."""
        ...


@dataclass(frozen=True)
class EnsembleScores:
    """`[batch]` each; None where the ensemble's combiner does not tell kinds apart."""

    p_networks: dict[str, NDArray[np.float32]]
    p_lens: NDArray[np.float32]
    p_compound: NDArray[np.float32] | None
    subclass: list[str] | None


class Ensemble:
    """The networks of a package with their card."""

    def __init__(self, card: EnsembleCard, engines: Mapping[str, Engine]) -> None:
        """`engines`: one per network of the card, by name."""
        expected = [network.name for network in card.networks]
        if sorted(engines) != sorted(expected):
            raise ValueError(f"ensemble {card.name} needs engines for {expected}, got {sorted(engines)}")
        self.card = card
        self.name = card.name
        self.geometry: Geometry = GEOMETRIES[card.geometry]
        self.network_names = tuple(expected)
        self.sha256 = card.sha256
        self.engines = dict(engines)

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band in the ensemble's geometry; ValueError where a stamp is constant."""
        margins = self.margins(stamps)
        combined = self.card.combiner.combine(margins)
        p_networks = {name: np.asarray(expit(margin), dtype=np.float32) for name, margin in margins.items()}
        return EnsembleScores(p_networks, combined.p_lens, combined.p_compound, combined.subclass)

    def margins(self, stamps: Stamps) -> dict[str, NDArray[np.float64]]:
        """Network name to `[batch]`: logit of the lens class minus logit of the other."""
        margins: dict[str, NDArray[np.float64]] = {}
        for n_pixels in sorted({network.input_pixels for network in self.card.networks}):
            networks = [network for network in self.card.networks if network.input_pixels == n_pixels]
            # Each band is prepared once a size, then shared by every network that reads it.
            order = tuple(dict.fromkeys(band for network in networks for band in network.bands))
            inputs = network_input(stamps, order, n_pixels)
            for network in networks:
                logits = self.engines[network.name].logits(_slice(inputs, order, network.bands)).astype(np.float64)
                margins[network.name] = _margin(logits, network)
        return {name: margins[name] for name in self.network_names}


def _slice(inputs: NDArray[np.float32], order: Sequence[str], bands: Sequence[str]) -> NDArray[np.float32]:
    return inputs if tuple(bands) == tuple(order) else inputs[:, [order.index(band) for band in bands]]


def _margin(logits: NDArray[np.float64], network: NetworkCard) -> NDArray[np.float64]:
    lens = network.lens_class_index
    return logits[:, lens] - logits[:, 1 - lens]
