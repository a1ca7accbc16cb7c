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
"""Number of symmetries of the square: four quarter turns, each with and without a flip."""


@dataclass(frozen=True)
class BatchSource:
    """Batches of one network's inputs from a data set."""

    dataset: Dataset
    spec: NetworkSpec
    batch_size: int

    def n_batches(self, n_rows: int, world_size: int) -> int:
        """Return the number of batches of each worker in one pass of `shuffled`."""
        return math.ceil(n_rows // world_size / self.batch_size)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs float32 `[batch, channel, y, x]` and labels int64 `[batch]`, every row once, in the given order."""
        yield from self._batches(rows, self.dataset.labels(self.spec.classes))

    def shuffled(
        self, rows: NDArray[np.int64], rng: np.random.Generator, *, augment: bool, rank: int = 0, world_size: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches in random order, with `Dataset.targets` for labels.

        Workers with equal `rng` share the rows and get equally many batches.
        """
        order = rng.permutation(rows)
        mine = order[: len(order) // world_size * world_size][rank::world_size]
        for inputs, targets in self._batches(mine, self.dataset.targets(self.spec.classes)):
            yield (random_symmetries(inputs, rng) if augment else inputs), targets

    def _batches(self, rows: NDArray[np.int64], targets: NDArray[np.generic]) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(rows), self.batch_size):
            chosen = rows[start : start + self.batch_size]
            yield torch.from_numpy(self._inputs(chosen)), torch.from_numpy(targets[chosen])

    def _inputs(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        prepared = self.dataset.inputs[self.spec.input_pixels]
        channels = [prepared.channels.index(channel) for channel in self.spec.channels]
        return prepared.pixels[rows[:, None], channels].astype(np.float32)


def random_symmetries(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn and flip each object of `[batch, channel, y, x]` at random, all its channels alike.

    All classes are treated alike: turning one class only would let a network read the label off the PSF (Wilde et al. 2022,
    section 3.2).
    """
    choice = torch.from_numpy(rng.integers(N_SYMMETRIES, size=len(inputs)))
    out = torch.empty_like(inputs)
    for symmetry in range(N_SYMMETRIES):
        chosen = choice == symmetry
        turned = torch.rot90(inputs[chosen], symmetry % 4, dims=(-2, -1))
        out[chosen] = turned.flip(-1) if symmetry >= 4 else turned
    return out
