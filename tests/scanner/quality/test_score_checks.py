"""Drift of scores, and recovery of injected lenses."""

import math

import pytest

from scanner.completeness import fraction
from scanner.quality.limits import QualityLimits
from scanner.quality.score_checks import Recovery, recovery_checks, score_checks
from tests.scanner.quality.measured_nights import night


def failed(checks):
    return [check.name for check in checks if not check.is_good]


def drifted(now, reference):
    return failed(score_checks(now, reference, QualityLimits()))


def test_good_nights_pass_and_a_shift_does_not():
    assert [drifted(night(seed + 1), night(seed)) for seed in range(20)] == [[]] * 20
    assert drifted(night(1, log_odds_shift=2), night(0)) == ["score_drift"]


def test_chance_excuses_the_scores_of_few_rows():
    def small(seed, **changes):
        found = night(seed, **changes)
        return found.model_copy(update={"log_odds": tuple(n // 200 for n in found.log_odds)})

    (check,) = score_checks(small(1, log_odds_shift=1.5), small(0), QualityLimits())
    assert check.value > 0.25
    assert check.is_good


def drift_of_counts(now, before, **limits):
    """Return the check of two histograms."""
    now, before = (night(0).model_copy(update={"log_odds": counts}) for counts in (now, before))
    (check,) = score_checks(now, before, QualityLimits(**limits))
    return check


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        ((2500, 7500), (5000, 5000), "0.27 (limit 0.25), 0.0002 by chance"),
        # 6/21 ln(16.5/4.5) with half an object more in each bin, and 1/20 + 1/20.
        ((4, 16), (10, 10), "0.37 (limit 0.25), as chance may give for so few objects (0.1 on average)"),
        # 1/21 ln(11.5/9.5)
        ((9, 11), (10, 10), "0.0091 (limit 0.25), 0.1 by chance"),
        ((10, 10), (10, 10), "0 (limit 0.25), no change"),
    ],
)
def test_the_text_says_what_chance_gives(now, before, text):
    assert drift_of_counts(now, before).text == f"the stability index of the scores is {text}"


def test_a_drift_at_its_limit_passes():
    counts = (2500, 7500), (5000, 5000)
    value = drift_of_counts(*counts).value
    assert drift_of_counts(*counts, score_stability=value).is_good
    assert not drift_of_counts(*counts, score_stability=math.nextafter(value, 0)).is_good


def test_another_ensemble_is_not_compared():
    other = night(0, log_odds_shift=5).model_copy(update={"ensemble_sha256": "f" * 64})
    (check,) = score_checks(night(1), other, QualityLimits())
    assert check.is_good
    assert check.value is None
    assert list(score_checks(night(1), None, QualityLimits())) == []


def recovered(now, before=None):
    return failed(recovery_checks(now and Recovery(*now), before and Recovery(*before), QualityLimits()))


def test_injected_lenses_must_be_found():
    assert recovered(None) == recovered((0, 0)) == recovered((200, 100)) == []
    assert recovered((200, 5)) == ["recovered"]
    # None of three may be chance at a share of a tenth.
    assert recovered((3, 0)) == []
    assert recovered((500, 150), (500, 300)) == ["recovered_drift"]
    assert recovered((500, 290), (500, 300)) == []


def test_a_drop_at_its_limit_passes():
    now, before = Recovery(500, 150), Recovery(500, 300)
    drop = fraction(300, 500).low - fraction(150, 500).high
    for most, is_good in ((drop, True), (math.nextafter(drop, 0), False)):
        _, check = recovery_checks(now, before, QualityLimits(recovered_share_drop=most))
        assert (check.name, check.is_good) == ("recovered_drift", is_good)


def test_values_of_injected_lenses_are_a_share_and_its_drop():
    checks = recovery_checks(Recovery(500, 150), Recovery(400, 240), QualityLimits())
    assert {check.name: check.value for check in checks} == pytest.approx({"recovered": 0.3, "recovered_drift": 0.3})
