"""From stamps to what a network reads: resized, then scaled channel by channel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.pixels.channels import Channel, scaled
from scanner.pixels.geometry import Stamps
from scanner.pixels.resample import regrid, resize_operator


def network_input(stamps: Stamps, channels: Sequence[Channel], n_pixels: int) -> NDArray[np.float32]:
    """`[batch, channel, y, x]` for a network that reads `channels`, in that order, at `n_pixels` a side.

    Every band is resized as scikit-image would, then scaled on its own: the order of the authors' loaders.
    """
    scales = {
        band: scaled(_resized(stamps[band], n_pixels), {channel.scaling for channel in channels if channel.band == band})
        for band in {channel.band for channel in channels}
    }
    return np.stack([scales[channel.band][channel.scaling] for channel in channels], axis=1)


def _resized(images: NDArray[np.float32], n_pixels: int) -> NDArray[np.float32]:
    n_in = images.shape[-1]
    return images if n_in == n_pixels else regrid(images, resize_operator(n_in, n_pixels))
