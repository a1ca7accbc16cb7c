import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.lens_curve import LensCurve

CURVE = LensCurve(at=(-2.0, 0.0, 1.0), becomes=(-3.0, 0.5, 1.0), slopes=(0.25, 4.0))


def test_a_curve_by_hand():
    found = CURVE.calibrated(np.array([-6.0, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0]))
    # -3 - 4 / 4; the knot; half-way from -3 to 0.5; the knot; half-way to 1; the knot; 1 + 2 * 4.
    assert found.tolist() == [-4.0, -3.0, -1.25, 0.5, 0.75, 1.0, 9.0]


def test_one_knot_bends_a_line():
    assert LensCurve(at=(1.0,), becomes=(2.0,), slopes=(0.5, 3.0)).calibrated(np.array([-1.0, 1.0, 2.0])).tolist() == [1, 2, 5]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"at": (0.0, 0.0, 1.0)}, "at must ascend"),
        ({"becomes": (-3.0, 0.5, 0.4)}, "becomes must ascend"),
        ({"becomes": (0.0,)}, "becomes must hold 3 numbers, one for each knot, got 1"),
        ({"at": (), "becomes": ()}, "at least 1 item"),
        ({"slopes": (0.0, 1.0)}, "greater than 0"),
        ({"slopes": (1.0, 0.0)}, "greater than 0"),
        ({"slopes": (1.0,)}, "required"),
        ({"at": (-2.0, 0.0, float("inf"))}, "finite"),
        ({"more": 1}, "not permitted"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_curve_that_does_not_rise_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        LensCurve(**{**CURVE.model_dump(), **changes})
