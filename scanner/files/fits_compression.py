"""Tile-compressed images: checks before astropy unpacks them, because its decoders trust the file's sizes and offsets.

HCOMPRESS_1 and PLIO_1 are not read: a flipped byte in their streams has corrupted the memory of the process. Euclid, HST,
JWST and the sky surveys of this century do not use them; files use RICE_1 (fpack's own) and gzip.
"""

import contextlib
import importlib
import zlib
from typing import Any

import astropy
from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from scanner.vocabulary.rejections import RejectCode, Rejection

MAX_TILE_BYTES = 2**28
"""Largest size of an unpacked gzip tile, in bytes: it has no more pixels than a mosaic keeps in memory."""
_COMPRESSIONS = ("RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS")
_PARAMETERS = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
"""Allowed values of the parameters of RICE_1 (FITS Standard 4.0, section 10.4.1)."""
_MAX_DITHER_SEED = 10_000
_CODECS = ("astropy.io.fits.hdu.compressed._codecs", "astropy.io.fits._tiled_compression.codecs")
"""Private modules that hold astropy's decoders: from version 7 on, and before."""


def check_compression(label: str, header: fits.Header) -> None:
    """Raise FITS_UNREADABLE if the header has compression settings that are not safe to decode."""
    try:
        _check_cards(label, header)
    except (VerifyError, KeyError, TypeError) as error:
        raise _unreadable(label, f"its compression: {error}") from error


def compressed_image(opened: fits.HDUList, index: int, shape: tuple[int, ...]) -> fits.CompImageHDU:
    """Return the image as astropy opened it, still packed; raise ValueError if it is not the image that was checked."""
    # From now on, astropy in this process unpacks with a limit: its own function has none.
    _DECODERS["gzip_decompress"] = unpacked_tile
    image = opened[index]
    if not isinstance(image, fits.CompImageHDU) or image.shape != shape:
        raise ValueError(f"astropy finds in HDU {index} no compressed image of {shape} pixels")
    return image


def not_decompressed(label: str, error: Exception) -> Rejection:
    """Return the rejection of a compressed image with damaged tiles."""
    return Rejection(RejectCode.FITS_UNREADABLE, f"{label}: cannot be decompressed ({type(error).__name__})")


def unpacked_tile(packed: bytes) -> bytes:
    """Return the contents of a gzip stream.

    Raises:
        ValueError: the stream is damaged, is cut short, or unpacks to more than `MAX_TILE_BYTES`.
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


def _decoders() -> dict[str, Any]:
    """Return the names in astropy's module of decoders; raise ImportError if `gzip_decompress` is not among them."""
    for name in _CODECS:
        with contextlib.suppress(ModuleNotFoundError):
            names = vars(importlib.import_module(name))
            if "gzip_decompress" in names:
                return names
    raise ImportError(
        f"astropy {astropy.__version__} has no gzip_decompress in {' or '.join(_CODECS)}: lensscan cannot limit the size of "
        "compressed images; install another version of astropy"
    )


_DECODERS = _decoders()


def _check_cards(label: str, header: fits.Header) -> None:
    kind = str(header.get("ZCMPTYPE", "")).strip().upper()
    if kind not in _COMPRESSIONS:
        raise _unreadable(label, f"compressed with {kind[:20] or 'nothing'}, must be one of {', '.join(_COMPRESSIONS)}")
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
