"""Four mosaics in every kind of file, sources all over them, and the outcomes that astropy gives."""

import gzip

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from scanner.files.fits_image import header_pixel_scale_arcsec
from scanner.sources.cutouts import Cutout, to_cutout
from scanner.sources.tiles import Tile, TileCatalogue
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.rejections import RejectCode, Rejection

BANDS = ("VIS", "Y", "J", "H")
NX, NY = 330, 470
EDGES = [(0.2, 0.4), (NX - 0.6, NY - 0.7), (-0.4, 200), (NX - 0.6, 260.5), (150, -0.4), (60.5, NY - 0.6), (12.0, NY - 20.0)]
OUTSIDE = [(-0.6, 100), (150, NY), (1e4, 1e4), (NX + 3, -7.0)]


def header(shift=(0.0, 0.0), turned=False, scale_arcsec=0.1):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = NX / 2 + 0.5 + shift[0], NY / 2 + 0.5 + shift[1]
    wcs.wcs.cd = scale_arcsec / 3600 * np.diag([1.0, -1.0] if turned else [-1.0, 1.0])
    return wcs.to_header()


def mosaic(seed):
    """Return noise with every defect of mosaics: masked, missing and dead regions, and huge numbers."""
    pixels = np.random.default_rng(seed).normal(1, 0.1, (NY, NX)).astype(np.float32)
    pixels[:120, :130] = 0
    pixels[200:300, 220:] = np.nan
    pixels[310:420, :110] = 3
    pixels[330, 250], pixels[20, 200], pixels[NY - 3, 3] = np.inf, np.nan, -1e31
    pixels[150, ::2] = 0
    return pixels


def positions(n=60, seed=1):
    """Return unsorted positions, some on whole and half pixels."""
    xs = np.random.default_rng(seed).uniform([0, 0], [NX - 0.6, NY - 0.6], (n, 2))
    xs[:8] = xs[:8].round()
    xs[8:16] = xs[8:16].round() - 0.5
    every = np.concatenate([xs, EDGES, OUTSIDE])
    return np.random.default_rng(seed).permutation(every)


def catalogue(xy, at=None):
    xy = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    ra, dec = WCS(at or header()).all_pix2world(xy[:, 0], xy[:, 1], 0) if len(xy) else ([], [])
    return TileCatalogue(np.arange(len(xy)), np.array(ra), np.array(dec))


def write(path, pixels, head, kind):
    if kind == "gz":
        fits.writeto(path, pixels, head, checksum=True)
        path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        return str(path.with_suffix(".gz"))
    if kind in {"plain", "no sums"}:
        fits.writeto(path, pixels, head, checksum=kind == "plain")
    elif kind == "double":
        fits.writeto(path, pixels.astype(">f8"), head, checksum=True)
    elif kind == "second":
        more = fits.ImageHDU(np.arange(7, dtype=np.uint8), name="MORE")
        image = fits.ImageHDU(pixels, head, name="SCI")
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros(5)), image, more]).writeto(path, checksum=True)
    elif kind == "scaled":
        with np.errstate(invalid="ignore"):
            stored = np.where(np.abs(pixels) < 1e6, pixels * 100, -32768).astype(np.int16)
        stored[~np.isfinite(pixels)] = -32768
        head = fits.Header({**head, "BLANK": -32768})
        fits.writeto(path, stored, head)
        with fits.open(path, mode="update", do_not_scale_image_data=True, checksum=True) as hdus:
            hdus[0].header["BSCALE"], hdus[0].header["BZERO"] = 0.25, 100.0
    else:
        name, tiles = COMPRESSED[kind]
        data = pixels if name != "HCOMPRESS_1" else np.nan_to_num(pixels)
        image = fits.CompImageHDU(data, head, compression_type=name, tile_shape=tiles)
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(path, checksum=True)
        if kind == "packed rice":
            path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes(), 1))
            return str(path.with_suffix(".gz"))
    return str(path)


COMPRESSED = {
    "rice": ("RICE_1", None),
    "packed rice": ("RICE_1", None),
    "gzip tiles": ("GZIP_2", (32, 50)),
    "one tile": ("GZIP_1", (NY, NX)),
}
KINDS = ["plain", "no sums", "gz", "double", "second", "scaled", *COMPRESSED]


def make_tile(folder, kind="plain", heads=None):
    uris = {}
    for i, band in enumerate(BANDS):
        uris[band] = write(folder / f"{band}.fits", mosaic(i), header() if heads is None else heads[band], kind)
    return Tile("1", uris, "")


def wholes(tile):
    """Return each mosaic as astropy reads it."""
    found = {}
    for band, uri in tile.mosaics.items():
        with fits.open(uri, memmap=False) as hdus:
            hdu = next(hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
            with np.errstate(over="ignore"):
                found[band] = np.asarray(hdu.data, np.float32), WCS(hdu.header), header_pixel_scale_arcsec(hdu.header, band)
    return found


def expected(tile, sources, geometry):
    """Return each source's outcome from the whole mosaics."""
    images = wholes(tile)
    rows = []
    for ra, dec in zip(sources.ra, sources.dec, strict=True):
        bands = {}
        for band, grid in geometry.grids.items():
            pixels, wcs, scale = images[band]
            x, y = wcs.all_world2pix(ra, dec, 0)
            if not (-0.5 <= x < NX - 0.5 and -0.5 <= y < NY - 0.5):
                rows.append(RejectCode.OUTSIDE_TILE)
                break
            # Positions on whole pixels, up to rounding, belong to the pixel below.
            at, side = (x - 1e-3, y - 1e-3), round(grid.side_arcsec / 0.1)
            seen = Cutout2D(pixels, at, side, mode="partial", fill_value=np.nan).data
            outside = Cutout2D(np.zeros((NY, NX)), at, side, mode="partial", fill_value=1).data == 1
            bands[band] = BandImage(seen, scale, outside if outside.any() else None)
        else:
            try:
                rows.append(to_cutout(bands, geometry))
            except Rejection as rejection:
                rows.append(rejection)
    return rows


def assert_same(row, other):
    if isinstance(other, RejectCode):
        assert row.code is other
    elif isinstance(other, Rejection):
        assert (row.code, row.detail) == (other.code, other.detail)
    else:
        assert row.notes == other.notes
        for band, stamp in other.stamps.items():
            assert row.stamps[band].tobytes() == stamp.tobytes()


def rows_of(batches, n):
    rows = [None] * n
    for batch in batches:
        for i, place in enumerate(batch.rows):
            assert rows[place] is None
            rows[place] = Cutout({band: stamps[i] for band, stamps in batch.stamps.items()}, batch.notes[i])
        for place, rejection in batch.rejected:
            assert rows[place] is None
            rows[place] = rejection
    assert None not in rows
    return rows
