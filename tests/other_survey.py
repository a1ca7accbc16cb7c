"""Tiles of an invented survey: names, pixels, units, image HDU and columns of the catalogue are not Euclid's."""

import numpy as np
from astropy.io import fits

from scanner.sources.survey import parse_survey
from tests.tiles import header

PIXEL_ARCSEC = 0.2
BANDS = {"VIS": "r", "Y": "i", "J": "z", "H": "y"}
N_PIXELS = 240
TOML = """\
name = "sky-atlas"
reference = "made up for the tests"

[bands]
VIS = "r"
Y = "i"
J = "z"
H = "y"

[mosaics]
file = "atlas-{tile}-{band}-v{version}.fits"
hdu = "SCI"
unit = "nJy"

[catalogue]
file = "atlas-{tile}-objects-v{version}.fits"
id = "sourceId"
ra = "ra_rad"
dec = "dec_rad"
unit = "rad"
"""
ATLAS = parse_survey(TOML.encode(), "atlas.toml")
UNCALIBRATED = "sky-atlas: p_lens is calibrated for images like Euclid's only; its prior, purities and numbers of lenses do not"
"""Beginning of the warning that commands print about its catalogues."""


def wcs_header(dec):
    h = header(N_PIXELS, 10.0, dec)
    del h["MAGZERO"]
    h["CD1_1"], h["CD2_2"] = -PIXEL_ARCSEC / 3600, PIXEL_ARCSEC / 3600
    return h


def write_tile(folder, tile, dec, n_objects, first_id=0, version=2):
    """Write four mosaics and a catalogue; return ids and pixels `x`, `y` of the objects, which lie on whole pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([first_id, version])
    x, y = rng.integers(60, N_PIXELS - 60, (2, n_objects))
    yy, xx = np.mgrid[:N_PIXELS, :N_PIXELS]
    light = sum(np.exp(-np.hypot(xx - xi, yy - yi) / 4) for xi, yi in zip(x, y, strict=True))
    h = wcs_header(dec)
    for i, band in enumerate(BANDS.values()):
        pixels = (3000.0 * (i + 1) * light + rng.normal(0, 100, light.shape)).astype(np.float32)
        # The first 2-D image is a mask: an image HDU must be named.
        mask = fits.PrimaryHDU(np.zeros((N_PIXELS, N_PIXELS), np.uint8))
        hdus = fits.HDUList([mask, fits.ImageHDU(pixels, h, name="SCI")])
        hdus.writeto(folder / f"atlas-{tile}-{band}-v{version}.fits", overwrite=True)
    ids = first_id + np.arange(n_objects, dtype=np.int64)
    centre, step = (N_PIXELS - 1) / 2, PIXEL_ARCSEC / 3600
    columns = [
        fits.Column("sourceId", "K", array=ids),
        fits.Column("ra_rad", "D", array=np.radians(10.0 - (x - centre) * step / np.cos(np.radians(dec)))),
        fits.Column("dec_rad", "D", array=np.radians(dec + (y - centre) * step)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(folder / f"atlas-{tile}-objects-v{version}.fits", overwrite=True)
    return ids, x, y


def write_survey(folder, n_objects=3):
    """Write two tiles, the first also in an older version; return what `write_tile` does, by name of the tile."""
    write_tile(folder, "N01,1", -20.0, 1, version=1)
    tiles = {"N01,1": (-20.0, 0), "N01,2": (-20.2, 100)}
    return {name: write_tile(folder, name, dec, n_objects, first) for name, (dec, first) in tiles.items()}


def write_manifest(folder, tiles, cutouts, side=100):
    """Cut `side` pixels about every object out of the mosaics by hand, and list the cutouts in a manifest; return its path.

    Args:
        folder: Folder of the tiles.
        tiles: Result of `write_survey`.
        cutouts: Folder to write.
        side: Even number of pixels; the object lies on the pixel to the upper right of the middle.
    """
    cutouts.mkdir()
    lines = ["object_id,VIS,Y,J,H"]
    for tile, (ids, x, y) in tiles.items():
        images = {band: fits.getdata(folder / f"atlas-{tile}-{of}-v2.fits", "SCI") for band, of in BANDS.items()}
        for object_id, xi, yi in zip(ids, x, y, strict=True):
            rows, columns = (slice(at - side // 2, at + side // 2) for at in (yi, xi))
            hdus = [fits.ImageHDU(image[rows, columns], wcs_header(-20.0), name=band) for band, image in images.items()]
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(cutouts / f"{object_id}.fits")
            lines.append(",".join([str(object_id), *(f"{object_id}.fits#{band}" for band in BANDS)]))
    path = cutouts / "manifest.csv"
    path.write_text("\n".join(lines))
    return path
