"""Build OpenVINO's graph of a folded network, layer by layer.

OpenVINO's own conversion traces the network with `torch.export`, which takes seconds at the start of every worker.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from scanner.networks.errors import EngineError
from scanner.networks.polar_networks import SAMPLES_A_SIDE, LogPolar, MeanAndPeak, WrapAngles, sample_grid
from scanner.networks.small_networks import N_ORIENTATIONS, CentreCrop, MeanOverOrientations

MOST_SUMMED = 2048
"""Largest number of inputs that a product of matrices sums up; with 2592, last digits depended on the number of threads."""


def openvino_graph(network: nn.Sequential, shape: tuple[int, int, int, int]) -> Any:
    """Return the `openvino.Model` of a network from `folded_network`, for input `[batch, channel, y, x]` of this shape.

    Its outputs are the logits and, of a network whose last layer is linear, the inputs of that layer.

    Raises:
        EngineError: a layer has no counterpart here; the message names it.
    """
    # Imported late, after the engine has blocked OpenVINO's telemetry.
    from openvino import Model, opset13

    builders: dict[type[nn.Module], Callable[..., Any]] = {
        CentreCrop: _centre_crop,
        LogPolar: _log_polar,
        MeanAndPeak: _mean_and_peak,
        WrapAngles: _wrap_angles,
        nn.Conv2d: _convolution,
        nn.Flatten: _flatten,
        nn.Linear: _linear,
        nn.MaxPool2d: _max_pool,
        MeanOverOrientations: _mean_over_orientations,
        nn.ReLU: lambda ops, _, x: ops.relu(x),
    }
    given = opset13.parameter(list(shape), np.float32)
    output, before = given, given
    for layer in network:
        if type(layer) not in builders:
            known = ", ".join(sorted(kind.__name__ for kind in builders))
            raise EngineError(f"the engine openvino supports the layers {known}, got {type(layer).__name__}")
        before, output = output, builders[type(layer)](opset13, layer, output)
    return Model([output, before] if isinstance(network[-1], nn.Linear) else [output], [given])


def _convolution(ops: Any, layer: nn.Conv2d, x: Any) -> Any:
    """Add a convolution; `folded_network` gives every one a stride of one pixel and a bias."""
    padding = list(layer.padding)
    output = ops.convolution(x, _numbers(layer.weight), [1, 1], padding, padding, [1, 1])
    return ops.add(output, _numbers(layer.bias).reshape(1, -1, 1, 1))  # type: ignore[arg-type]


def _max_pool(ops: Any, layer: nn.MaxPool2d, x: Any) -> Any:
    def both(value: Any) -> list[int]:
        return [value, value] if isinstance(value, int) else list(value)

    if layer.ceil_mode:
        raise EngineError("the engine openvino does not support MaxPool2d with ceil_mode")
    padding, size = both(layer.padding), both(layer.kernel_size)
    return ops.max_pool(x, both(layer.stride), both(layer.dilation), padding, padding, size, "floor").output(0)


def _linear(ops: Any, layer: nn.Linear, x: Any) -> Any:
    """Add a dense layer, as a sum of parts if it has many inputs: OpenVINO would divide a long sum among its threads."""
    weights = _numbers(layer.weight)
    n_parts = -(-weights.shape[1] // MOST_SUMMED)
    ends = np.linspace(0, weights.shape[1], n_parts + 1).astype(np.int64)
    parts = [x] if n_parts == 1 else ops.variadic_split(x, np.array(1), np.diff(ends)).outputs()
    of_parts = np.split(weights, ends[1:-1], axis=1)
    products = [ops.matmul(p, w, transpose_a=False, transpose_b=True) for p, w in zip(parts, of_parts, strict=True)]
    output = reduce(ops.add, products)
    return output if layer.bias is None else ops.add(output, _numbers(layer.bias).reshape(1, -1))


def _flatten(ops: Any, _: nn.Flatten, x: Any) -> Any:
    return ops.reshape(x, np.array([0, -1]), special_zero=True)


def _centre_crop(ops: Any, layer: CentreCrop, x: Any) -> Any:
    if _shape(x)[-1] == layer.n_pixels:
        return x
    first = (_shape(x)[-1] - layer.n_pixels) // 2
    start, stop, step, axes = [first] * 2, [first + layer.n_pixels] * 2, [1, 1], [2, 3]
    return ops.slice(x, *(np.array(value) for value in (start, stop, step, axes)))


def _log_polar(ops: Any, _: LogPolar, x: Any) -> Any:
    batch, n_pixels = _shape(x)[0], _shape(x)[-1]
    grid = sample_grid(n_pixels).repeat(batch, axis=0).astype(np.float32)
    how = {"align_corners": False, "mode": "bilinear", "padding_mode": "border"}
    samples = ops.grid_sample(x, ops.constant(grid), how)
    size = [SAMPLES_A_SIDE] * 2
    return ops.avg_pool(samples, size, [0, 0], [0, 0], size, exclude_pad=False)


def _wrap_angles(ops: Any, layer: WrapAngles, x: Any) -> Any:
    n, n_angles, axis = layer.n_angles, _shape(x)[-1], np.array([3])
    last, first = ([n_angles - n], [n_angles]), ([0], [n])
    ends = [ops.slice(x, np.array(start), np.array(stop), np.array([1]), axis) for start, stop in (last, first)]
    around = ops.concat([ends[0], x, ends[1]], 3)
    padding = np.array([0, 0, layer.n_radii, 0])
    return ops.pad(around, padding, padding, "constant", np.float32(0))


def _mean_and_peak(ops: Any, _: MeanAndPeak, x: Any) -> Any:
    axes = np.array([2, 3])
    return ops.concat([ops.reduce_mean(x, axes, keep_dims=False), ops.reduce_max(x, axes, keep_dims=False)], 1)


def _mean_over_orientations(ops: Any, _: MeanOverOrientations, x: Any) -> Any:
    batch, channels = _shape(x)[:2]
    apart = ops.reshape(x, np.array([batch, channels // N_ORIENTATIONS, N_ORIENTATIONS]), special_zero=False)
    return ops.reduce_mean(apart, np.array([2]), keep_dims=False)


def _shape(x: Any) -> list[int]:
    return list((x.output(0) if hasattr(x, "output") else x).get_shape())


def _numbers(values: Tensor) -> NDArray[np.float32]:
    return values.detach().numpy().astype(np.float32)
