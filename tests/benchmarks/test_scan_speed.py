from types import SimpleNamespace

import pytest

from tests.benchmarks.scan_speed import _against_the_limit
from tests.benchmarks.sizes import FLAGSHIP, SEVEN

RATES = {
    "limit_one_process_per_s": [10.0, 12.0],
    "limit_process_a_core_per_s": [8.0, 16.0],
    "tiles_per_s": [5.0, 4.0],
    "shards_per_s": [10.0, 8.0],
    "tiles_one_actor_per_s": [3.5, 4.5],
    "tiles_alone_per_s": [2.5, 4.0],
}
FLOAT32 = {"limit_float32_one_process_per_s": [4.0, 5.0], "limit_float32_process_a_core_per_s": [6.0, 4.0]}


def test_a_scan_is_compared_with_the_larger_limit_per_round():
    found = _against_the_limit(dict(RATES), SimpleNamespace(name=FLAGSHIP))

    assert found["tiles_over_limit_flagship"] == [0.5, 0.25]
    assert found["shards_over_limit_flagship"] == [1, 0.5]
    assert found["limit_float32_per_s_flagship"] == found["limit_per_s_flagship"] == [8, 16]
    assert found["actors_over_one_alone_flagship"] == [2, 1]
    assert "tiles_exact_over_limit_float32_flagship" not in found


@pytest.mark.parametrize(("float32", "expected"), [(FLOAT32, [0.5, 0.6]), ({}, [0.3, 0.1875])])
def test_a_float32_scan_is_compared_with_the_float32_limit(float32, expected):
    found = _against_the_limit(RATES | float32 | {"tiles_exact_per_s": [3.0, 3.0]}, SimpleNamespace(name=SEVEN))

    assert found["tiles_exact_over_limit_float32_seven"] == expected
    assert found["tiles_over_limit_seven"] == [0.5, 0.25]
