"""Small tiles in MER layout that are fast to write: a galaxy of known size at each catalogue position, noise in between."""

import numpy as np
from astropy.io import fits

PIXEL_SCALE_DEG = 0.1 / 3600
MER_BANDS = {"VIS": "VIS", "Y": "NIR-Y", "J": "NIR-J", "H": "NIR-H"}


def header(n_pixels, ra, dec, zero_point_ab_mag=24.6):
    h = fits.Header()
    h["CTYPE1"], h["CTYPE2"] = "RA---TAN", "DEC--TAN"
    h["CRVAL1"], h["CRVAL2"] = ra, dec
    h["CRPIX1"] = h["CRPIX2"] = (n_pixels + 1) / 2
    h["CD1_1"], h["CD1_2"], h["CD2_1"], h["CD2_2"] = -PIXEL_SCALE_DEG, 0.0, 0.0, PIXEL_SCALE_DEG
    h["MAGZERO"] = zero_point_ab_mag
    return h


def write_tile(folder, tile_number, n_objects, n_pixels=400, seed=0, zero_point_ab_mag=24.6):
    """Write four mosaics and a catalogue with `n_objects` objects of the same fluxes at any zero point; return the ids."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, tile_number])
    tile = f"{tile_number:09d}"
    dec = -45.0 + tile_number
    x, y = rng.uniform(100, n_pixels - 100, (2, n_objects))
    light = np.zeros((n_pixels, n_pixels))
    for xi, yi in zip(x, y, strict=True):
        # The light beyond 15 scale lengths is negligible.
        rows, columns = (slice(max(int(at) - 60, 0), min(int(at) + 61, n_pixels)) for at in (yi, xi))
        yy, xx = np.mgrid[rows, columns]
        light[rows, columns] += np.exp(-np.hypot(xx - xi, yy - yi) / 4)
    for i, name in enumerate(MER_BANDS.values()):
        pixels = 0.3 * (i + 1) * light + rng.normal(0, 0.01, light.shape)
        pixels = (10 ** (0.4 * (zero_point_ab_mag - 24.6)) * pixels).astype(np.float32)
        hdu = fits.PrimaryHDU(pixels, header(n_pixels, 10.0, dec, zero_point_ab_mag))
        hdu.writeto(
            folder / f"EUC_MER_BGSUB-MOSAIC-{name}_TILE{tile}-ABC123_20260101T000000.000000Z_00.00.fits",
            overwrite=True,
            checksum=True,
        )
    ids = -(tile_number * 1_000_000 + np.arange(n_objects, dtype=np.int64))
    centre = (n_pixels - 1) / 2
    columns = [
        fits.Column("OBJECT_ID", "K", array=ids),
        fits.Column("RIGHT_ASCENSION", "D", array=10.0 - (x - centre) * PIXEL_SCALE_DEG / np.cos(np.radians(dec))),
        fits.Column("DECLINATION", "D", array=dec + (y - centre) * PIXEL_SCALE_DEG),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(
        folder / f"EUC_MER_FINAL-CAT_TILE{tile}-ABC123_20260101T000000.000000Z_00.00.fits", overwrite=True
    )
    return ids


def write_tiles(folder, n_tiles, n_objects, **kwargs):
    """Write `n_tiles` tiles of `n_objects` objects each; return all object ids."""
    return np.concatenate([write_tile(folder, i + 1, n_objects, **kwargs) for i in range(n_tiles)])
