import pytest

from training.evaluation.exceeding import beyond


@pytest.mark.parametrize(
    ("value", "limit", "decimals", "text"),
    [
        (0.75, 0.7, 2, "0.75"),
        (0.7003, 0.7, 2, "0.7003"),
        (0.6996, 0.7, 2, "0.6996"),
        (0.1500000002, 0.15, 3, "0.1500000002"),
        (0.0004, 0, 2, "0.0004"),
        (94.96, 95, 1, "94.96"),
        (0.7 + 1e-16, 0.7, 2, "0.7000000000000001"),
    ],
)
def test_a_value_beyond_a_limit_looks_so(value, limit, decimals, text):
    assert beyond(value, limit, decimals) == text
