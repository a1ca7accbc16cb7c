"""The inner loop of training: plain torch, no files."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scanner.networks.architectures import N_CLASSES

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class EpochResult:
    """Means over the objects of an epoch."""

    loss: float
    accuracy: float


def class_weights(labels: NDArray[np.int64]) -> Tensor:
    """`[2]`: n / (2 n_c), so that both classes weigh the same in the loss whatever their numbers.

    Raises:
        ValueError: a class has no object.
    """
    counts = np.bincount(labels, minlength=N_CLASSES)
    if np.any(counts == 0):
        raise ValueError(f"both classes need objects, got {counts[0]} non-lenses and {counts[1]} lenses")
    return torch.from_numpy((len(labels) / (N_CLASSES * counts)).astype(np.float32))


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted categorical cross-entropy (Wilde et al. 2022, equation 2), a weighted mean over `[batch]`."""
    return functional.cross_entropy(logits, labels, weight=weights)


def train_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, batches: Batches, weights: Tensor, *, bfloat16: bool
) -> EpochResult:
    """One pass over the batches, one optimiser step each. The result is measured on the way, with dropout."""
    network.train()
    tally = _Tally()
    device = weights.device
    for inputs, labels in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = network(inputs.to(device, memory_format=torch.channels_last))
        loss = cross_entropy(logits.float(), labels.to(device), weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        tally.add(logits, labels, loss)
    return tally.result()


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, weights: Tensor, *, bfloat16: bool) -> EpochResult:
    """Loss and accuracy without dropout."""
    network.eval()
    tally = _Tally()
    device = weights.device
    for inputs, labels in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = network(inputs.to(device, memory_format=torch.channels_last))
        tally.add(logits, labels, cross_entropy(logits.float(), labels.to(device), weights))
    return tally.result()


class _Tally:
    def __init__(self) -> None:
        self._n = 0
        self._loss = 0.0
        self._correct = 0

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        self._n += len(labels)
        self._loss += float(loss.detach()) * len(labels)
        self._correct += int((logits.detach().argmax(1).cpu() == labels).sum())

    def result(self) -> EpochResult:
        if self._n == 0:
            raise ValueError("an epoch needs at least one batch, got none")
        return EpochResult(self._loss / self._n, self._correct / self._n)
