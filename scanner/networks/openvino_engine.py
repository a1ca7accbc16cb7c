"""Networks compiled for the CPU by OpenVINO, which is imported on first use, because the command line must start fast."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.private_apis import openvino_without_telemetry
from scanner.networks.full_batches import full_batches
from scanner.networks.precision import Precision

BATCH = 8
"""Objects in a batch: within 10 % of the best of 1 to 64 for every shipped network on one core; wastes little on few."""
_DEVICE = "CPU"
_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine:
    """One network on the CPU; one thread at a time may call it.

    An object's logits are the same bits whatever its batch and its row in the batch, and with 1 thread or several.
    """

    def __init__(
        self,
        network: Any,
        n_channels: int,
        n_pixels: int,
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        """Compile a network for `[batch, n_channels, n_pixels, n_pixels]`.

        Args:
            network: An `nn.Sequential`, or its graph of `graph_of`.
            n_channels: Channels of its input.
            n_pixels: Side of its input.
            precision: Precision of the arithmetic.
            threads: CPU threads; None for all cores.
        """
        options = {
            # Without this hint CPUs that have bfloat16 would use it for float32 networks too.
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "NUM_STREAMS": 1,
            # The workers of a machine do not coordinate and may pin themselves to the same cores.
            "ENABLE_CPU_PINNING": False,
            **({} if threads is None else {"INFERENCE_NUM_THREADS": threads}),
        }
        openvino, core = openvino_without_telemetry(), _core()
        model = network if isinstance(network, openvino.Model) else graph_of(network, n_channels, n_pixels)
        self._tensor = openvino.Tensor
        self._request = core.compile_model(model, _DEVICE, options).create_infer_request()

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        return np.concatenate([self._outputs(batch, 1)[0] for batch in full_batches(inputs, BATCH)])[: len(inputs)]

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits `[batch, class]`, and the inputs of the last layer, `[batch, feature]`."""
        found = [self._outputs(batch, 2) for batch in full_batches(inputs, BATCH)]
        logits, features = (np.concatenate([outputs[i] for outputs in found])[: len(inputs)] for i in range(2))
        return logits, features

    def _outputs(self, batch: NDArray[np.float32], n: int) -> list[NDArray[np.float32]]:
        """Return the first `n` outputs for a batch, whose memory the request reads, if OpenVINO may."""
        # The conversion of arrays by `infer` itself takes twenty microseconds.
        self._request.set_input_tensor(self._tensor(batch, shared_memory=batch.flags.writeable))
        self._request.infer()
        return [self._request.get_output_tensor(i).data.copy() for i in range(n)]


def graph_of(network: Any, n_channels: int, n_pixels: int) -> Any:
    """Return the `openvino.Model` of an `nn.Sequential`."""
    # Imported here, because they import torch, which an engine that gets a graph does not need.
    from scanner.networks.folded import folded_network
    from scanner.networks.openvino_graph import openvino_graph

    return openvino_graph(folded_network(network), (BATCH, n_channels, n_pixels, n_pixels))


def graph_of_files(xml: bytes, weights: bytes) -> Any:
    """Return the `openvino.Model` of a description and weights in OpenVINO's own format.

    Raises:
        RuntimeError: OpenVINO cannot read them.
    """
    return _core().read_model(model=xml, weights=weights)


def works() -> bool:
    """Return whether OpenVINO is installed, with a plugin for this CPU."""
    try:
        return _DEVICE in _core().available_devices
    except ImportError:
        return False


def has_bfloat16() -> bool:
    """Return whether this CPU has instructions for bfloat16, so that it is faster than float32."""
    return "BF16" in _core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Any:
    """Return the OpenVINO core, one per process: it holds the plugin and its thread pools."""
    return openvino_without_telemetry().Core()
