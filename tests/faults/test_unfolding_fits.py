"""FITS files that would take gigabytes once they are unpacked, parsed or kept are refused in less than 1.5 GB of memory."""

import io
import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from scanner.files import word_loop
from scanner.files.fits_image import FitsReader
from scanner.sources.tile_batches import tile_batches
from scanner.sources.tiles import Tile, TileCatalogue, TileError, read_tile_catalogue
from scanner.vocabulary.geometry import MER_10, Geometry
from scanner.vocabulary.rejections import Rejection
from tests.faults.harness.sandbox import sandboxed

PRELOADED = (word_loop,)
"""The reader imports these loops with its first mosaic; numba then tries to write beside them, which the sandbox forbids."""
BLOCK = 2**26
ONE_BAND = Geometry("one band", {"VIS": MER_10.grids["VIS"]})
TWO_BANDS = Geometry("two bands", {"VIS": MER_10.grids["VIS"], "Y": MER_10.grids["Y"]})
CELESTIAL = {"CTYPE1": "'RA---TAN'", "CTYPE2": "'DEC--TAN'", "CRVAL1": 10.0, "CRVAL2": 0.0}


def header(first="SIMPLE", **cards):
    first_value = "T" if first == "SIMPLE" else "'BINTABLE'" if "TFIELDS" in cards else "'IMAGE   '"
    values = {first: first_value, **cards}
    text = b"".join(f"{key:8}= {value!s:>20}".ljust(80).encode() for key, value in values.items()) + b"END".ljust(80)
    return text.ljust(-(-len(text) // 2880) * 2880)


def image(nx, ny, scale_deg=0.1 / 3600, turn=1, **cards):
    wcs = {**CELESTIAL, "CRPIX1": nx / 2, "CRPIX2": ny / 2, "CD1_1": -turn * scale_deg, "CD2_2": turn * scale_deg}
    return header(BITPIX=-32, NAXIS=2, NAXIS1=nx, NAXIS2=ny, **wcs, **cards)


def whole_blocks(n_bytes):
    return -(-n_bytes // 2880) * 2880


@cache
def zeros(n):
    """Return `n` zeros as deflate blocks that can be anywhere but at the end."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    return deflate.compress(bytes(n)) + deflate.flush(zlib.Z_FULL_FLUSH)


def picture():
    data = np.random.default_rng(0).normal(size=64 * 64).astype(">f4").tobytes()
    return image(64, 64) + data.ljust(whole_blocks(len(data)), b"\0")


def packed(start, n_zeros, *, is_whole=False):
    """Return a gzip file of some bytes and `n_zeros` zeros, made quickly; its checksum is right if it `is_whole`."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    begin = deflate.compress(start) + deflate.flush(zlib.Z_FULL_FLUSH)
    blocks = [BLOCK] * (n_zeros // BLOCK) + [n_zeros % BLOCK]
    crc = zlib.crc32(start)
    for n in blocks if is_whole else ():
        crc = zlib.crc32(bytes(n), crc)
    trailer = struct.pack("<II", crc, (len(start) + n_zeros) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + begin + b"".join(map(zeros, blocks)) + b"\x03\0" + trailer


def compressed_image(tile):
    """Return a compressed image whose only tile is replaced by another one."""
    file = io.BytesIO()
    hdu = fits.CompImageHDU(np.eye(40, dtype=np.float32), compression_type="GZIP_1", tile_shape=(40, 40), quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    whole = file.getvalue()
    heap = int.from_bytes(whole[-2880:][:4], "big")
    head = whole[: 2880 * (len(whole) // 2880 - 1)]
    assert head.count(f"{heap:>20}".encode()) == 1
    head = head.replace(f"PCOUNT  = {heap:>20}".encode(), f"PCOUNT  = {len(tile):>20}".encode())
    data = struct.pack(">ii", len(tile), 0) + tile
    return head + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


COLUMNS = {
    "TTYPE1": "'OBJECT_ID'",
    "TFORM1": "'K'",
    "TTYPE2": "'RIGHT_ASCENSION'",
    "TFORM2": "'D'",
    "TTYPE3": "'DECLINATION'",
    "TFORM3": "'D'",
}


def table(n_rows, row_bytes=24, more="", **cards):
    columns = COLUMNS | ({"TTYPE4": "'MORE'", "TFORM4": more} if more else {})
    sizes = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": row_bytes, "NAXIS2": n_rows, "PCOUNT": 0, "GCOUNT": 1}
    return header(BITPIX=8, NAXIS=0) + header("XTENSION", **(sizes | {"TFIELDS": len(columns) // 2} | columns | cards))


EMPTY = header(BITPIX=8, NAXIS=0)
EXTENSION = header("XTENSION", BITPIX=8, NAXIS=0, PCOUNT=0, GCOUNT=1)
LONG = EXTENSION.rstrip()[:-3] + b"COMMENT".ljust(80) * (36 * 999) + b"END".ljust(80)
LONG = LONG.ljust(whole_blocks(len(LONG)))


ALONE = np.array([10.0]), np.array([0.0])
FAR_APART = np.array([10.0, 10.0, 10.0]), np.array([0.2, -0.2, 0.0])
SPEND = 10**8


def cutouts():
    rest = 2**29 - 2880 * 12
    largest = header("XTENSION", BITPIX=8, NAXIS=1, NAXIS1=rest, PCOUNT=0, GCOUNT=1)
    return {
        "huge axis": (header(BITPIX=-32, NAXIS=2, NAXIS1=2_000_000_000, NAXIS2=2) + bytes(2880), "too_large"),
        "huge axis, packed": (
            packed(header(BITPIX=-32, NAXIS=2, NAXIS1=2_000_000_000, NAXIS2=2), 10**7, is_whole=True),
            "too_large",
        ),
        "zeros": (packed(b"", 10**10), "too_large"),
        "image of zeros": (packed(image(2**14, 2**14), 10**10), "too_large"),
        "zeros behind an image": (packed(picture(), 10**10), "too_large"),
        "many HDUs": (EMPTY + EXTENSION * 1001, "too_large"),
        "many HDUs, packed": (packed(EMPTY + EXTENSION * 40_000, 0, is_whole=True), "too_large"),
        "long headers": (packed(EMPTY + LONG * 13, 0, is_whole=True), "too_large"),
        "no end": (packed(EMPTY.rstrip()[:-3] + b"COMMENT".ljust(80) * 36 * 2000, 0, is_whole=True), "fits_unreadable"),
        "a tile": (compressed_image(packed(b"", 10**10)), "fits_unreadable"),
        # These files are read one after another; a reader keeps the last one for the next row.
        **{f"largest file {i}": (packed(picture() + largest, whole_blocks(rest), is_whole=True), "read") for i in range(2)},
    }


def mosaics():
    return {
        "wide": ({"VIS": packed(image(2**30, 1), SPEND)}, ALONE, "too_large"),
        "wide and low": ({"VIS": packed(image(2**26, 16), SPEND)}, ALONE, "too_large"),
        "tiny pixels": ({"VIS": packed(image(2**15, 2**15, 1e-12), SPEND)}, ALONE, "no_pixel_scale"),
        "no pixels": ({"VIS": packed(image(2**15, 2**15, 1e-300), SPEND)}, ALONE, "no_pixel_scale"),
        "small pixels": ({"VIS": packed(image(2**15, 2**15, 0.0051 / 3600), SPEND)}, ALONE, "too_large"),
        "turned": (
            {"VIS": packed(image(20_000, 20_000), 1_600_000_000), "Y": packed(image(20_000, 20_000, turn=-1), 1_600_000_000)},
            FAR_APART,
            "too_large",
        ),
        "one tile": (
            {
                "VIS": packed(
                    EMPTY
                    + header(
                        "XTENSION",
                        BITPIX=8,
                        NAXIS=2,
                        NAXIS1=8,
                        NAXIS2=1,
                        PCOUNT=0,
                        GCOUNT=1,
                        TFIELDS=1,
                        TTYPE1="'COMPRESSED_DATA'",
                        TFORM1="'1PB'",
                        ZIMAGE="T",
                        ZBITPIX=-32,
                        ZNAXIS=2,
                        ZNAXIS1=20_000,
                        ZNAXIS2=20_000,
                        ZTILE1=20_000,
                        ZTILE2=20_000,
                        ZCMPTYPE="'GZIP_1'",
                        **CELESTIAL,
                        CD1_1=-2e-5,
                        CD2_2=2e-5,
                    ),
                    SPEND,
                )
            },
            ALONE,
            "too_large",
        ),
        "long headers": ({"VIS": packed(EMPTY + LONG * 13, 0, is_whole=True)}, ALONE, "too_large"),
        "many HDUs": ({"VIS": EMPTY + EXTENSION * 1001}, ALONE, "too_large"),
    }


def catalogues():
    return {
        "many rows": (packed(table(2**23), SPEND), "must have at most 4194304 rows"),
        "long rows": (
            packed(table(3, 2**31, "'2147483624B'"), SPEND),
            "must have at most 4194304 rows of 1048576 bytes, got 3 of 2147483648",
        ),
        "largest": (packed(table(2**22), whole_blocks(24 * 2**22), is_whole=True), "read"),
        "wide": (packed(table(4000, 2**17, f"'{2**17 - 24}B'"), whole_blocks(4000 * 2**17), is_whole=True), "read"),
        "long headers": (packed(EMPTY + LONG * 13, 0, is_whole=True), "more than 33554432 bytes of headers"),
        "many HDUs": (EMPTY + EXTENSION * 1001, "more than 1000 HDUs"),
    }


def endless():
    return {
        "mosaic": ({"VIS": packed(picture(), 10**10)}, ALONE, "too_large"),
        "catalogue": (packed(table(0), 10**10), "more than 8589934592 bytes when unpacked"),
    }


def read_all(folder):
    """Return the outcome of each file; runs in the sandbox, with one reader for all cutouts, as for a manifest."""
    tempfile.tempdir = folder
    reader, said = FitsReader(), {}
    for path in sorted(Path(folder).glob("*.*")):
        kind, name = path.suffix, path.stem
        try:
            if kind == ".cutout":
                reader.read_band(str(path), 0.1)
            elif kind == ".catalogue":
                read_tile_catalogue(str(path))
            else:
                read_mosaics(path)
        except (Rejection, TileError) as error:
            said[f"{name}{kind}"] = str(error)
        else:
            said[f"{name}{kind}"] = "read"
    return said


def read_mosaics(path):
    bands = {band.name: str(band) for band in path.iterdir() if band.suffix != ".npy"}
    ra, dec = np.load(path / "sources.npy")
    catalogue = TileCatalogue(np.arange(len(ra)), ra, dec)
    for _ in tile_batches(Tile("1", bands, ""), catalogue, ONE_BAND if len(bands) == 1 else TWO_BANDS, 8):
        pass


def write_mosaics(folder, name, bands, sources):
    path = folder / f"{name}.mosaics"
    path.mkdir()
    np.save(path / "sources.npy", np.array(sources))
    for band, data in bands.items():
        (path / band).write_bytes(data)


@pytest.mark.faults
@pytest.mark.fault(28)
def test_files_that_unpack_without_end_are_refused(tmp_path, measured):
    expected = {}
    for kind, files in (("cutout", cutouts()), ("catalogue", catalogues())):
        for name, (data, says) in files.items():
            (tmp_path / f"{name}.{kind}").write_bytes(data)
            expected[f"{name}.{kind}"] = says
    for name, (bands, sources, says) in mosaics().items():
        write_mosaics(tmp_path, name, bands, sources)
        expected[f"{name}.mosaics"] = says
    said = sandboxed(__name__, "read_all", tmp_path)
    assert said.keys() == expected.keys()
    assert {name: text for name, text in said.items() if expected[name] not in text} == {}
    measured(runs=len(said), note="FITS headers, archives and tiles that unpack to 10 GB or claim more: below 1.5 GB")


@pytest.mark.faults
@pytest.mark.fault(28)
def test_endless_archives_are_refused_at_the_limit(tmp_path, measured):
    bombs = endless()
    (tmp_path / "x.catalogue").write_bytes(bombs["catalogue"][0])
    write_mosaics(tmp_path, "x", *bombs["mosaic"][:2])
    said = sandboxed(__name__, "read_all", tmp_path)
    assert bombs["catalogue"][1] in said["x.catalogue"]
    assert bombs["mosaic"][2] in said["x.mosaics"]
    measured(runs=2)
