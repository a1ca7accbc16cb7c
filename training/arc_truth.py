"""Bright simulated lenses, and where their lensed light lies: what maps can be held against."""

import numpy as np

from scanner.explain.explanation import stamp_side_arcsec
from scanner.explain.sanity import Truth
from scanner.networks.card import NetworkCard
from scanner.pixels.geometry import GEOMETRIES, Geometry, Stamps
from scanner.pixels.resample import area_operator, regrid
from scanner.pixels.shard_batches import shard_batches
from scanner.pixels.shards import Shard
from scanner.pixels.sky import sky_level_and_sigma
from training.errors import TrainingError

LEAST_ARC_SNR = 40.0
_BATCH = 64
_ROUNDING = 1e-6
"""In shares of a pixel, below which an overlap is none."""


def bright_lenses(shard: Shard, geometry: Geometry) -> tuple[Stamps, Truth]:
    """Stamps of lenses with bright arcs, and where, on their VIS pixels, lensed light exceeds the sky's sigma.

    Args:
        shard: With components, in a geometry whose VIS stamps are as wide as that wanted, or wider.
        geometry: Of the stamps that are wanted; objects that cannot be brought to it are left out.

    Raises:
        TrainingError: the shard keeps no components, or its stamps are too narrow.
    """
    grid, wanted = shard.geometry.grids["VIS"], geometry.grids["VIS"]
    if not shard.components:
        raise TrainingError("has no components, so nobody knows where the arcs are: simulate with --components")
    if grid.n_pixels < wanted.n_pixels:
        raise TrainingError(
            f"stamps of {geometry.name} are {wanted.side_arcsec:g} arcsec wide, those of {shard.geometry.name} only "
            f"{grid.side_arcsec:g}: simulate with --geometry {geometry.name}"
        )
    light = shard.components["source1"]["VIS"] + shard.components["source2"]["VIS"]
    _, sigma = sky_level_and_sigma(shard.stamps["VIS"])
    first = (grid.n_pixels - wanted.n_pixels) // 2
    inside = slice(first, first + wanted.n_pixels)
    truth = (light > sigma[:, None, None])[:, inside, inside]
    arc_snr = np.array(shard.truth["arc_snr"].to_pylist(), float)
    chosen = np.flatnonzero((arc_snr >= LEAST_ARC_SNR) & truth.any(axis=(1, 2)))
    batches = list(shard_batches(shard, chosen, geometry, _BATCH))
    none = {band: np.empty((0, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    stamps = {band: np.concatenate([none[band], *(batch.stamps[band] for batch in batches)]) for band in none}
    places = np.concatenate([np.empty(0, np.int64), *(batch.places for batch in batches)])
    return stamps, truth[chosen[places]]


def on_input(truth: Truth, card: NetworkCard) -> Truth:
    """On the pixels of a network's input: those of which any part holds lensed light.

    Args:
        truth: On the VIS pixels of stamps in the network's geometry.
        card: Of the network.
    """
    grid = GEOMETRIES[card.geometry].grids["VIS"]
    n_pixels = card.input_pixels
    operator = area_operator(grid.n_pixels, grid.pixel_scale_arcsec, n_pixels, stamp_side_arcsec(card) / n_pixels)
    return np.asarray(regrid(truth.astype(np.float32), operator) > _ROUNDING)
