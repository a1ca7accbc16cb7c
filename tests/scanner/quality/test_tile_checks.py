"""Checks of tiles and rows on measures with one fault each."""

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
    assert checks(bad)["blank_tiles"].text == "1 tiles hold nothing but zeros or one value: t2 (limit 0)"
    assert failed(bad, blank_tiles=1, reject_share=1) == []


def test_a_damaged_tile_is_no_blank_one():
    assert failed(with_tile(night(1), "t2", {"rejected:fits_truncated": ROWS}), reject_share=1) == ["damaged_tiles"]


def test_a_missing_band_is_named_with_its_tiles():
    bad = with_tile(night(1), "t0", {"rejected:missing_band": ROWS}).model_copy(update={"lacking": {"t0": ("Y",)}})
    assert failed(bad, reject_share=1) == ["missing_bands"]
    assert checks(bad)["missing_bands"].text == "1 tiles lack a band (Y in 1): t0 (limit 0)"


def test_skipped_tiles_and_empty_ones_do_not_count():
    assert failed(with_tile(night(1), "t4", {}), night(0)) == []


def test_rejected_rows_have_a_limit_and_a_drift():
    assert failed(night(1, n_rejected=60), night(0)) == ["reject_share_drift"]
    assert failed(night(1, n_rejected=150), night(0, n_rejected=150)) == ["reject_share"]
    # 35 of 500 is two points more than the reference allows, and within its statistical error at 5 points.
    assert failed(night(1, n_rejected=35), night(0)) == []


def test_counts_per_tile_are_compared_either_way():
    few = night(1).model_copy(update={"catalogue_rows": {"a": 100, "b": 110}})
    assert failed(few, night(0)) == ["objects_per_tile"]
    assert failed(night(0), few) == ["objects_per_tile"]
    assert failed(few, night(0), counts_ratio=6) == []
    assert "objects_per_tile" not in checks(few)
