"""Images that a caller in Python gives: arrays in memory, references to FITS images, or paths of files and manifests."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.store.storage import absolute
from scanner.preprocess.stamp_checks import StampsError, check_bands, check_finite, check_lengths, wrong_shape
from scanner.sources.batches import Row
from scanner.sources.cutouts import to_cutout
from scanner.sources.image_arguments import read_images
from scanner.sources.manifests import Manifest, manifest_cutouts
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import Rejection

Arrays = Mapping[str, NDArray[Any]]
"""Band to `[n, y, x]`."""


@dataclass(frozen=True)
class Images:
    """Objects with an id each; their pixels are read or copied as `rows()` is iterated."""

    object_ids: pa.Array
    rows: Callable[[], Iterator[Row]]
    manifest: Manifest | None = None
    """Files of the objects; None for arrays."""


def open_images(images: Any, geometry: Geometry, *, crop: bool = False, strict: bool = False) -> Images:
    """Check images and return their rows in a geometry; ids count from 0, except those of a manifest.

    Args:
        images: Band to array `[n, y, x]`, or `[y, x]` of one object; one array `[n, band, y, x]` or `[band, y, x]` with the
            bands in the order of the geometry; band to reference (`FILE`, `FILE#EXTNAME`, `FILE#3`) or list of references; or
            the path, or a list of paths, of manifests, FITS files and folders of FITS files. Pixels of arrays have the scales
            of the geometry.
        geometry: Geometry of the rows.
        crop: Crop larger arrays about their centre, as cutouts in files are; without it they are refused.
        strict: Refuse arrays with pixels that are NaN, infinite or masked; without it, a few are filled with sky, as in files,
            and an object with more is rejected.

    Raises:
        StampsError: the images have other bands, shapes or numbers than the geometry, or, if strict, a pixel is not finite.
        ManifestError: the manifest cannot be read.
    """
    if _is_reference(images):
        return _of_manifest(read_images([absolute(path) for path in _texts(images)]), geometry)
    bands = dict(images) if isinstance(images, Mapping) else _by_band(images, geometry)
    check_bands(bands, geometry, tuple(geometry.grids))
    if all(_is_reference(value) for value in bands.values()):
        return _of_manifest(_manifest_of(bands), geometry)
    arrays = {band: _numbers(band, value) for band, value in bands.items()}
    if all(array.ndim == 2 for array in arrays.values()):
        arrays = {band: array[None] for band, array in arrays.items()}
    for band, grid in geometry.grids.items():
        _check_shape(band, arrays[band].shape, grid, crop=crop)
    check_lengths(arrays)
    if strict:
        check_finite(arrays)
    n = len(arrays["VIS"])
    if not n:
        raise StampsError("the images hold no object")
    return Images(pa.array(range(n), pa.int64()), lambda: _cutouts(arrays, n, geometry))


def _cutouts(arrays: Arrays, n: int, geometry: Geometry) -> Iterator[Row]:
    for i in range(n):
        try:
            grids = geometry.grids.items()
            yield to_cutout({band: BandImage(arrays[band][i], grid.pixel_scale_arcsec) for band, grid in grids}, geometry)
        except Rejection as rejection:
            yield rejection


def _check_shape(band: str, shape: tuple[int, ...], grid: Grid, *, crop: bool) -> None:
    n = grid.n_pixels
    is_larger = len(shape) == 3 and min(shape[1:]) >= n
    if len(shape) == 3 and (shape[1:] == (n, n) or (crop and is_larger)):
        return
    hint = "; crop=True crops larger images about their centre" if is_larger else ""
    raise StampsError(wrong_shape(band, shape, grid) + hint)


def _by_band(images: Any, geometry: Geometry) -> dict[str, NDArray[Any]]:
    array, names = _numbers("images", images), ", ".join(geometry.grids)
    if len(set(geometry.grids.values())) > 1:
        raise StampsError(f"bands of {geometry.name} stamps differ in size: give an array for each band, by name ({names})")
    if array.ndim not in {3, 4} or array.shape[-3] != len(geometry.grids):
        wanted = f"[n, band, y, x] or [band, y, x] with the bands {names}"
        raise StampsError(f"one array must be {wanted}, got {list(array.shape)}")
    return {band: array[..., i, :, :] for i, band in enumerate(geometry.grids)}


def _numbers(name: str, value: Any) -> NDArray[Any]:
    """Return the value as an array of real numbers."""
    try:
        array = np.asarray(_unmasked(value))
    except (ValueError, TypeError, RuntimeError) as error:
        raise StampsError(f"{name} must be an array of real numbers, got {type(value).__name__}") from error
    if array.dtype.kind not in "fiu":
        raise StampsError(f"{name} must be an array of real numbers, got {array.dtype}")
    return array


def _unmasked(value: Any) -> Any:
    """Return a value with NaN in place of masked pixels, in lists of arrays, too, where NumPy drops masks."""
    if isinstance(value, list | tuple):
        return [_unmasked(part) for part in value]
    is_number = np.ma.is_masked(value) and value.dtype.kind in "fiu"
    return value.astype(np.float32).filled(np.nan) if is_number else value


def _is_reference(value: Any) -> bool:
    """Return whether the value is a path or a list of paths, not an array."""
    return isinstance(value, str | PathLike) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(part, str | PathLike) for part in value)
    )


def _manifest_of(references: Mapping[str, Any]) -> Manifest:
    lists: dict[str, list[str | None]] = {band: [*_texts(value)] for band, value in references.items()}
    check_lengths(lists)
    n = len(lists["VIS"])
    return Manifest(pa.array(range(n), pa.int64()), lists, [None] * n)


def _texts(value: Any) -> list[str]:
    return [fspath(part) for part in (value if isinstance(value, list | tuple) else [value])]


def _of_manifest(manifest: Manifest, geometry: Geometry) -> Images:
    return Images(manifest.object_ids, lambda: manifest_cutouts(manifest, geometry), manifest)
