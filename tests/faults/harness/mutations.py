"""Make small FITS files of every kind that is read, and damage them at random."""

import gzip
import io

import numpy as np
from astropy.io import fits

from tests.tiles import PIXEL_SCALE_DEG, header

N = 60
CENTRE = 10.0, -45.0
"""RA and declination of the centre, in degrees."""
HARMLESS = ("T", "F", "0", "1", "-1", "2", "3", "8", "16", "60", "999")
HARMFUL = (
    "2147483647",
    "-2147483648",
    "2000000000",
    "9223372036854775808",
    "1E400",
    "-1E-400",
    "NaN",
    "INF",
    "'A'",
    "''",
    "'1PB(9)'",
)
VALUES = (*HARMLESS, *HARMFUL)


def images():
    """Return the bytes of files with one image each, by name."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(1, 0.1, (N, N)).astype(np.float32)
    wcs = header(N, *CENTRE)
    stored = fits.PrimaryHDU(rng.integers(-99, 99, (N, N), np.int16), wcs)
    stored.header["BLANK"] = -99
    hdus = {
        "plain": [fits.PrimaryHDU(pixels, wcs)],
        "sums": [fits.PrimaryHDU(pixels, wcs)],
        "integers": [stored],
        "second": [fits.PrimaryHDU(), fits.ImageHDU(np.zeros(9)), fits.ImageHDU(pixels, wcs, "SCI"), fits.ImageHDU(pixels)],
    }
    for kind in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
        data = np.abs(stored.data) if kind == "PLIO_1" else pixels
        tile = (20, 30) if kind == "GZIP_2" else None
        hdus[kind.lower()] = [fits.PrimaryHDU(), fits.CompImageHDU(data, wcs, compression_type=kind, tile_shape=tile)]
    files = {name: _bytes(parts, checksum=name == "sums") for name, parts in hdus.items()}
    return files | {
        "packed": gzip.compress(files["plain"], 1, mtime=0),
        "packed rice": gzip.compress(files["rice_1"], 1, mtime=0),
    }


def catalogues():
    """Return the bytes of files with one table of sources each, by name."""
    n = 6
    rng = np.random.default_rng(1)
    columns = [
        fits.Column("FLUX", "3E", array=np.zeros((n, 3))),
        fits.Column("OBJECT_ID", "K", array=np.arange(n) + 2**53 + 1),
        fits.Column("NAME", "8A", array=["source"] * n),
        fits.Column("LIST", "PE()", array=np.array([np.zeros(i) for i in range(n)], dtype=object)),
        fits.Column("RIGHT_ASCENSION", "D", array=CENTRE[0] + rng.normal(0, 10 * PIXEL_SCALE_DEG, n)),
        fits.Column("DECLINATION", "D", array=CENTRE[1] + rng.normal(0, 10 * PIXEL_SCALE_DEG, n)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    return {
        "table": _bytes([fits.PrimaryHDU(), table]),
        "packed table": gzip.compress(_bytes([fits.PrimaryHDU(), table]), 1, mtime=0),
    }


def mutated(data, rng):
    """Return the bytes after one to three pieces of damage; gzipped bytes are damaged inside, outside, or both."""
    is_packed = data.startswith(b"\x1f\x8b")
    if is_packed and rng.random() < 0.7:
        data = gzip.compress(mutated(gzip.decompress(data), rng), 1, mtime=0)
        if rng.random() < 0.8:
            return data
    for _ in range(rng.integers(1, 4)):
        damage = _CHANCE[rng.choice(len(_CHANCE), p=_SHARES)]
        data = damage(data, rng)
    return data


def _bytes(hdus, checksum=False):
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file, checksum=checksum)
    return file.getvalue()


def _flip_bytes(data, rng):
    out = bytearray(data)
    for at in rng.integers(0, max(1, len(out)), rng.integers(1, 20)):
        out[at : at + 1] = bytes([rng.integers(256)])
    return bytes(out)


def _flip_bit(data, rng):
    out = bytearray(data)
    at = rng.integers(0, max(1, len(out)))
    out[at : at + 1] = bytes([out[at] ^ 1 << rng.integers(8)]) if out else b""
    return bytes(out)


def _edit_card(data, rng):
    """Change the value of a header keyword, so that the header no longer describes the file."""
    places = [at for at in range(0, len(data) - 79, 80) if data[at + 8 : at + 10] == b"= " and data[at : at + 1].isalpha()]
    if not places:
        return data
    at = places[rng.integers(len(places))]
    value = VALUES[rng.integers(len(VALUES))]
    return data[: at + 10] + value.rjust(20).encode()[:70].ljust(70) + data[at + 80 :]


def _swap_cards(data, rng):
    first, second = sorted(80 * rng.integers(0, max(1, len(data) // 80), 2))
    return (
        data[:first] + data[second : second + 80] + data[first + 80 : second] + data[first : first + 80] + data[second + 80 :]
    )


def _cut(data, rng):
    return data[: rng.integers(0, len(data) + 1)]


def _insert(data, rng):
    at = rng.integers(0, len(data) + 1)
    return data[:at] + rng.bytes(rng.integers(1, 3000)) + data[at:]


def _remove(data, rng):
    at = rng.integers(0, len(data) + 1)
    return data[:at] + data[at + rng.integers(1, 3000) :]


def _zero(data, rng):
    at = rng.integers(0, len(data) + 1)
    hole = min(int(rng.integers(1, 4000)), len(data) - at)
    return data[:at] + bytes(hole) + data[at + hole :]


def _repeat(data, rng):
    at = 2880 * rng.integers(0, len(data) // 2880 + 1)
    return data[:at] + data[at : at + 2880] * 2 + data[at + 2880 :]


_CHANCE = (_edit_card, _flip_bytes, _flip_bit, _swap_cards, _cut, _insert, _remove, _zero, _repeat)
_SHARES = (0.45, 0.12, 0.08, 0.05, 0.06, 0.06, 0.06, 0.06, 0.06)
