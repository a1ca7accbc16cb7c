"""The tiles that hold positions on the sky."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from infra.store.storage import StorageError
from scanner.files.fits_stream import image_stream
from scanner.files.wcs_client import sky_positions
from scanner.sources.tiles import MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS, on_sky
from scanner.vocabulary.rejections import Rejection

OUTSIDE = -1
WELL_INSIDE_PIXELS = 100
"""Distance from a tile's edge at which stamps are whole: half of the largest stamp, in pixels of Euclid MER."""


def tiles_at(
    tiles: Mapping[str, Mapping[str, str]], ra: NDArray[np.float64], dec: NDArray[np.float64], extension: str = ""
) -> tuple[NDArray[np.int64], dict[str, Rejection]]:
    """Return the number of the tile that holds each position, `[n]`, and the tiles whose place cannot be read.

    Where tiles overlap, the position belongs to the one in which it is farthest from the edge; but first come tiles that hold
    the position well inside, those with the mosaics of most bands before others.

    Args:
        tiles: URIs of the mosaics by band, by name of the tile; the first mosaic of a tile gives its place.
        ra: Right ascensions in deg, `[n]`; NaN lies in no tile.
        dec: Declinations in deg, `[n]`.
        extension: Name or number of the HDU with a mosaic's image; the first 2-D image by default.

    Returns:
        Numbers in the order of `tiles`, -1 for a position outside all of them, and why tiles were left out, by their names.

    Raises:
        StorageError: the store failed.
    """
    number, depth, n_bands = np.full(len(ra), OUTSIDE), np.full(len(ra), -np.inf), np.zeros(len(ra), int)
    unread: dict[str, Rejection] = {}
    for i, (name, mosaics) in enumerate(tiles.items()):
        try:
            inside = _depth(next(iter(mosaics.values())), ra, dec, extension)
        except Rejection as rejection:
            if rejection.code.retriable:
                raise StorageError(f"tile {name}: {rejection.detail}") from rejection
            unread[name] = rejection
            continue
        # A mosaic reaches half a pixel beyond the centres of its outer pixels.
        n_here = np.where(inside >= WELL_INSIDE_PIXELS, len(mosaics), 0)
        is_better = (inside > -0.5) & np.where(n_here == n_bands, inside > depth, n_here > n_bands)
        number[is_better], depth[is_better], n_bands[is_better] = i, inside[is_better], n_here[is_better]
    return number, unread


def _depth(uri: str, ra: NDArray[np.float64], dec: NDArray[np.float64], extension: str) -> NDArray[np.float64]:
    """Return the distance of each position from the nearest outer pixel centre, `[n]`, in pixels: negative outside."""
    stream = image_stream(uri, MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS, extension)
    try:
        header, (ny, nx), label = stream.hdu.header, stream.hdu.shape, stream.hdu.label
    finally:
        stream.close()
    known = np.flatnonzero(on_sky(ra, dec))
    x, y = sky_positions(header, ra[known], dec[known], label).T
    depth = np.full(len(ra), -np.inf)
    inside = np.min([x, y, nx - 1 - x, ny - 1 - y], axis=0)
    depth[known] = np.where(np.isfinite(inside), inside, -np.inf)
    return depth
