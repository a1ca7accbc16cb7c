"""Converts stamps to network inputs: resizes them, then scales them channel by channel."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.channel import Channel, Scaling
from scanner.preprocess.channels import write_scaled
from scanner.preprocess.resample import resized
from scanner.preprocess.sky_levels import SkyLevels
from scanner.vocabulary.geometry import Stamps

Inputs = NDArray[np.float32]
"""Network input `[batch, channel, y, x]`, C-contiguous."""


def network_input(stamps: Stamps, channels: Sequence[Channel], n_pixels: int) -> Inputs:
    """Return the input of a network that reads `channels`, in that order, with `n_pixels` a side.

    Every band is resized as scikit-image does, then scaled on its own: the order of the authors' loaders. The result of a row
    does not depend on the other rows.
    """
    return network_inputs(stamps, [tuple(channels)], n_pixels)[tuple(channels)]


def network_inputs(
    stamps: Stamps,
    wanted: Sequence[tuple[Channel, ...]],
    n_pixels: int,
    field_pixels: int | None = None,
    sky: SkyLevels | None = None,
) -> dict[tuple[Channel, ...], Inputs]:
    """Return `network_input` for several networks at once; channels that networks share are computed once.

    With `field_pixels`, the result is only the middle of that side, to the bit; `n_pixels - field_pixels` is even. `sky` holds
    what is known about the sky of the stamps, and gets what is measured here.
    """
    sky = SkyLevels() if sky is None else sky
    n_rows, side = len(next(iter(stamps.values()))), field_pixels or n_pixels
    inputs = {channels: np.empty((n_rows, len(channels), side, side), np.float32) for channels in wanted}
    wanted_channels = [(channel, out, index) for channels, out in inputs.items() for index, channel in enumerate(channels)]
    for band in dict.fromkeys(channel.band for channel, _, _ in wanted_channels):
        first: dict[Scaling, tuple[Inputs, int]] = {}
        copies: list[tuple[Scaling, Inputs, int]] = []
        for channel, out, index in wanted_channels:
            if channel.band != band:
                continue
            if channel.scaling in first:
                copies.append((channel.scaling, out, index))
            else:
                first[channel.scaling] = out, index
        targets = [(scaling, out, index) for scaling, (out, index) in first.items()]
        write_scaled(resized(stamps[band], n_pixels), targets, (n_pixels - side) // 2, partial(sky.measured, band))
        for scaling, out, index in copies:
            source, source_index = first[scaling]
            out[:, index] = source[:, source_index]
    return inputs
