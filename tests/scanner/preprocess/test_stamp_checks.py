import numpy as np
import pytest

from scanner.preprocess.stamp_checks import StampsError, check_finite, check_lengths, check_stamps
from scanner.vocabulary.geometry import CHALLENGE, MER_10

BANDS = ("VIS", "Y", "J", "H")
GOOD = {band: np.zeros((2, 100, 100), np.float32) for band in BANDS}


def with_vis(images):
    return {**GOOD, "VIS": images}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, ">f4"])
def test_real_numbers_of_the_right_shape_are_accepted(kind):
    check_stamps(with_vis(np.zeros((2, 100, 100), kind)), MER_10, BANDS)


def test_a_band_that_is_not_needed_may_be_absent():
    check_stamps({"VIS": GOOD["VIS"]}, MER_10, ("VIS",))


@pytest.mark.parametrize(
    ("stamps", "says"),
    [
        (
            with_vis(np.zeros((2, 200, 200))),
            r"^VIS must be \[n, 100, 100\] \(10 arcsec at 0\.1 arcsec a pixel\), got \[2, 200, 200\]$",
        ),
        (with_vis(np.zeros((100, 100))), r"got \[100, 100\]"),
        (with_vis(np.zeros((2, 100, 100), complex)), "VIS must be a NumPy array of real numbers, got complex128"),
        (with_vis(np.zeros((2, 100, 100), object)), "got object"),
        (with_vis(np.zeros((2, 100, 100), bool)), "got bool"),
        (with_vis([[[0.0] * 100] * 100] * 2), "got list"),
        (with_vis(np.zeros((3, 100, 100))), "the same number of objects, got VIS 3, Y 2, J 2, H 2"),
        ({**GOOD, "K": GOOD["H"]}, "there is no band K; the bands are VIS, Y, J, H"),
        ({band: GOOD[band] for band in ("VIS", "J")}, "images in Y, H are missing; the networks read VIS, Y, J, H"),
        (np.zeros((2, 4, 100, 100)), r"must map each band \(VIS, Y, J, H\) to an array, got ndarray"),
    ],
)
def test_others_are_refused_in_one_line(stamps, says):
    with pytest.raises(StampsError, match=says) as caught:
        check_stamps(stamps, MER_10, BANDS)
    assert "\n" not in str(caught.value)


def test_each_band_has_its_own_shape():
    stamps = {band: np.zeros((1, grid.n_pixels, grid.n_pixels)) for band, grid in CHALLENGE.grids.items()}
    check_stamps(stamps, CHALLENGE, BANDS)
    with pytest.raises(
        StampsError, match=r"Y must be \[n, 66, 66\] \(19\.8 arcsec at 0\.3 arcsec a pixel\), got \[1, 200, 200\]"
    ):
        check_stamps({**stamps, "Y": stamps["VIS"]}, CHALLENGE, BANDS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_the_object_with_bad_pixels_is_named(bad):
    images = np.zeros((3, 100, 100))
    check_finite({"VIS": images})
    images[1, 5, 6] = images[1, 7, 8] = bad
    with pytest.raises(StampsError, match="J of object 1: every pixel must be finite, got 2 that are NaN, infinite or masked"):
        check_finite({"VIS": np.zeros((3, 100, 100)), "J": images})


def test_lists_of_equal_length_pass():
    check_lengths({"VIS": [1, 2], "Y": (3, 4)})
