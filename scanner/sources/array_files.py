"""Cutouts in arrays: `.npy` and `.npz` files, and FITS cubes, whose planes are the bands that the caller names in order."""

import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.store.storage import absolute, exists, is_s3, list_files, local_path, read_bytes
from scanner.files.fits_file import open_fits
from scanner.files.fits_image import MAX_CUTOUT_PIXELS, MAX_FILE_BYTES, header_pixel_scale_arcsec
from scanner.sources.batches import Row
from scanner.sources.cutout_files import ARRAY_SUFFIXES, FITS_SUFFIXES
from scanner.sources.cutouts import to_cutout
from scanner.sources.images import Images
from scanner.sources.manifests import BANDS
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Geometry
from scanner.vocabulary.rejections import RejectCode, Rejection

_Planes = Mapping[str, NDArray[Any]]
"""Band to `[n, y, x]`."""


@dataclass(frozen=True)
class ArrayFiles:
    """Objects of array files: those of each file in its order, with a function that yields them in a geometry."""

    object_ids: pa.Array
    """Row numbers, from 0, of a single file of NumPy arrays; else the name of each file, with the row number behind it."""
    bands: frozenset[str]
    rows: Sequence[partial[Iterator[Row]]]
    """For each file, the rows in the geometry that it is called with."""

    def images(self, geometry: Geometry) -> Images:
        """Return the objects in a geometry; pixels are read as the rows are iterated."""
        return Images(self.object_ids, lambda: (row for rows in self.rows for row in rows(geometry)))


def open_arrays(arguments: Sequence[str], bands: str) -> ArrayFiles:
    """Return the objects of array files, and of folders of them.

    An array is `[n, band, y, x]`, `[n, y, x, band]`, or one object without the first axis; with one band, `[n, y, x]`. Its
    pixels are 0.1 arcsec wide, as those of Euclid's MER mosaics in every band. A `.npz` file holds one such array, or an array
    `[n, y, x]` for each band, by its name. A FITS cube `[band, y, x]`, the first of its file, is one object, and its header
    tells the pixel scale. Larger images are cropped about their centre, as other cutouts are.

    Args:
        arguments: Files and folders.
        bands: Names of the bands, in the order of the planes, separated by commas.

    Raises:
        ManifestError: a band is unknown or named twice, or an array is missing, damaged or of another shape.
    """
    names = tuple(name.strip() for name in bands.split(","))
    if not set(names) <= set(BANDS) or len(set(names)) < len(names):
        raise ManifestError(f"--bands must be different names out of {', '.join(BANDS)}, got {bands}")
    ids: list[str] = []
    rows: list[partial[Iterator[Row]]] = []
    uris = list(dict.fromkeys(uri for argument in arguments for uri in _files(argument)))
    for uri in uris:
        stem = posixpath.basename(uri).partition(".")[0]
        if not _is_array(uri):
            ids.append(stem)
            rows.append(partial(_cube_rows, uri, names))
            continue
        planes = _planes(uri, names)
        n = len(planes[names[0]])
        ids += [f"{stem}-{i}" for i in range(n)] if len(uris) > 1 else map(str, range(n))
        rows.append(partial(_array_rows, planes))
    is_numbered = len(uris) == 1 and _is_array(uris[0])
    object_ids = pa.array(map(int, ids), pa.int64()) if is_numbered else pa.array(ids, pa.string())
    return ArrayFiles(object_ids, frozenset(names), rows)


def _is_array(name: str) -> bool:
    return name.lower().endswith(ARRAY_SUFFIXES)


def _files(argument: str) -> list[str]:
    suffixes = (*ARRAY_SUFFIXES, *FITS_SUFFIXES)
    if argument.lower().endswith(suffixes) and (is_s3(argument) or not local_path(argument).is_dir()):
        if not exists(argument):
            raise ManifestError(f"{argument}: no such file")
        return [absolute(argument)]
    found = [file.uri for file in list_files(argument) if file.uri.lower().endswith(suffixes)]
    if not found:
        raise ManifestError(f"{argument}: --bands reads files that end in {', '.join(suffixes)}, and folders of them")
    return found


