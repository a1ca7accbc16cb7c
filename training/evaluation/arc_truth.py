"""Bright simulated lenses and the pixels of their lensed light, the truth that maps are compared with."""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.explanation import stamp_side_arcsec
from scanner.explain.sanity import Truth
from scanner.networks.network_card import NetworkCard
from scanner.preprocess.resample import area_operator, regrid
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import Shard
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps
from training.errors import TrainingError

LEAST_ARC_SNR = 40.0
LEAST_CONTRAST = 0.1
"""Least ratio of lensed light to the lens galaxy's own light in a pixel that counts as arc.

A tenth still stands out of the galaxy's photon noise, by 3 sigma in the median pixel with this ratio (1.7 to 6 in nine of ten);
below a tenth, models of the galaxy cannot be subtracted. Without this limit the galaxy's core would count as arc, with a
thousandth of the light there, and maps that always point at the middle would hit.
"""
_BATCH = 64
_ROUNDING = 1e-6
"""Share of a pixel below which an overlap counts as zero."""


def bright_lenses(shard: Shard, geometry: Geometry) -> tuple[Stamps, Truth]:
    """Return stamps of lenses with bright arcs, and arc masks on VIS pixels, each `[object, y, x]`.

    Objects without an arc pixel are left out.

    Args:
        shard: Shard with components, in a geometry whose VIS stamps are at least as wide as those of `geometry`.
        geometry: Geometry of the returned stamps; objects that cannot be converted to it are left out.

    Raises:
        TrainingError: the shard keeps no components, or its stamps are too narrow.
    """
    truth = arcs(shard, geometry)
    chosen = with_bright_arcs(shard, truth)
    batches = list(shard_batches(shard, chosen, geometry, _BATCH))
    none = {band: np.empty((0, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    stamps = {band: np.concatenate([none[band], *(batch.stamps[band] for batch in batches)]) for band in none}
    rows = np.concatenate([np.empty(0, np.int64), *(batch.rows for batch in batches)])
    return stamps, truth[chosen[rows]]


def arcs(shard: Shard, geometry: Geometry, contrast: float = LEAST_CONTRAST) -> Truth:
    """Mark the VIS pixels `[object, y, x]` where lensed light exceeds the sky's sigma and is not lost in the lens galaxy.

    Args:
        shard: Shard, as for `bright_lenses`.
        geometry: Geometry of the stamps that the masks belong to.
        contrast: Least ratio of lensed light to the light of the lens galaxy.

    Raises:
        TrainingError: the shard keeps no components, or its stamps are too narrow.
    """
    grid, wanted = shard.geometry.grids["VIS"], geometry.grids["VIS"]
    if not shard.components:
        raise TrainingError("has no components, so the arcs are unknown: simulate with --components")
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
    """Return the rows `[n]` of objects whose arcs are bright and inside the stamp; `truth` as from `arcs`."""
    arc_snr = np.array(shard.truth["arc_snr"].to_pylist(), float)
    return np.flatnonzero((arc_snr >= LEAST_ARC_SNR) & truth.any(axis=(1, 2)))


def on_input(truth: Truth, card: NetworkCard) -> Truth:
    """Convert arc masks to pixels `[object, y, x]` of a network's input, which count as arc if any part holds lensed light.

    Args:
        truth: `[object, y, x]` on the VIS pixels of stamps in the network's geometry.
        card: Card of the network.
    """
    grid = GEOMETRIES[card.geometry].grids["VIS"]
    n_pixels = card.input_pixels
    operator = area_operator(grid.n_pixels, grid.pixel_scale_arcsec, n_pixels, stamp_side_arcsec(card) / n_pixels)
    return np.asarray(regrid(truth.astype(np.float32), operator) > _ROUNDING)
