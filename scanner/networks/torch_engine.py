"""The reference engine: torch, layer by layer, on the CPU."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanner.networks.full_batches import full_batches

BATCH = 4
"""Objects in a batch: memory stays bounded however many there are, and few objects waste little."""


class TorchEngine:
    """Eager float32 inference on the CPU; explanations use its `network`, which is put in eval mode.

    An object's logits are the same bits whatever its batch and its row in the batch.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.float().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        return self.logits_and_features(inputs)[0]

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits `[batch, class]`, and the inputs of the last layer, `[batch, feature]`."""
        *before, last = cast("nn.Sequential", self.network)
        # Not inference_mode: its tensors cannot be used by the hooks and gradients of explanations.
        with torch.no_grad():
            features = [_through(before, _tensor(batch)) for batch in full_batches(inputs, BATCH)]
            logits = [_through([last], of_batch) for of_batch in features]
            found_logits, found_features = (np.asarray(torch.cat(of).numpy())[: len(inputs)] for of in (logits, features))
            return found_logits, found_features


def _tensor(batch: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(batch).to(memory_format=torch.channels_last)


def _through(layers: list[nn.Module], x: Tensor) -> Tensor:
    """Run layers one after another.

    A dense layer gets one object at a time, each in memory of its own: a product of matrices sums in an order that depends on
    the number of rows, on the row, and on the alignment of its memory.
    """
    for layer in layers:
        x = torch.cat([layer(row.clone()) for row in x.split(1)]) if isinstance(layer, nn.Linear) else layer(x)
    return x
