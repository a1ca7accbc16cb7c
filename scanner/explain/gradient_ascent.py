"""Gradient ascent on images, to raise the output of a network for a class or the activation of a kernel.

The results are class generated images if the ascent starts from noise, Deep Dreams if it starts from a picture, and generated
kernel images if it raises one kernel (Wilde et al. 2022, sections 5.3-5.5).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infra.progress import Progress
from scanner.preprocess.network_inputs import Inputs
from scanner.preprocess.resample import resized

Objective = Callable[[Tensor], Tensor]
"""Function from images `[batch, channel, y, x]` to the values to raise, `[batch]`."""


@dataclass(frozen=True)
class AscentSettings:
    """Number and size of the steps of a gradient ascent."""

    n_steps: int
    learning_rate: float
    is_stretched: bool = False
    """Stretch each image, all channels alike, from the lowest to the highest bound before each step, as the authors do."""

    def __post_init__(self) -> None:
        if self.n_steps < 1 or not self.learning_rate > 0:
            raise ValueError(f"needs n_steps >= 1 and learning_rate > 0, got {self.n_steps} and {self.learning_rate}")


CLASS_GENERATION = AscentSettings(5000, 0.1, is_stretched=True)
"""Settings of Wilde et al. 2022, section 5.3."""
DEEP_DREAM = AscentSettings(1000, 1e-3)
"""Settings of section 5.4."""
_NOISE_PIXELS = 66
KERNEL_IMAGES = AscentSettings(1000, 0.1)
"""Section 5.5 gives neither value; the rate is that of section 5.3, for the sum of a map: for the mean it has little effect."""


def ascend(
    objective: Objective,
    start: Inputs,
    settings: AscentSettings,
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    progress: Progress | None = None,
) -> Inputs:
    """Change images `[batch, channel, y, x]` to raise the objective, each on its own, by plain steps along its gradient.

    Args:
        objective: Objective of a network in eval mode; its weights do not change.
        start: The images to begin with.
        settings: Number and size of the steps.
        low: Lower bound of the pixels, `[channel]`.
        high: Upper bound, `[channel]`; the network never sees values outside the bounds.
        progress: Called after every hundredth step and the last.
    """
    least, most = (torch.from_numpy(np.asarray(bound, np.float32)).reshape(1, -1, 1, 1) for bound in (low, high))
    images = torch.from_numpy(start.copy())
    for step in range(settings.n_steps):
        if settings.is_stretched:
            images = _stretched(images, least.min(), most.max())
        images.requires_grad_()
        (gradient,) = torch.autograd.grad(objective(images).sum(), images)
        images = (images.detach() + settings.learning_rate * gradient).clamp(least, most)
        if progress is not None and ((step + 1) % 100 == 0 or step + 1 == settings.n_steps):
            progress(step + 1, settings.n_steps)
    return np.asarray(images.numpy())


def noise(n_channels: int, n_pixels: int, rng: np.random.Generator) -> Inputs:
    """Return `[1, channel, y, x]`: uniform noise in 0-1 on 66 x 66 pixels, scaled up, equal in all channels (section 5.3)."""
    drawn = resized(rng.random((1, _NOISE_PIXELS, _NOISE_PIXELS), dtype=np.float32), n_pixels)
    return np.repeat(np.clip(drawn, 0, 1)[:, None], n_channels, axis=1)


def _stretched(images: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """Stretch each image from the lowest to the highest bound; a constant image does not change."""
    darkest, brightest = (bound(images, dim=(1, 2, 3), keepdim=True) for bound in (torch.amin, torch.amax))
    span = brightest - darkest
    return torch.where(span > 0, least + (images - darkest) / span.clamp_min(1e-30) * (most - least), images)
