"""Activations of a network as arrays, and loops over their images in several threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_DTYPES = (torch.float32, torch.bfloat16)


def fits_loops(x: Tensor) -> bool:
    """Return whether compiled loops read these activations: float32 or bfloat16 on a CPU, and not empty."""
    return x.device.type == "cpu" and x.dtype in _DTYPES and min(x.shape) > 0


def stored_array(x: Tensor) -> NDArray[Any]:
    """Return a channels-last tensor as an array `[image, y, x, channel]`, with the bits of bfloat16 as uint16."""
    x = x.detach().permute(0, 2, 3, 1)
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def halves(pool: nn.Module | None) -> bool:
    """Return whether a layer is a pooling like `nn.MaxPool2d(2)`."""
    if not isinstance(pool, nn.MaxPool2d):
        return False
    settings = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    return settings == (2, 2, 0, 1, False, False)


def side_by_side(loop: Callable[..., None], of_channels: Sequence[NDArray[np.float32]], *of_images: NDArray[Any]) -> None:
    """Call a loop on parts of all images, in as many threads as torch uses."""
    n_images = len(of_images[0])
    edges = np.linspace(0, n_images, min(torch.get_num_threads(), n_images) + 1).astype(int).tolist()

    def call(first: int, last: int) -> None:
        loop(*of_channels, *(array[first:last] for array in of_images))

    parts = list(pairwise(edges))
    waiting = [_threads(len(parts) - 1).submit(call, *part) for part in parts[1:]]
    call(*parts[0])
    for part in waiting:
        part.result()


@cache
def _threads(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(n, 1), thread_name_prefix="fused-steps")
