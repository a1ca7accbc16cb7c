import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.files.fits_checksums import LOOP_BYTES, WordSum, word_sum


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_sums_do_not_depend_on_how_bytes_are_split(data, cuts):
    whole = data[: len(data) // 4 * 4]
    expected = sum(np.frombuffer(whole, ">u4").tolist())
    while expected >> 32:
        expected = (expected & 0xFFFFFFFF) + (expected >> 32)
    total = WordSum()
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        total.add(memoryview(data)[start:stop])
    assert total.value == expected
    assert word_sum(whole) == expected


def test_large_sums_add_their_carry_to_the_low_bits():
    total = WordSum()
    for _ in range(3):
        total.add(b"\xff" * 4000)
    assert total.value == 0xFFFFFFFF


def test_long_pieces_sum_as_short_ones_do():
    data = np.random.default_rng(5).integers(0, 256, 2 * LOOP_BYTES + 4, np.uint8).tobytes()
    pieces = WordSum()
    for start in range(0, len(data), LOOP_BYTES // 3):
        pieces.add(data[start : start + LOOP_BYTES // 3])
    assert word_sum(data) == pieces.value


@pytest.mark.parametrize("n_bytes", [400, LOOP_BYTES, LOOP_BYTES + 4])
def test_floats_are_summed_and_written_in_native_order(n_bytes):
    stored = np.random.default_rng(6).integers(0, 256, n_bytes, np.uint8).tobytes()
    out, total = np.empty(n_bytes // 4, np.float32), WordSum()
    total.add(b"abcd")
    total.add_floats(memoryview(stored), out)
    assert out.astype(">f4").tobytes() == stored
    assert total.value == word_sum(b"abcd" + stored)


def test_floats_must_begin_with_a_word_and_fill_the_output():
    total = WordSum()
    with pytest.raises(ValueError, match="8 bytes after 0 of a broken word do not fill 12 bytes"):
        total.add_floats(memoryview(bytes(8)), np.empty(3, np.float32))
    total.add(b"ab")
    with pytest.raises(ValueError, match="8 bytes after 2 of a broken word do not fill 8 bytes"):
        total.add_floats(memoryview(bytes(8)), np.empty(2, np.float32))


def test_numba_is_loaded_for_long_pieces_only():
    code = (
        "import sys; from scanner.files.fits_checksums import LOOP_BYTES, word_sum\n"
        "word_sum(b'abcd' * 9); print('numba' in sys.modules)\n"
        "word_sum(bytes(LOOP_BYTES)); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.split() == ["False", "True"]
