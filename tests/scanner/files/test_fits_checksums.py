import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scanner.files.fits_checksums import WordSum, word_sum


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
