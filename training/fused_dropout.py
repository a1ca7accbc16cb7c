"""Train rectification, pooling and dropout as one step on a CPU, where torch draws an activation's dropout in 11 ns.

Dropout takes a fifth of the time that the paper's networks train, rectification and pooling another tenth. Here one pass over
the activations does all three, and a hash of each activation's number decides whether it is dropped.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from training import activation_kernels
from training.activations import fits_loops, halves, side_by_side, stored_array


def leading_dropout(layers: Sequence[nn.Module]) -> "FusedDropout | None":
    """Return one step for the first layers: ReLU, perhaps a pooling of two by two pixels, and dropout; else None."""
    relu, pool, dropout = [*layers, None, None, None][:3]
    if not halves(pool):
        pool, dropout = None, pool
    if not isinstance(relu, nn.ReLU) or not isinstance(dropout, nn.Dropout) or not 0 < dropout.p < 1:
        return None
    return FusedDropout(relu, pool, dropout)


class FusedDropout(nn.Module):
    """ReLU, perhaps pooling, and dropout: one step in training on a CPU, torch's layers otherwise."""

    def __init__(self, relu: nn.ReLU, pool: nn.Module | None, dropout: nn.Dropout) -> None:
        super().__init__()
        self.relu, self.pool, self.dropout = relu, pool, dropout
        self.n_layers = 2 if pool is None else 3

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.ndim != 4 or not fits_loops(x) or (self.pool and min(x.shape[-2:]) < 2):
            rectified: Tensor = self.relu(x)
            dropped: Tensor = self.dropout(self.pool(rectified) if self.pool else rectified)
            return dropped
        result: Tensor = _DropInOneStep.apply(x, self.dropout.p, self.pool is not None)
        return result


class _DropInOneStep(torch.autograd.Function):
    """ReLU, pooling and dropout (Srivastava et al. 2014, with the scale in training), with their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, pooled: bool) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        # Two keys for each image, from torch's random numbers: the seed of a fit decides them, the number of threads does not.
        keys = torch.randint(2**32, (len(x), 2)).numpy().astype(np.uint32) | np.array([1, 0], np.uint32)
        keep = np.array([1 - p, 1 / (1 - p)], np.float32)
        n_images, n_channels, n_y, n_x = x.shape
        shape = (n_images, n_channels, n_y // 2, n_x // 2) if pooled else x.shape
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        if pooled:
            places = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)
            read = stored_array(x), stored_array(out), stored_array(places)
            side_by_side(activation_kernels.pool_and_drop, (keep,), keys, *read)
            ctx.save_for_backward(places)
        else:
            side_by_side(activation_kernels.rectify_and_drop, (keep,), keys, stored_array(x), stored_array(out))
            ctx.save_for_backward(out)
        ctx.keep, ctx.pooled, ctx.shape, ctx.dtype = keep, pooled, x.shape, x.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (seen,) = ctx.saved_tensors
        gradient = gradient.to(ctx.dtype).contiguous(memory_format=torch.channels_last)
        spread = torch.empty(ctx.shape, dtype=ctx.dtype, memory_format=torch.channels_last)
        loop = activation_kernels.spread_kept_pooled_gradients if ctx.pooled else activation_kernels.spread_kept_gradients
        side_by_side(loop, (ctx.keep,), stored_array(seen), stored_array(gradient), stored_array(spread))
        return spread, None, None
