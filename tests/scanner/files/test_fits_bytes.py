"""Files that are missing, too large, or packed: what the reader of bytes gives or refuses."""

import gzip
import os

import pytest

import scanner.files.fits_bytes as module
import scanner.files.fits_image as images
from infra.store.storage import StorageError
from scanner.files.fits_bytes import ByteSource, gunzipped
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import code, rejection


@pytest.mark.parametrize("sizes", [[10], [1, 0, 2, 7], [3, 3, 4], []])
def test_a_source_yields_the_bytes_however_they_arrive(sizes):
    data, blocks = bytes(range(sum(sizes))), []
    for size in sizes:
        blocks.append(data[sum(map(len, blocks)) :][:size])
    source = ByteSource(iter(blocks), len(data))
    assert source.read(4) == data[:4]
    assert source.position == min(4, len(data))
    assert b"".join(source.pieces(100)) == data[4:]
    assert (source.read(1), bytes(source.take(1)), source.position) == (b"", b"", len(data))


@pytest.mark.fault(28)
def test_archives_are_unpacked_in_small_pieces_up_to_a_limit():
    data = bytes(3 * 2**20 + 5)
    pieces = list(gunzipped("x", [gzip.compress(data)], len(data)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 2**20
    with pytest.raises(Rejection, match="too_large: x: more than 3145732 bytes when unpacked"):
        list(gunzipped("x", [gzip.compress(data)], len(data) - 1))
    with pytest.raises(Rejection, match="fits_truncated: x: the gzip stream ends early"):
        list(gunzipped("x", [gzip.compress(data)[:-1]], len(data)))


@pytest.mark.parametrize(
    "after",
    [b"", bytes(40), b"\x1f", b"ab" + gzip.compress(b"cd")],
    ids=["nothing", "zeros", "half the magic", "no member"],
)
def test_all_members_of_an_archive_are_unpacked(after):
    data = bytes(range(256)) * 9
    packed = b"".join(gzip.compress(part) for part in (data[:1000], b"", data[1000:])) + after
    for size in (1, 2, 7, len(packed)):
        blocks = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert b"".join(gunzipped("x", blocks, len(data))) == data


@pytest.mark.fault(28)
def test_members_of_an_archive_share_one_limit():
    packed = gzip.compress(bytes(100)) + gzip.compress(bytes(100))
    with pytest.raises(Rejection, match="too_large: x: more than 199 bytes when unpacked"):
        list(gunzipped("x", [packed], 199))
    with pytest.raises(Rejection, match="fits_truncated: x: the gzip stream ends early"):
        list(gunzipped("x", [packed[:-1]], 200))
    with pytest.raises(Rejection, match="fits_unreadable: x: damaged gzip stream"):
        list(gunzipped("x", [gzip.compress(bytes(100)) + b"\x1f\x8bxxxxxxxx"], 200))


@pytest.mark.fault(28)
def test_a_large_file_is_refused_without_reading(tmp_path, monkeypatch):
    path = tmp_path / "x.fits"
    path.touch()
    os.truncate(path, images.MAX_FILE_BYTES + 1)  # sparse
    assert code(path) is RejectCode.TOO_LARGE
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100_000)
    (tmp_path / "bomb.fits.gz").write_bytes(gzip.compress(bytes(1_000_000)))
    assert code(tmp_path / "bomb.fits.gz") is RejectCode.TOO_LARGE


@pytest.mark.parametrize("name", ["none.fits", "none/none.fits", "", "a\0b.fits", "."])
def test_a_missing_file_is_reported_as_missing(tmp_path, name):
    assert code(tmp_path / name if name else "") is RejectCode.MISSING_FILE


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), TimeoutError(), StorageError("s3://b/k.fits: down")]
)
def test_a_failing_store_gives_an_io_error(monkeypatch, error):
    def fail(uri):
        raise error

    monkeypatch.setattr(module, "info", fail)
    refused = rejection("s3://b/k.fits#VIS")
    assert refused.code is RejectCode.IO_ERROR
    assert refused.detail.startswith("k.fits: ")
    assert len(refused.detail) > len("k.fits: ")
