"""Converts stamps to network inputs: resizes them, then scales them channel by channel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.channels import Channel, Scaling, write_scaled
from scanner.preprocess.resample import resized
from scanner.vocabulary.geometry import Stamps

Inputs = NDArray[np.float32]
"""Network input `[batch, channel, y, x]`, C-contiguous."""


def network_input(stamps: Stamps, channels: Sequence[Channel], n_pixels: int) -> Inputs:
    """Return the input of a network that reads `channels`, in that order, with `n_pixels` a side.

    Every band is resized as scikit-image does, then scaled on its own: the order of the authors' loaders. The result of a row
    does not depend on the other rows.
    """
    return network_inputs(stamps, [tuple(channels)], n_pixels)[tuple(channels)]


def network_inputs(stamps: Stamps, wanted: Sequence[tuple[Channel, ...]], n_pixels: int) -> dict[tuple[Channel, ...], Inputs]:
    """Return `network_input` for several networks at once; channels that networks share are computed once."""
    n_rows = len(next(iter(stamps.values())))
    inputs = {channels: np.empty((n_rows, len(channels), n_pixels, n_pixels), np.float32) for channels in wanted}
    places = [(channel, out, place) for channels, out in inputs.items() for place, channel in enumerate(channels)]
    for band in dict.fromkeys(channel.band for channel, _, _ in places):
        first: dict[Scaling, tuple[Inputs, int]] = {}
        copies: list[tuple[Scaling, Inputs, int]] = []
        for channel, out, place in places:
            if channel.band != band:
                continue
            if channel.scaling in first:
                copies.append((channel.scaling, out, place))
            else:
                first[channel.scaling] = out, place
        write_scaled(resized(stamps[band], n_pixels), [(scaling, out, place) for scaling, (out, place) in first.items()])
        for scaling, out, place in copies:
            source, at = first[scaling]
            out[:, place] = source[:, at]
    return inputs
