import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scanner.files.byte_order import WordSum, float32_of


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_sums_do_not_depend_on_how_bytes_are_split(data, cuts):
    whole = data[: len(data) // 4 * 4]
    total = sum(np.frombuffer(whole, ">u4").tolist())
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    found = WordSum()
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        found.add(memoryview(data)[start:stop])
    assert found.value == total


def test_large_sums_add_their_carry_to_the_low_bits():
    found = WordSum()
    for _ in range(3):
        found.add(b"\xff" * 4000)
    assert found.value == 0xFFFFFFFF


def test_numbers_are_read_as_numpy_reads_them():
    values = np.array([1.5, -0.0, np.nan, np.inf, 1e-44, 3e38], ">f4")
    out = np.empty(6, np.float32)
    float32_of(values.tobytes(), out)
    assert out.tobytes() == values.astype(np.float32).tobytes()
