"""Numbers of any type, scale, byte order and unit are read correctly, or the row has a code."""

from fractions import Fraction

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.files.fits_image import header_pixel_scale_arcsec
from scanner.sources.cutouts import to_cutout
from scanner.sources.mosaics import Mosaic
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import read_band

N = 20
TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
SMALL = Geometry("small", {"VIS": Grid(N, 0.1)})


def header(bitpix, shape=(N, N), **cards):
    axes = {f"NAXIS{i + 1}": length for i, length in enumerate(shape[::-1])}
    values = {"SIMPLE": "T", "BITPIX": bitpix, "NAXIS": len(shape)} | axes | {"PIXSCALE": 0.1} | cards
    return b"".join(f"{key:8}= {value!s:>20}".ljust(80).encode() for key, value in values.items()) + b"END".ljust(80)


def write(path, stored, bitpix, **cards):
    head, data = header(bitpix, stored.shape, **cards), stored.tobytes()
    path.write_bytes(head.ljust(-(-len(head) // 2880) * 2880) + data.ljust(-(-len(data) // 2880) * 2880, b"\0"))
    return str(path)


def as_cutout(path):
    return read_band(path).pixels


def as_mosaic(path):
    mosaic = Mosaic(path, 2**20, 2**20)
    try:
        mosaic.keep(0, mosaic.shape[0])
        mosaic.finish()
        return mosaic.rows[: mosaic.shape[0]].copy()
    finally:
        mosaic.close()


def meant(stored, scale, zero, blank):
    """Return the value that the FITS standard defines, in exact arithmetic, as the nearest float32."""
    if stored == blank:
        return np.float32(np.nan)
    if not np.isfinite(stored):
        return np.float32(stored * scale)
    exact = Fraction(stored) * Fraction(scale) + Fraction(zero)
    limit = Fraction(float(np.finfo(np.float32).max))
    with np.errstate(over="ignore"):
        return np.float32(float(exact)) if abs(exact) < 2 * limit else np.float32(np.inf * (1 if exact > 0 else -1))


@st.composite
def images(draw):
    """Draw BITPIX, the stored numbers, and their scale, zero and blank value."""
    bitpix = draw(st.sampled_from(list(TYPES)))
    kind = np.dtype(TYPES[bitpix])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind.kind == "f":
        stored = (rng.normal(size=(N, N)) * 10.0 ** draw(st.integers(-20, 20))).astype(kind)
        stored[0, :4] = np.nan, np.inf, -np.inf, 0
    else:
        limits = np.iinfo(kind)
        stored = rng.integers(limits.min, limits.max, (N, N), np.dtype(kind.newbyteorder("=")), endpoint=True).astype(kind)
        stored[0, :4] = limits.min, limits.max, 1, limits.min + 7 if bitpix != 8 else 7
    unsigned = [2 ** (bitpix - 1)] if bitpix > 8 else []
    scale = draw(st.sampled_from([1, 1, 0.25, -2, 1e-3, 3e5]))
    zero = draw(st.sampled_from([0, 0, *unsigned, -128, 0.5, 1000]))
    blank = draw(st.sampled_from([None, 1, int(stored[3, 3]) if kind.kind != "f" else 5]))
    return bitpix, stored, scale, zero, blank if kind.kind != "f" else None


@pytest.mark.fault(26)
@pytest.mark.parametrize("read", [as_cutout, as_mosaic])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images())
def test_numbers_of_every_type_are_read_correctly(tmp_path, read, image):
    bitpix, stored, scale, zero, blank = image
    cards = {"BSCALE": scale, "BZERO": zero} | ({} if blank is None else {"BLANK": blank})
    path = write(
        tmp_path / "x.fits", stored, bitpix, **cards, CTYPE1="'RA---TAN'", CTYPE2="'DEC--TAN'", CD1_1=-3e-5, CD2_2=3e-5
    )
    found = read(path)
    assert found.dtype == np.dtype("=f4")
    assert found.shape == (N, N)
    expected = np.array([[meant(value, scale, zero, blank) for value in line] for line in stored.tolist()], np.float32)
    # Numbers are scaled in float64, which rounds where neither scale nor zero is a power of two.
    terms = np.abs(stored.astype(np.float64)) * abs(scale) + abs(zero)
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = np.spacing(np.abs(expected)) * ((scale, zero) != (1, 0)) + (
            0 if is_exact(bitpix, scale, zero) else terms * 2**-52
        )
        assert np.all((np.abs(found - expected) <= allowed) | (found == expected) | (np.isnan(found) & np.isnan(expected)))


def is_exact(bitpix, scale, zero):
    return scale == 1 and (bitpix < 64 or zero in {0, 2**63})


@pytest.mark.fault(26)
def test_small_unsigned_64_bit_numbers_are_exact(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (N, N)).astype(np.uint64)
    fits.writeto(tmp_path / "x.fits", values)
    np.testing.assert_array_equal(read_band(str(tmp_path / "x.fits"), 0.1).pixels, values)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values.astype(np.int32))]).writeto(tmp_path / "c.fits")
    np.testing.assert_array_equal(read_band(str(tmp_path / "c.fits"), 0.1).pixels, values)


@pytest.mark.fault(26)
@pytest.mark.parametrize("bitpix", [-32, -64])
def test_pixels_in_the_wrong_byte_order_are_rejected(tmp_path, bitpix):
    stored = np.random.default_rng(0).normal(size=(N, N)).astype(TYPES[bitpix]).byteswap()
    with pytest.raises(Rejection) as caught:
        to_cutout({"VIS": read_band(write(tmp_path / "x.fits", stored, bitpix))}, SMALL)
    assert caught.value.code is RejectCode.NOT_FINITE


@pytest.mark.fault(26)
@pytest.mark.parametrize("shape", [(N * N,), (1, N, N), (2, N, N), (1, 1, N, N), (N, 0), ()])
def test_other_shapes_are_refused(tmp_path, shape):
    path = write(tmp_path / "x.fits", np.zeros(shape, ">f4"), -32)
    for read in (as_cutout, as_mosaic):
        with pytest.raises(Rejection) as caught:
            read(path)
        assert caught.value.code is RejectCode.WRONG_SHAPE


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "cards",
    [
        {"BSCALE": "'one'"},
        {"BZERO": "T'"},
        {"BITPIX": 12},
        {"BITPIX": -16},
        {"BITPIX": "'32'x"},
        {"BLANK": "'none'"},
    ],
)
def test_invalid_cards_are_refused(tmp_path, cards):
    path = tmp_path / "x.fits"
    text = header(-32, **cards)
    path.write_bytes(text.ljust(2880) + bytes(2880))
    for read in (as_cutout, as_mosaic):
        with pytest.raises(Rejection) as caught:
            read(str(path))
        assert caught.value.code is RejectCode.FITS_UNREADABLE


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("unit", "arcsec"), [("deg", 3600), ("arcmin", 60), ("arcsec", 1), ("", 3600), ("rad", None), ("m", None)]
)
def test_pixel_scales_are_converted_from_known_units_only(unit, arcsec):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": unit, "CUNIT2": unit, "CD1_1": -0.01, "CD2_2": 0.01}
    if arcsec is None:
        with pytest.raises(Rejection, match="no_pixel_scale"):
            header_pixel_scale_arcsec(fits.Header(cards), "x")
    else:
        assert header_pixel_scale_arcsec(fits.Header(cards), "x") == pytest.approx(0.01 * arcsec, rel=1e-12)
