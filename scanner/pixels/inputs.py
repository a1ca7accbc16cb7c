"""From stamps to what a network reads: resized, then scaled channel by channel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.pixels.channels import Channel, write_scaled
from scanner.pixels.geometry import Stamps
from scanner.pixels.resample import resized


def network_input(stamps: Stamps, channels: Sequence[Channel], n_pixels: int) -> NDArray[np.float32]:
    """`[batch, channel, y, x]`, C-contiguous, for a network that reads `channels`, in that order, at `n_pixels` a side.

    Every band is resized as scikit-image would, then scaled on its own: the order of the authors' loaders. What a row gets
    does not depend on the others.
    """
    n_rows = len(next(iter(stamps.values())))
    inputs = np.empty((n_rows, len(channels), n_pixels, n_pixels), np.float32)
    for band in dict.fromkeys(channel.band for channel in channels):
        scalings = {place: channel.scaling for place, channel in enumerate(channels) if channel.band == band}
        write_scaled(resized(stamps[band], n_pixels), scalings, inputs)
    return inputs
