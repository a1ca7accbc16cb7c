"""Headers that are damaged, cut or impossible are rejected; whole ones are found where astropy finds them."""

import io

import numpy as np
import pytest
from astropy.io import fits

from scanner.files.fits_bytes import ByteSource
from scanner.files.fits_hdus import BLOCK, MAX_HEADER_BLOCKS, HduReader
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import code, image


@pytest.mark.fault(22)
def test_a_file_cut_anywhere_is_never_read(tmp_path):
    """The reader rejects the file even if the cut is in the padding, or after the requested extension."""
    whole = tmp_path / "whole.fits"
    fits.HDUList([fits.PrimaryHDU(image()), fits.ImageHDU(image(seed=1), name="H")]).writeto(whole)
    data = whole.read_bytes()
    n = len(data)
    cuts = {1, 5, 80, 2879, 2880, 2881, n - 1, n - 80, n - 2880, n // 2 + 3, *(n * k // 10 for k in range(1, 10))}
    boundary = n // 2  # both HDUs are equally long: a cut here leaves a valid file with one HDU
    for cut in cuts - {boundary}:
        (tmp_path / "cut.fits").write_bytes(data[:cut])
        for extension in ("", "#H"):
            assert code(f"{tmp_path}/cut.fits{extension}") is RejectCode.FITS_TRUNCATED, cut
    (tmp_path / "cut.fits").write_bytes(data[:boundary])
    assert code(f"{tmp_path}/cut.fits#H") is RejectCode.MISSING_EXTENSION


@pytest.mark.fault(29)
@pytest.mark.parametrize("content", [b"", b"<html><body>404</body></html>", b"\0" * 5760, b"SIMPLE  =  T".ljust(2880)])
def test_a_file_that_is_not_fits_is_rejected(tmp_path, content):
    (tmp_path / "x.fits").write_bytes(content)
    assert code(tmp_path / "x.fits") in {RejectCode.FITS_UNREADABLE, RejectCode.FITS_TRUNCATED}
    if not content.startswith(b"SIMPLE"):
        assert code(tmp_path / "x.fits") is RejectCode.FITS_UNREADABLE


def cards(**values):
    return b"".join(f"{key:8}= {value:>20}".ljust(80).encode() for key, value in values.items()) + b"END".ljust(80)


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 2_000_000_000, "NAXIS2": 2_000_000_000}, RejectCode.TOO_LARGE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4097, "NAXIS2": 4096}, RejectCode.TOO_LARGE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": -4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": 13, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": "'a'", "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4, "BSCALE": "'a'"}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4, "PCOUNT": -9}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 1000}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 40, "NAXIS2": 40, "GCOUNT": 0}, RejectCode.FITS_UNREADABLE),
        ({"BITPIX": -32, "NAXIS": 2, "NAXIS1": 0, "NAXIS2": 4}, RejectCode.WRONG_SHAPE),
    ],
)
def test_impossible_headers_are_rejected_before_anything_is_allocated(tmp_path, header, expected):
    (tmp_path / "x.fits").write_bytes(cards(SIMPLE="T", **header).ljust(2880) + bytes(2880))
    assert code(tmp_path / "x.fits") is expected


@pytest.mark.fault(28)
def test_a_header_without_end_card_is_rejected(tmp_path):
    (tmp_path / "x.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880 * 1100))
    assert code(tmp_path / "x.fits") is RejectCode.FITS_UNREADABLE


def whole_file():
    sink = io.BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(700))], name="T")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image(40), name="SCI"), table]).writeto(sink)
    return sink.getvalue()


def outcome(data, block_bytes, n_bytes):
    """Return the offsets of the HDUs that a reader of these bytes finds, and the rejection that ends the reading, if any."""
    blocks = (data[at : at + block_bytes] for at in range(0, len(data), block_bytes))
    reader = HduReader("x.fits", ByteSource(blocks, n_bytes), 2**22)
    try:
        while reader.next_hdu() is not None:
            pass
    except Rejection as rejection:
        return [(hdu.start, hdu.data_start, hdu.end) for hdu in reader.hdus], str(rejection)
    return [(hdu.start, hdu.data_start, hdu.end) for hdu in reader.hdus], ""


def test_hdus_lie_where_astropy_finds_them():
    data = whole_file()
    with fits.open(io.BytesIO(data)) as hdus:
        places = [hdu.fileinfo() for hdu in hdus]
    expected = [(place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"]) for place in places]
    assert outcome(data, len(data), len(data)) == (expected, "")
    assert outcome(data + b"special records".ljust(BLOCK), 1000, None) == (expected, "")


@pytest.mark.fault(22)
@pytest.mark.parametrize("cut", [1, 2000, 2881, 8000, 9000, 12_000, 15_500, -1, -2880])
def test_cuts_are_found_alike_in_memory_and_in_streams(cut):
    data = whole_file()[:cut]
    hdus, rejection = outcome(data, len(data), len(data))
    assert rejection.startswith("fits_truncated: x.fits: ")
    for block_bytes in (40, 2880, 10_000):
        assert outcome(data, block_bytes, len(data)) == (hdus, rejection)
        assert outcome(data, block_bytes, None) == (hdus, rejection)


@pytest.mark.fault(28)
def test_a_header_has_at_most_a_thousand_blocks():
    first = cards(SIMPLE="T", BITPIX=8, NAXIS=0)[:-80]
    longest = first.ljust(MAX_HEADER_BLOCKS * BLOCK - 80) + b"END".ljust(80)
    assert outcome(longest, 7 * BLOCK, len(longest)) == ([(0, len(longest), len(longest))], "")
    for data, says in {
        b" " * BLOCK + longest[BLOCK:]: "fits_unreadable: x.fits: 2880000 bytes that are not a FITS file",
        first.ljust(MAX_HEADER_BLOCKS * BLOCK): "fits_truncated: x.fits: 2880000 bytes, the file ends in its first header",
        first.ljust(MAX_HEADER_BLOCKS * BLOCK + 1): "fits_unreadable: x.fits: the header of HDU 0 has no END card",
        first.ljust(len(longest)) + b"END".ljust(BLOCK): "fits_unreadable: x.fits: the header of HDU 0 has no END card",
    }.items():
        assert outcome(data, BLOCK, len(data)) == ([], says)


@pytest.mark.fault(28)
def test_data_beyond_the_largest_size_are_refused_at_the_header():
    header = cards(SIMPLE="T", BITPIX=8, NAXIS=1, NAXIS1=2**22).ljust(BLOCK)
    assert outcome(header, BLOCK, None)[1] == "too_large: x.fits: more than 4194304 bytes when unpacked"
    assert outcome(header, BLOCK, BLOCK)[1].startswith("fits_truncated: x.fits: HDU 0 should end at byte 4199040")
