"""Check arrays of stamps before networks read them: an array of another size would be squeezed, and NaN would spread."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from infra.errors import LensscanError
from scanner.vocabulary.geometry import Geometry, Grid


class StampsError(LensscanError, ValueError):
    """Stamps do not have the bands, shapes or numbers that the networks read; the message names what is wanted and given."""


def check_stamps(stamps: Mapping[str, Any], geometry: Geometry, needed: Collection[str]) -> None:
    """Check bands, types and shapes, in microseconds: pixels are not read.

    Args:
        stamps: Band to `[batch, y, x]`.
        geometry: Geometry that the shapes must have.
        needed: Bands that must be there; others of the geometry may be.

    Raises:
        StampsError: a band is missing or unknown, an array does not hold real numbers or has another shape, or bands differ in
            their number of objects.
    """
    check_bands(stamps, geometry, needed)
    for band, images in stamps.items():
        if not isinstance(images, np.ndarray) or images.dtype.kind not in "fiu":
            kind = getattr(images, "dtype", type(images).__name__)
            raise StampsError(f"{band} must be a NumPy array of real numbers, got {kind}")
        side = geometry.grids[band].n_pixels
        if images.ndim != 3 or images.shape[1:] != (side, side):
            raise StampsError(wrong_shape(band, images.shape, geometry.grids[band]))
    check_lengths(stamps)


def check_bands(stamps: Mapping[str, Any], geometry: Geometry, needed: Collection[str]) -> None:
    """Check that all `needed` bands are there, and no band that the geometry does not know.

    Raises:
        StampsError: a band is missing or unknown, or `stamps` is no mapping.
    """
    known = ", ".join(geometry.grids)
    if not isinstance(stamps, Mapping):
        raise StampsError(f"stamps must map each band ({known}) to an array, got {type(stamps).__name__}")
    if unknown := [str(band) for band in stamps if band not in geometry.grids]:
        raise StampsError(f"there is no band {', '.join(unknown)}; the bands are {known}")
    if missing := [band for band in needed if band not in stamps]:
        raise StampsError(f"images in {', '.join(missing)} are missing; the networks read {', '.join(needed)}")


def check_lengths(stamps: Mapping[str, Any]) -> None:
    """Check that every band has the same number of objects.

    Raises:
        StampsError: it does not.
    """
    lengths = {band: len(images) for band, images in stamps.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{band} {n}" for band, n in lengths.items())
        raise StampsError(f"every band must have the same number of objects, got {given}")


def check_finite(stamps: Mapping[str, Any]) -> None:
    """Check that every pixel is finite as float32.

    Raises:
        StampsError: a pixel is not; the message names the first object with such pixels, counted from 0.
    """
    for band, images in stamps.items():
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(images.astype(np.float32, copy=False))
        if not is_finite.all():
            n_bad = np.count_nonzero(~is_finite, axis=(1, 2))
            first = int(np.flatnonzero(n_bad)[0])
            wanted = f"{band} of object {first}: every pixel must be finite"
            raise StampsError(f"{wanted}, got {n_bad[first]} that are NaN, infinite or masked")


def wrong_shape(band: str, shape: tuple[int, ...], grid: Grid) -> str:
    """Return the text of the error for an array of another shape than `[n, y, x]` on `grid`."""
    n, scale = grid.n_pixels, grid.pixel_scale_arcsec
    return f"{band} must be [n, {n}, {n}] ({grid.side_arcsec:g} arcsec at {scale:g} arcsec a pixel), got {list(shape)}"
