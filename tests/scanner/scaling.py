"""One band on one scale, by the functions that write the channels of network inputs."""

import numpy as np

from scanner.preprocess import channels
from scanner.preprocess.channels import write_scaled


def scaled(images, scalings):
    """Return `[batch, y, x]` of one band on each of some scales."""
    out = np.empty((len(images), len(scalings), *images.shape[1:]), np.float32)
    write_scaled(images, [(scaling, out, channel) for channel, scaling in enumerate(scalings)])
    return {scaling: out[:, channel] for channel, scaling in enumerate(scalings)}


def min_max(images):
    return scaled(images, ["min_max"])["min_max"]


def on_scale(scaling, units):
    """Return sky units `[batch, y, x]` on a scale that reads them."""
    out = np.empty((len(units), 1, *units.shape[1:]), np.float32)
    channels._OF_SKY_UNITS[scaling](units, channels._centre_margin(units.shape[-1]), 0, out, 0)
    return out[:, 0]
