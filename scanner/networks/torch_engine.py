"""The reference engine: torch, layer by layer, on the CPU."""

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

    @staticmethod
    def _tensor(inputs: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32)).to(memory_format=torch.channels_last)
