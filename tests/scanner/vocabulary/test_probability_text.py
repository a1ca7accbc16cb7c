import numpy as np
import pytest

from scanner.vocabulary.probability_text import probability_text


@pytest.mark.parametrize(
    ("p", "decimals", "text"),
    [
        (0.25, 3, "0.250"),
        (0.0012345, 3, "0.0012"),
        (2.5e-5, 4, "2.5e-05"),
        (0.0, 3, "0"),
        (0.99949, 3, "0.999"),
        (0.9996, 3, "> 0.999"),
        (0.9996, 4, "0.9996"),
        (0.99998, 4, "> 0.9999"),
        (np.float32(1 - 2**-24), 4, "> 0.9999"),
        (1.0, 3, "> 0.999"),
    ],
)
def test_a_probability_never_prints_as_one(p, decimals, text):
    assert probability_text(p, decimals) == text