def _planes(uri: str, bands: Sequence[str]) -> _Planes:
    """Return the bands of a file of NumPy arrays; a local `.npy` file stays on disk until its pixels are used."""
    name = posixpath.basename(uri)
    try:
        source: Any = io.BytesIO(read_bytes(uri)) if is_s3(uri) else local_path(uri)
        loaded = np.load(source, mmap_mode=None if is_s3(uri) else "r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _by_band(name, loaded, bands)
        if set(bands) <= set(loaded.files):
            by_name = [_by_band(f"{name}[{band}]", loaded[band], [band])[band] for band in bands]
            return _by_band(name, np.stack(by_name, axis=1), bands)
        if len(loaded.files) == 1:
            return _by_band(name, loaded[loaded.files[0]], bands)
    except (OSError, ValueError, EOFError) as error:
        raise ManifestError(f"{name}: {error}") from error
    has = ", ".join(loaded.files[:8])
    raise ManifestError(f"{name}: must hold one array, or one for each of {', '.join(bands)}, got {has}")


def _by_band(name: str, array: NDArray[Any], bands: Sequence[str]) -> _Planes:
    n_bands = len(bands)
    if array.dtype.kind not in "fiu":
        raise ManifestError(f"{name}: must be an array of real numbers, got {array.dtype}")
    if n_bands == 1 and array.ndim == 3 and 1 not in {array.shape[0], array.shape[2]}:
        array = array[:, None]
    array = array[None] if array.ndim == 3 else array
    if array.ndim == 4 and n_bands in {array.shape[1], array.shape[3]}:
        first = array.shape[1] == n_bands
        return {band: array[:, i] if first else array[..., i] for i, band in enumerate(bands)}
    wanted = f"[n, band, y, x] or [n, y, x, band] with {n_bands} {'band' if n_bands == 1 else 'bands'}"
    raise ManifestError(f"{name}: must be {wanted} ({', '.join(bands)}), got {list(array.shape)}")


def _array_rows(planes: _Planes, geometry: Geometry) -> Iterator[Row]:
    for i in range(len(next(iter(planes.values())))):
        yield _row({band: BandImage(images[i], MER_PIXEL_ARCSEC) for band, images in planes.items()}, geometry)


def _cube_rows(uri: str, bands: Sequence[str], geometry: Geometry) -> Iterator[Row]:
    try:
        images = _cube(uri, bands)
    except Rejection as rejection:
        yield rejection
    else:
        yield _row(images, geometry)


def _row(images: Mapping[str, BandImage], geometry: Geometry) -> Row:
    try:
        return to_cutout(images, geometry)
    except Rejection as rejection:
        return rejection


def _cube(uri: str, bands: Sequence[str]) -> dict[str, BandImage]:
    file = open_fits(uri, MAX_FILE_BYTES)
    file.check_whole()
    hdu = next((hdu for hdu in file.hdus if len(hdu.shape) == 3), None)
    if hdu is None or hdu.shape[0] != len(bands) or hdu.is_compressed or prod(hdu.shape) > MAX_CUTOUT_PIXELS:
        got = ", ".join(str(list(hdu.shape)) for hdu in file.hdus if hdu.shape) or "no image"
        wanted = f"must hold a cube [band, y, x] with the bands {', '.join(bands)}"
        raise Rejection(RejectCode.WRONG_SHAPE, f"{file.name}: {wanted}, not compressed, got {got}")
    file.check_sums(hdu)
    scale_arcsec = header_pixel_scale_arcsec(hdu.header, hdu.label)
    return {band: BandImage(plane, scale_arcsec) for band, plane in zip(bands, file.pixels(hdu), strict=True)}
