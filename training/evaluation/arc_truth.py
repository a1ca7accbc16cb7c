"""Bright simulated lenses, and where their lensed light lies: what maps can be held against."""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.explanation import stamp_side_arcsec
from scanner.explain.sanity import Truth
from scanner.networks.card import NetworkCard
from scanner.preprocess.resample import area_operator, regrid
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import Shard
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps
from training.errors import TrainingError

LEAST_ARC_SNR = 40.0
LEAST_CONTRAST = 0.1
"""Lensed light over the lens galaxy's own, in a pixel that counts as arc.

A tenth is what still stands out of the galaxy's photon noise, by 3 sigma in the median pixel that has no more (1.7 to 6 in nine
of ten); below it, models of the galaxy fail to be subtracted. Without this the galaxy's core would be arc, with a thousandth of
the light there, and maps that always point at the middle would hit.
"""
_BATCH = 64
_ROUNDING = 1e-6
"""In shares of a pixel, below which an overlap is none."""


def bright_lenses(shard: Shard, geometry: Geometry) -> tuple[Stamps, Truth]:
    """Stamps of lenses with bright arcs, and where these are on their VIS pixels; objects without any such pixel are left out.

    Args:
        shard: With components, in a geometry whose VIS stamps are as wide as that wanted, or wider.
        geometry: Of the stamps that are wanted; objects that cannot be brought to it are left out.

    Raises:
        TrainingError: the shard keeps no components, or its stamps are too narrow.
    """
    truth = arcs(shard, geometry)
    chosen = with_bright_arcs(shard, truth)
    batches = list(shard_batches(shard, chosen, geometry, _BATCH))
    none = {band: np.empty((0, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    stamps = {band: np.concatenate([none[band], *(batch.stamps[band] for batch in batches)]) for band in none}
    places = np.concatenate([np.empty(0, np.int64), *(batch.places for batch in batches)])
    return stamps, truth[chosen[places]]


def arcs(shard: Shard, geometry: Geometry, contrast: float = LEAST_CONTRAST) -> Truth:
    """Where, on the VIS pixels of all objects, lensed light exceeds the sky's sigma and is not lost in the lens galaxy.

    Args:
        shard: As for `bright_lenses`.
        geometry: Of the stamps that are wanted.
        contrast: Lensed light over that of the lens galaxy, at least.

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
    is_arc = light >= contrast * shard.components["lens_light"]["VIS"]
    _, sigma = sky_level_and_sigma(shard.stamps["VIS"])
    first = (grid.n_pixels - wanted.n_pixels) // 2
    inside = slice(first, first + wanted.n_pixels)
    return np.asarray(((light > sigma[:, None, None]) & is_arc)[:, inside, inside])


def with_bright_arcs(shard: Shard, truth: Truth) -> NDArray[np.int64]:
    """Rows of the objects whose arcs are bright, and in the stamp."""
    arc_snr = np.array(shard.truth["arc_snr"].to_pylist(), float)
    return np.flatnonzero((arc_snr >= LEAST_ARC_SNR) & truth.any(axis=(1, 2)))


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
