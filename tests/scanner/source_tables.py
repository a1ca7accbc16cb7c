"""Tiles whose catalogues have columns as Euclid's MER names them."""

import numpy as np
from astropy.io import fits

from tests.tiles import write_tile

FORMATS = {"float32": "E", "float64": "D", "int16": "I", "int32": "J", "int64": "K", "bool": "L"}


def catalogue_of(folder, tile_number):
    """Return the path of a tile's catalogue."""
    (path,) = folder.glob(f"*FINAL-CAT_TILE{tile_number:09d}-*")
    return path


def add_columns(path, columns, units=None, nulls=None):
    """Add columns, name to array, to a catalogue; integers of `nulls` stand for null."""
    with fits.open(path) as hdus:
        old = list(hdus[1].columns)
        new = [
            fits.Column(
                name,
                FORMATS.get(array.dtype.name) or f"{array.dtype.itemsize // 4}A",
                unit=(units or {}).get(name),
                null=(nulls or {}).get(name),
                array=array,
            )
            for name, array in columns.items()
        ]
        table = fits.BinTableHDU.from_columns([*old, *new])
    table.writeto(path, overwrite=True, checksum=True)


def mer_columns(n, seed=0):
    """Return deterministic columns of `n` sources: fluxes with NaN, infinite and negative ones, flags and texts."""
    rng = np.random.default_rng(seed)
    flux = (rng.lognormal(0.5, 1, n) - 0.3).astype(np.float32)
    flux[: n // 10 : 2], flux[1 : n // 10 : 2] = np.nan, np.inf
    return {
        "FLUX_VIS_PSF": flux,
        "SPURIOUS_FLAG": rng.integers(0, 2, n).astype(np.int16),
        "POINT_LIKE_PROB": rng.uniform(0, 1, n),
        "DET_QUALITY_FLAG": rng.integers(0, 16, n).astype(np.int32),
        "NAME": np.array([f"s{i % 7}" for i in range(n)]),
    }


def write_mer_tile(folder, tile_number, n, **options):
    """Write a tile with the columns of `mer_columns`; return its ids and these columns."""
    ids = write_tile(folder, tile_number, n, **options)
    columns = mer_columns(n, seed=tile_number)
    add_columns(catalogue_of(folder, tile_number), columns, units={"FLUX_VIS_PSF": "uJy"})
    return ids, columns
