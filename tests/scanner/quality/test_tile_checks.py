"""Checks of tiles and rows on measures with one fault each."""

import math

import pytest

from scanner.quality.counts import UnitCounts
from scanner.quality.limits import QualityLimits
from scanner.quality.tile_checks import tile_checks
from tests.scanner.quality.measured_nights import ROWS, night


def checks(now, reference=None, **limits):
    return {check.name: check for check in tile_checks(now, reference, QualityLimits(**limits))}


def failed(*arguments, **limits):
    return [name for name, check in checks(*arguments, **limits).items() if not check.is_good]


def with_tile(found, name, by_status):
    return found.model_copy(update={"units": {**found.units, name: UnitCounts(by_status=by_status)}})


def test_good_nights_pass():
    assert [failed(night(seed + 1), night(seed)) for seed in range(20)] == [[]] * 20


@pytest.mark.parametrize("code", ["blank", "constant"])
def test_one_blank_tile_is_caught_by_name(code):
    bad = with_tile(night(1), "t2", {f"rejected:{code}": ROWS - 5, "scored": 5})
    assert "blank_tiles" in failed(bad)
    assert checks(bad)["blank_tiles"].text == "1 tile holds nothing but zeros or one value: t2 (limit 0)"
    assert failed(bad, blank_tiles=1, reject_share=1) == []


def test_a_tile_is_blank_above_its_share_of_blank_rows():
    """A tile is blank if more than 95 % of its rows are."""
    for n_blank, is_blank in ((90, False), (91, True)):
        found = with_tile(night(1), "t2", {"rejected:blank": n_blank, "scored": 100 - n_blank})
        assert ("blank_tiles" in failed(found)) == is_blank


def test_a_night_without_rows_has_no_share_of_rejected_ones():
    check = checks(night(0).model_copy(update={"units": {}}))["reject_share"]
    assert (check.value, check.is_good) == (0, True)


@pytest.mark.parametrize(("n_blank", "names"), [(5, "t0, t1, t2, t3, t4"), (6, "t0, t1, t2, t3, t4 and 1 more")])
def test_five_tiles_are_named_and_the_rest_counted(n_blank, names):
    bad = night(1)
    for i in range(n_blank):
        bad = with_tile(bad, f"t{i}", {"rejected:blank": ROWS})
    assert checks(bad)["blank_tiles"].text == f"{n_blank} tiles hold nothing but zeros or one value: {names} (limit 0)"


def test_a_damaged_tile_is_no_blank_one():
    assert failed(with_tile(night(1), "t2", {"rejected:fits_truncated": ROWS}), reject_share=1) == ["damaged_tiles"]


def test_a_missing_band_is_named_with_its_tiles():
    bad = with_tile(night(1), "t0", {"rejected:missing_band": ROWS}).model_copy(update={"lacking": {"t0": ("Y",)}})
    assert failed(bad, reject_share=1) == ["missing_bands"]
    assert checks(bad)["missing_bands"].text == "1 tile lacks a band (Y in 1): t0 (limit 0)"


def test_skipped_tiles_and_empty_ones_do_not_count():
    assert failed(with_tile(night(1), "t4", {}), night(0)) == []


@pytest.mark.parametrize(("code", "check"), [("blank", "blank_tiles"), ("fits_truncated", "damaged_tiles")])
def test_tiles_of_few_rows_are_not_judged(code, check):
    for n, names in ((1, []), (19, []), (20, [check])):
        assert failed(with_tile(night(1), "t2", {f"rejected:{code}": n}), reject_share=1) == names


def test_rejected_rows_have_a_limit_and_a_drift():
    assert failed(night(1, n_rejected=60), night(0)) == ["reject_share_drift"]
    assert failed(night(1, n_rejected=150), night(0, n_rejected=150)) == ["reject_share"]
    # 35 of 500 is two points more than the reference allows, and within its statistical error at 5 points.
    assert failed(night(1, n_rejected=35), night(0)) == []


def test_a_rise_at_its_limit_passes():
    """With half a row, each share has the error sqrt(62.5/64 2.5/64 / 64) = 25/1024."""

    def of_64(n_scored):
        counts = UnitCounts(by_status={"scored": n_scored, "rejected:not_finite": 64 - n_scored})
        return night(0).model_copy(update={"units": {"t0": counts}})

    limit = 60 / 64 - 4 * math.sqrt(2) * 25 / 1024
    for most, is_good in ((limit, True), (math.nextafter(limit, 0), False)):
        check = checks(of_64(2), of_64(62), reject_share_drift=most)["reject_share_drift"]
        assert (check.value, check.is_good) == (60 / 64, is_good)


def test_counts_per_tile_are_compared_either_way():
    few = night(1).model_copy(update={"catalogue_rows": {"a": 100, "b": 110}})
    assert failed(few, night(0)) == ["objects_per_tile"]
    assert failed(night(0), few) == ["objects_per_tile"]
    assert failed(few, night(0), counts_ratio=6) == []
    assert "objects_per_tile" not in checks(few)


def test_the_ratio_of_counts_is_never_below_one():
    """One object is added to both numbers, so that an empty night has a ratio too."""

    def of(n):
        return night(0).model_copy(update={"catalogue_rows": {"a": n}})

    found = [checks(of(now), of(before))["objects_per_tile"].value for now, before in ((199, 99), (99, 199), (3, 0), (0, 3))]
    assert found == [2, 2, 4, 4]
