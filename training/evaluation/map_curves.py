"""Lens probability of a network while an image is uncovered or covered in the order of a map."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import nn

from infra.engine_name import EngineName
from scanner.explain.occlusion import Masks
from scanner.explain.sanity import Maps, Scores, deletion, insertion
from scanner.networks.engines import make_engine
from scanner.networks.log_odds import lens_log_odds
from scanner.networks.network_card import NetworkCard
from scanner.preprocess.network_inputs import Inputs
from training.evaluation.relevance import Cells, others

Areas = NDArray[np.float64]
"""`[batch]`."""

CURVES: Mapping[str, Callable[[Scores, Inputs, Maps, int], NDArray[np.float64]]] = MappingProxyType(
    {"insertion": insertion, "deletion": deletion}
)


def lens_probability_function(network: nn.Sequential, card: NetworkCard, engine: EngineName) -> Scores:
    """Return a function that computes the lens probability of inputs by a network on an engine."""
    runs = make_engine(network, len(card.channels), card.input_pixels, engine)
    return lambda inputs: expit(lens_log_odds(runs.logits(inputs)))


class Curves:
    """Insertion and deletion curves of one network's inputs."""

    def __init__(self, scores: Scores, inputs: Inputs, n_steps: int, rng: np.random.Generator) -> None:
        self.inputs = inputs
        self._scores, self._n_steps, self._rng = scores, n_steps, rng
        self._of_chance: dict[Masks, list[Areas]] = {}

    def figures(self, maps: Maps, cells: Cells) -> dict[str, float]:
        """Return the areas under both curves in the order of the maps, of others' maps, and of their cells at random."""
        maps = maps[: len(self.inputs)]
        if cells.masks not in self._of_chance:
            self._of_chance[cells.masks] = self._areas(self._rng.random(maps.shape), cells)
        orders = self._areas(maps, cells), self._areas(others(maps), cells), self._of_chance[cells.masks]
        figures: dict[str, float] = {}
        for name, own, of_others, at_random in zip(CURVES, *orders, strict=True):
            gain = own - of_others
            figures |= {
                f"{name}_auc": float(own.mean()),
                f"{name}_auc_others": float(of_others.mean()),
                f"{name}_auc_error": error_of_mean(gain),
                f"{name}_auc_random": float(at_random.mean()),
            }
        return figures

    def _areas(self, maps: Maps, cells: Cells) -> list[Areas]:
        """Return the areas `[batch]` under each curve."""
        ranked = untied(cells.at_pixels(maps, self.inputs.shape[-1]), self._rng)
        return [areas(curve(self._scores, self.inputs, ranked, self._n_steps)) for curve in CURVES.values()]


def untied(maps: Maps, rng: np.random.Generator) -> Maps:
    """Rank the pixels in rising order, equal ones in random order: otherwise those at the lower left would come first."""
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((rng.random(flat.shape), flat), axis=1)
    ranks = np.empty(flat.shape)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1], dtype=float)[None], axis=1)
    return ranks.reshape(maps.shape)


def error_of_mean(values: NDArray[np.float64]) -> float:
    """Return the standard error of the mean of two or more values."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def areas(curves: NDArray[np.float64]) -> Areas:
    """Return the areas under curves `[batch, step]`, whose steps together are 1 wide."""
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2
