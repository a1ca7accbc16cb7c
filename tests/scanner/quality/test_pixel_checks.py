"""Drifts of pixels: each fault fails its own check, and draws of one population pass."""

from itertools import pairwise

import numpy as np
import pytest

from scanner.quality.limits import QualityLimits
from scanner.quality.objects import column
from scanner.quality.pixel_checks import pixel_checks
from tests.scanner.quality.measured_nights import BANDS, N_OBJECTS, night


def failed(now, reference):
    return {(check.name, check.band) for check in pixel_checks(now, reference, BANDS, QualityLimits()) if not check.is_good}


def values(now, reference):
    return {(check.name, check.band): check.value for check in pixel_checks(now, reference, BANDS, QualityLimits())}


def replaced(found, quantity, band, numbers):
    return found.model_copy(update={"sample": {**found.sample, column(quantity, band): tuple(numbers)}})


def test_twenty_good_nights_pass():
    nights = [night(seed) for seed in range(21)]
    assert [failed(now, before) for before, now in pairwise(nights)] == [set()] * 20


@pytest.mark.parametrize("band", BANDS)
def test_a_zero_point_names_its_band_alone(band):
    assert failed(night(1, zero_points={band: 0.4}), night(0)) == {("zero_point", band)}
    assert failed(night(1, zero_points={band: -0.4}), night(0)) == {("zero_point", band)}
    assert failed(night(1, zero_points={band: 0.05}), night(0)) == set()


def test_a_common_zero_point_differs_from_that_of_a_band():
    assert failed(night(1, zero_points=dict.fromkeys(BANDS, 1.3)), night(0)) == {("common_zero_point", None)}


@pytest.mark.parametrize("ratio", [1.9, 0.4])
def test_a_width_fails_either_way(ratio):
    # Galaxies are wider than the PSF of VIS, so their widths follow it by less than its change.
    assert {("psf_width", "H"), ("psf_width", "J")} <= failed(night(1, psf_ratio=ratio), night(0))


def test_noise_and_level_of_the_sky():
    assert failed(night(1, noise_ratio=1.9), night(0)) == {("sky_noise", band) for band in BANDS}
    moved = night(1)
    levels = moved.sample[column("level_sigma", "J")]
    moved = replaced(moved, "level_sigma", "J", [value + 0.7 for value in levels])
    assert failed(moved, night(0)) == {("sky_level", "J")}


def test_stamps_without_noise_do_not_count():
    now = replaced(night(1), "noise_ujy", "J", [0.0] * 30 + [0.02] * (N_OBJECTS - 30))
    before = replaced(night(0), "noise_ujy", "J", [0.01] * N_OBJECTS)
    assert values(now, before)["sky_noise", "J"] == pytest.approx(2)


@pytest.mark.parametrize(("snr", "is_bright"), [(15.0, True), (14.999, False)])
def test_widths_and_magnitudes_count_from_an_snr_of_15(snr, is_bright):
    found = values(replaced(night(1), "snr", "Y", [snr] * N_OBJECTS), night(0))
    assert (found["psf_width", "Y"] is not None) == is_bright
    # A colour needs both of its bands.
    assert (found["zero_point", "Y"] is not None) == is_bright
    assert None not in [found["zero_point", band] for band in BANDS if band != "Y"]


def test_values_are_those_of_the_drift():
    checks = {(c.name, c.band): c for c in pixel_checks(night(0, zero_points={"Y": 0.3}), night(0), BANDS, QualityLimits())}
    assert checks["zero_point", "Y"].value == pytest.approx(0.3)
    assert checks["zero_point", "VIS"].value == pytest.approx(0)
    assert checks["common_zero_point", None].value == pytest.approx(0)
    assert checks["zero_point", "Y"].text == "Y: the zero point has moved by +0.30 mag against the other bands (limit 0.15)"


def test_a_sample_that_cannot_be_read_fails():
    lost = night(1).model_copy(update={"sample": {}})
    found = {check.name: check for check in pixel_checks(lost, night(0), BANDS, QualityLimits())}
    assert [name for name, check in found.items() if not check.is_good] == ["sample"]
    assert found["psf_width"].value is None


def test_few_objects_are_not_measured():
    few = night(1)
    few = few.model_copy(update={"n_chosen": 10, "sample": {name: values[:10] for name, values in few.sample.items()}})
    found = list(pixel_checks(few, night(0, psf_ratio=3), BANDS, QualityLimits()))
    assert {check.value for check in found if check.name != "sample"} == {None}
    assert all(check.is_good for check in found)
    assert np.isclose(found[0].value, 1)


def without_zero_points(found, *bands):
    for band in bands:
        for quantity in ("mag", "noise_ujy"):
            found = replaced(found, quantity, band, [None] * len(found.values(column(quantity, band))))
    return found


def test_a_lost_zero_point_fails_its_band_alone():
    lost = without_zero_points(night(1), "J")
    assert failed(lost, night(0)) == {("zero_point", "J")}
    said = {(check.name, check.band): check.text for check in pixel_checks(lost, night(0), BANDS, QualityLimits())}
    why = "is not measured: no header of the night states a zero point of J"
    assert said["zero_point", "J"] == f"J: the zero point {why}"
    assert said["sky_noise", "J"] == f"J: the sky noise {why}"
    assert "has moved by" in said["zero_point", "VIS"]
    assert failed(without_zero_points(night(1), *BANDS), night(0)) == {("zero_point", band) for band in BANDS}


def test_a_survey_without_zero_points_passes():
    now, before = (without_zero_points(night(seed), *BANDS) for seed in (1, 0))
    assert failed(now, before) == failed(night(1), before) == set()
    said = {(check.name, check.band): check.text for check in pixel_checks(night(1), before, BANDS, QualityLimits())}
    of_all = "is not measured: no header of the reference states a zero point of VIS, Y, J, H"
    assert said["common_zero_point", None] == f"the magnitudes {of_all}"


def test_a_band_alone_has_no_colours():
    found = list(pixel_checks(without_zero_points(night(1), "Y", "J", "H"), night(0), BANDS, QualityLimits()))
    (check,) = [check for check in found if (check.name, check.band) == ("zero_point", "VIS")]
    assert check.is_good
    assert check.text == "VIS: the zero point is not measured: no header of the night states a zero point of Y, J, H"


@pytest.mark.parametrize(("n", "is_lost"), [(19, False), (20, True)])
def test_a_zero_point_of_few_objects_is_not_lost(n, is_lost):
    lost = without_zero_points(night(1), "J")
    few = lost.model_copy(update={"sample": {name: values[:n] for name, values in lost.sample.items()}, "n_chosen": n})
    assert (("zero_point", "J") in failed(few, night(0))) == is_lost
