"""Networks on an NVIDIA GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanner.networks.folded import folded_network
from scanner.networks.full_batches import full_batches
from scanner.networks.precision import Precision

BATCH = 64
"""Number of objects in a batch, a scan's default; by its shapes the largest network needs about 1 GB for one."""
_TYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class CudaEngine:
    """One network on one GPU; `device` may be the CPU, to test the arithmetic.

    All batches have one size and the algorithms are deterministic, so that an object's logits do not depend on its batch.
    """

    def __init__(self, network: nn.Sequential, precision: Precision = "float32", device: str = "cuda") -> None:
        self._device = torch.device(device)
        self._type = _TYPES[precision]
        folded = folded_network(network).to(self._device, self._type)
        self._network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        # The host fills a batch while the GPU computes the previous one; it waits only for the logits, at the end.
        with torch.inference_mode(), _exact_float32():
            logits = [self._network(self._on_device(batch)) for batch in full_batches(inputs, BATCH)]
            return np.asarray(torch.cat(logits).float().cpu().numpy())[: len(inputs)]

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits `[batch, class]`, and the inputs of the last layer, `[batch, feature]`."""
        with torch.inference_mode(), _exact_float32():
            features = [self._network[:-1](self._on_device(batch)) for batch in full_batches(inputs, BATCH)]
            logits = [self._network[-1](of_batch) for of_batch in features]
            both = (torch.cat(logits), torch.cat(features))
            found_logits, found_features = (np.asarray(of.float().cpu().numpy())[: len(inputs)] for of in both)
            return found_logits, found_features

    def _on_device(self, batch: NDArray[np.float32]) -> Tensor:
        tensor = torch.from_numpy(batch)
        if self._device.type == "cuda":
            # Copies from pinned memory run in parallel with the GPU's work.
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(dtype=self._type, memory_format=torch.channels_last)


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Use repeatable algorithms without TF32, which keeps 11 of float32's 24 bits and is the default for convolutions."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
