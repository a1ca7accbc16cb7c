"""Mini-batches of one network's input."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanner.networks.architectures import NetworkSpec
from training.dataset import Dataset

N_SYMMETRIES = 8
"""Of the square: four quarter turns, each with and without a flip."""


@dataclass(frozen=True)
class BatchSource:
    """What one network sees of a data set."""

    dataset: Dataset
    spec: NetworkSpec
    batch_size: int

    def n_batches(self, n_rows: int, world_size: int) -> int:
        """Of each worker, in a pass of `shuffled`."""
        return math.ceil(n_rows // world_size / self.batch_size)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs float32 `[batch, channel, y, x]` and labels int64 `[batch]`, every row once, as given."""
        labels = self.dataset.labels(self.spec.classes)
        for start in range(0, len(rows), self.batch_size):
            chosen = rows[start : start + self.batch_size]
            yield torch.from_numpy(self._inputs(chosen)), torch.from_numpy(labels[chosen])

    def shuffled(
        self, rows: NDArray[np.int64], rng: np.random.Generator, *, augment: bool, rank: int = 0, world_size: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in random order; workers with equal `rng` share the rows out and get equally many batches."""
        order = rng.permutation(rows)
        mine = order[: len(order) // world_size * world_size][rank::world_size]
        for inputs, labels in self.in_order(mine):
            yield (random_symmetries(inputs, rng) if augment else inputs), labels

    def _inputs(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        prepared = self.dataset.inputs[self.spec.input_pixels]
        channels = [prepared.channels.index(channel) for channel in self.spec.channels]
        return prepared.pixels[rows[:, None], channels].astype(np.float32)


def random_symmetries(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Each object of `[batch, channel, y, x]` turned and flipped at random, all its channels alike.

    Blind to the class: turning one class only would let a network read the label off the PSF (Wilde et al. 2022, section 3.2).
    """
    choice = torch.from_numpy(rng.integers(N_SYMMETRIES, size=len(inputs)))
    out = torch.empty_like(inputs)
    for symmetry in range(N_SYMMETRIES):
        chosen = choice == symmetry
        turned = torch.rot90(inputs[chosen], symmetry % 4, dims=(-2, -1))
        out[chosen] = turned.flip(-1) if symmetry >= 4 else turned
    return out
