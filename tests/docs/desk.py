"""Files that the pages assume where their commands run: `tiles/`, `positions.csv`, `field.fits` with a galaxy, `stamps.npy`."""

import numpy as np
from astropy.io import fits

from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from simulation.products.survey_tile import TileSpec, simulate_tile

TILE = TileSpec(tile_id="100000001", n_galaxies=3, n_single=2, n_compound=2, side_pixels=900, seed=11)
BANDS = (("VIS", 24.6, 0.0026), ("NIR_Y", 29.8, 0.5), ("NIR_J", 30.0, 0.5), ("NIR_H", 29.9, 0.5))
"""Name of the extension, zero point, and noise of a pixel in ADU/s."""


def write_desk(folder):
    """Write a tile with lenses, positions in and off it, a field with a galaxy, and its middle; return the folder."""
    simulate_tile(TILE, str(folder / "tiles"))
    (tile,) = discover_tiles(str(folder / "tiles"))
    sources = read_tile_catalogue(tile.catalogue)
    places = [*zip(sources.ra[:2], sources.dec[:2], strict=True), (0.0, 89.0)]
    (folder / "positions.csv").write_text("\n".join(["ra,dec", *(f"{ra},{dec}" for ra, dec in places)]))
    rng = np.random.default_rng(1)
    axis = np.arange(220) - 109.5
    galaxy = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / 32) / (32 * np.pi)
    hdus = [fits.PrimaryHDU()]
    for name, zero_point, noise in BANDS:
        pixels = 10 ** (0.4 * (zero_point - 20)) * galaxy + rng.normal(0, noise, galaxy.shape)
        hdus.append(fits.ImageHDU(pixels.astype(np.float32), name=name))
        hdus[-1].header["PIXSCALE"], hdus[-1].header["MAGZERO"] = 0.1, zero_point
    fits.HDUList(hdus).writeto(folder / "field.fits")
    np.save(folder / "stamps.npy", np.stack([hdu.data[60:160, 60:160] for hdu in hdus[1:]])[None])
    return folder
