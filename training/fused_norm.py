"""Train normalisation, rectification and pooling as one step on a CPU, where torch's layers take longer than the convolutions.

Each of torch's three layers reads and writes all activations, forwards and backwards, and keeps its result; pooling keeps eight
bytes for the place of each maximum besides. Here one pass finds the sums, and one writes the pooled result.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from training import activation_kernels
from training.activations import fits_loops, halves, side_by_side, stored_array


def leading_norm(layers: Sequence[nn.Module]) -> "FusedNorm | None":
    """Return one step for the first layers: normalisation, ReLU, and perhaps a pooling of two by two pixels; else None."""
    norm, relu, pool = [*layers, None, None][:3]
    if not isinstance(norm, nn.BatchNorm2d) or not isinstance(relu, nn.ReLU):
        return None
    if not (norm.affine and norm.track_running_stats and norm.momentum is not None):
        return None
    return FusedNorm(norm, relu, pool if halves(pool) else None)


class FusedNorm(nn.Module):
    """Batch normalisation, ReLU and perhaps pooling: one step in training on a CPU, torch's layers otherwise."""

    def __init__(self, norm: nn.BatchNorm2d, relu: nn.ReLU, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.norm, self.relu, self.pool = norm, relu, pool
        self.n_layers = 2 if pool is None else 3

    def forward(self, x: Tensor) -> Tensor:
        n_pixels = x.shape[-2] * x.shape[-1]
        if not self.training or n_pixels == 1 or not fits_loops(x):
            rectified: Tensor = self.relu(self.norm(x))
            pooled: Tensor = self.pool(rectified) if self.pool else rectified
            return pooled
        norm = self.norm
        # An OrientedBatchNorm has several channels of activations for one of its own.
        n_shared = x.shape[1] // norm.num_features
        result, mean, variance = _NormaliseInOneStep.apply(x, norm.weight, norm.bias, norm.eps, n_shared, self.pool is not None)
        _track(norm, mean, variance, len(x) * n_pixels * n_shared)
        return result


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, n: int) -> None:
    """Update the running statistics as `nn.BatchNorm2d` does, with the unbiased variance of n values."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    for running, found in ((norm.running_mean, mean), (norm.running_var, variance * (n / max(n - 1, 1)))):
        if running is not None and norm.momentum is not None:
            running.lerp_(found, norm.momentum)


class _NormaliseInOneStep(torch.autograd.Function):
    """Batch normalisation (Ioffe & Szegedy 2015, algorithm 1), ReLU and pooling, with their gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, n_shared: int, pooled: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        sums, squares = _summed(activation_kernels.add_sums, x.shape[1], stored_array(x))
        n = x.numel() // weight.numel()
        mean = _together(sums, n_shared) / n
        variance = np.maximum(_together(squares, n_shared) / n - mean**2, 0)
        per_sigma = 1 / np.sqrt(variance + eps)
        scale = weight.detach().numpy() * per_sigma
        shift = bias.detach().numpy() - mean * scale
        n_images, n_channels, n_y, n_x = x.shape
        shape = (n_images, n_channels, n_y // 2, n_x // 2) if pooled else x.shape
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        places = torch.empty(shape if pooled else (0, 0, 0, 0), dtype=torch.uint8, memory_format=torch.channels_last)
        of_channels = (_of_channels(scale, n_shared), _of_channels(shift, n_shared))
        if pooled:
            side_by_side(
                activation_kernels.normalise_and_pool, of_channels, stored_array(x), stored_array(out), stored_array(places)
            )
        else:
            side_by_side(activation_kernels.normalise, of_channels, stored_array(x), stored_array(out))
        ctx.save_for_backward(x, places if pooled else out, weight)
        ctx.mean, ctx.per_sigma, ctx.n_shared, ctx.pooled = mean, per_sigma, n_shared, pooled
        found = torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(variance.astype(np.float32))
        ctx.mark_non_differentiable(*found)
        return out, *found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, seen, weight = ctx.saved_tensors
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        read = [stored_array(x), stored_array(seen), stored_array(gradient)]
        add = activation_kernels.add_pooled_gradients if ctx.pooled else activation_kernels.add_gradients
        sums, products = _summed(add, x.shape[1], *read)
        n = x.numel() // weight.numel()
        of_bias = _together(sums, ctx.n_shared)
        of_weight = (_together(products, ctx.n_shared) - ctx.mean * of_bias) * ctx.per_sigma
        scale = weight.detach().numpy() * ctx.per_sigma
        slope = -scale * ctx.per_sigma * of_weight / n
        offset = -scale * of_bias / n - slope * ctx.mean
        spread = torch.empty_like(x, memory_format=torch.channels_last)
        of_channels = tuple(_of_channels(values, ctx.n_shared) for values in (scale, slope, offset))
        loop = activation_kernels.spread_pooled_gradients if ctx.pooled else activation_kernels.spread_gradients
        side_by_side(loop, of_channels, *read, stored_array(spread))
        found = [torch.from_numpy(values.astype(np.float32)) for values in (of_weight, of_bias)]
        return spread, found[0], found[1], None, None, None


def _together(sums: NDArray[np.float64], n_shared: int) -> NDArray[np.float64]:
    """Sum `[image, channel]` over images, and over channels that share their statistics."""
    return np.asarray(sums.sum(0).reshape(-1, n_shared).sum(1))


def _of_channels(values: NDArray[np.float64], n_shared: int) -> NDArray[np.float32]:
    """Repeat `[feature]` for the channels that share it, as float32."""
    return np.repeat(values, n_shared).astype(np.float32)


def _summed(loop: Callable[..., None], n_channels: int, *read: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a loop sums, as two arrays `[image, channel]`."""
    sums, others = np.empty((2, len(read[0]), n_channels))
    side_by_side(loop, (), *read, sums, others)
    return sums, others
