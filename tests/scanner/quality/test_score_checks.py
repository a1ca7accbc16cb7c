"""Drift of scores, and recovery of injected lenses."""

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
