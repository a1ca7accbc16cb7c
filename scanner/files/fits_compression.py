"""Tile-compressed images: what of them astropy may unpack. Its decoders trust what a file says, and write where it says.

HCOMPRESS_1 and PLIO_1 are not read: a flipped byte in their streams has corrupted the memory of the process. Neither do
Euclid, HST, JWST or the sky surveys of this century use them; RICE_1 (fpack's own) and gzip are what files have.
"""

import contextlib
import importlib
import zlib
from functools import cache

from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from scanner.vocabulary.rejections import RejectCode, Rejection

MAX_TILE_BYTES = 2**28
"""Of a gzipped tile once it is unpacked: no more pixels than are kept of a mosaic."""
_COMPRESSIONS = ("RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS")
_PARAMETERS = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
"""Of RICE_1 (FITS Standard 4.0, section 10.4.1)."""
_MAX_DITHER_SEED = 10_000
_CODECS = ("astropy.io.fits.hdu.compressed._codecs", "astropy.io.fits._tiled_compression.codecs")
"""Where astropy keeps them, from version 7 on and before."""


def check_compression(label: str, header: fits.Header) -> None:
    """Raise FITS_UNREADABLE if the header asks for what decoders cannot be trusted with."""
    try:
        _check_cards(label, header)
    except (VerifyError, KeyError, TypeError) as error:
        raise _unreadable(label, f"its compression: {error}") from error


def compressed_image(opened: fits.HDUList, index: int, shape: tuple[int, ...]) -> fits.CompImageHDU:
    """The image as astropy has it, before it is unpacked; ValueError if that is another than was checked."""
    limit_tiles()
    image = opened[index]
    if not isinstance(image, fits.CompImageHDU) or image.shape != shape:
        raise ValueError(f"HDU {index} is no compressed image of {shape} pixels to astropy")
    return image


def unpacked_tile(packed: bytes) -> bytes:
    """The contents of a gzip stream.

    Raises:
        ValueError: damaged, cut short, or more than `MAX_TILE_BYTES`.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(packed, MAX_TILE_BYTES)
    except zlib.error as error:
        raise ValueError(f"damaged gzip stream: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"more than {MAX_TILE_BYTES} bytes when unpacked")
    if not stream.eof:
        raise ValueError("the gzip stream ends early")
    return data


@cache
def limit_tiles() -> None:
    """Have astropy call `unpacked_tile` from now on, in this process: its own unpacks whatever a tile unfolds to."""
    for name in _CODECS:
        with contextlib.suppress(ImportError):
            vars(importlib.import_module(name))["gzip_decompress"] = unpacked_tile


def _check_cards(label: str, header: fits.Header) -> None:
    kind = str(header.get("ZCMPTYPE", "")).strip().upper()
    if kind not in _COMPRESSIONS:
        raise _unreadable(label, f"compressed by {kind[:20] or 'nothing'}, only {', '.join(_COMPRESSIONS)} are read")
    for i in range(1, header["ZNAXIS"] + 1):
        _check(label, header, f"ZTILE{i}", range(1, 2**31))
    _check(label, header, "ZDITHER0", range(_MAX_DITHER_SEED + 1))
    for key in header["ZNAME*"]:
        allowed = _PARAMETERS.get(str(header[key]).strip().upper())
        if allowed:
            _check(label, header, f"ZVAL{key[len('ZNAME') :]}", allowed)


def _check(label: str, header: fits.Header, key: str, allowed: range | tuple[int, ...]) -> None:
    value = header.get(key, allowed[0])
    if not isinstance(value, int) or value not in allowed:
        wanted = f"{allowed[0]}-{allowed[-1]}" if isinstance(allowed, range) else f"one of {allowed}"
        raise _unreadable(label, f"{key} must be {wanted}, got {value!r}")


def _unreadable(label: str, what: str) -> Rejection:
    return Rejection(RejectCode.FITS_UNREADABLE, f"{label}: {what}")
