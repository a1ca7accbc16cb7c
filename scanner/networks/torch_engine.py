"""The reference engine: torch, layer by layer, on the CPU."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

MAX_CHUNK = 64
"""Largest number of objects run through the network at once: memory stays bounded however large the batch."""


class TorchEngine:
    """Eager float32 inference on the CPU; explanations use its `network`, which is put in eval mode."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.float().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`, independent of the batch but for rounding."""
        # Not inference_mode: its tensors cannot be used by the hooks and gradients of explanations.
        with torch.no_grad():
            starts = range(0, max(len(inputs), 1), MAX_CHUNK)
            return np.asarray(torch.cat([self.network(self._tensor(inputs[i : i + MAX_CHUNK])) for i in starts]).numpy())

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits `[batch, class]`, and the inputs of the last layer, `[batch, feature]`."""
        layers = cast("nn.Sequential", self.network)
        with torch.no_grad():
            starts = range(0, max(len(inputs), 1), MAX_CHUNK)
            features = [layers[:-1](self._tensor(inputs[i : i + MAX_CHUNK])) for i in starts]
            logits = torch.cat([layers[-1](of_chunk) for of_chunk in features])
            return np.asarray(logits.numpy()), np.asarray(torch.cat(features).numpy())

    @staticmethod
    def _tensor(inputs: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32)).to(memory_format=torch.channels_last)
