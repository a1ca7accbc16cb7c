"""The inner loop of training: plain torch, no files."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.calibrated_loss import calibrated_loss

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class EpochResult:
    """Results of an epoch, the same for every batch size."""

    loss: float
    """Mean of the objects' cross-entropies, weighted by class."""
    accuracy: float
    """Share of objects whose class is the most probable."""


@dataclass(frozen=True)
class CheckResult(EpochResult):
    """Results on objects that the network does not learn from."""

    calibrated_loss: float
    """`loss` once the logits are calibrated on the same objects."""


def class_weights(labels: NDArray[np.int64], classes: Sequence[str]) -> Tensor:
    """Return weights n / (k n_c) `[class]`, so that all k classes weigh the same in the loss whatever their numbers.

    Raises:
        ValueError: a class has no object.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if np.any(counts == 0):
        raise ValueError(f"every class needs objects, got {dict(zip(classes, counts.tolist(), strict=True))}")
    return torch.from_numpy((len(labels) / (len(classes) * counts)).astype(np.float32))


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy (Wilde et al. 2022, equation 2); logits are `[batch, class]`.

    Labels are `[batch]`, or probabilities `[batch, class]`.
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels, weight=weights)
    # For probabilities, torch's own mean divides by the number of objects.
    return functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / total_weight(labels, weights)


def total_weight(labels: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the objects' weights: each has that of its class, or the mean over the probabilities of its classes."""
    return (weights[labels] if labels.ndim == 1 else labels @ weights).sum()


def train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Batches,
    weights: Tensor,
    *,
    bfloat16: bool,
    learning_rate: Callable[[int], float] | None = None,
) -> EpochResult:
    """Train on each batch once, one optimiser step each; the result is measured during training, with dropout.

    Args:
        network: Network, trained in place.
        optimiser: Optimiser of the network's parameters.
        batches: Inputs `[batch, channel, y, x]` and labels `[batch]`, or a probability of each class `[batch, class]`.
        weights: `[class]`, as from `class_weights`.
        bfloat16: Compute in mixed precision.
        learning_rate: Learning rate of each step, counted from 0; by default the optimiser's own.
    """
    network.train()
    tally = _Tally()
    device = weights.device
    for step, (inputs, labels) in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step) if learning_rate else group["lr"]
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = network(inputs.to(device, memory_format=torch.channels_last))
        on_device = labels.to(device)
        loss = cross_entropy(logits.float(), on_device, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        tally.add(logits, labels, loss, total_weight(on_device, weights))
    return tally.result()


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, weights: Tensor, *, bfloat16: bool) -> CheckResult:
    """Return losses and accuracy, measured without dropout; arguments as for `train_epoch`."""
    network.eval()
    tally = _Tally()
    device = weights.device
    all_logits, all_targets = [], []
    for inputs, labels in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = network(inputs.to(device, memory_format=torch.channels_last))
        on_device = labels.to(device)
        loss = cross_entropy(logits.float(), on_device, weights)
        tally.add(logits, labels, loss, total_weight(on_device, weights))
        all_logits.append(logits.float().cpu().numpy())
        all_targets.append((functional.one_hot(labels, len(weights)) if labels.ndim == 1 else labels).cpu().numpy())
    result = tally.result()
    calibrated = calibrated_loss(np.concatenate(all_logits), np.concatenate(all_targets), weights.cpu().numpy())
    return CheckResult(result.loss, result.accuracy, calibrated)


class _Tally:
    def __init__(self) -> None:
        self._n = 0
        self._loss = 0.0
        self._weight = 0.0
        self._correct = 0

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor, weight: Tensor) -> None:
        self._n += len(labels)
        total = float(weight)
        self._loss += float(loss.detach()) * total
        self._weight += total
        best = labels if labels.ndim == 1 else labels.argmax(1)
        self._correct += int((logits.detach().argmax(1).cpu() == best).sum())

    def result(self) -> EpochResult:
        if self._n == 0:
            raise ValueError("an epoch needs at least one batch, got none")
        return EpochResult(self._loss / self._weight, self._correct / self._n)
