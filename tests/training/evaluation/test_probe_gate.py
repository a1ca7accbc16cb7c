"""The gate on made-up scores whose medians, shares and limits are known."""

import numpy as np
import pytest

from training.evaluation.probe_gate import DropOut, judge_probes
from training.evaluation.probe_limits import LEAST_NOTICED, LIMITS, MOST_FALSE_ALARMS
from training.evaluation.probe_scores import ProbedScores

N, CUT = 40, 0.001
LENSES = ("single", "compound_arc", "double_ring")


def p_of(odds):
    return 1 / (1 + np.exp(-np.asarray(odds, float)))


def scores_of(shift=0.0, n_noticed=None, networks=None, centre=2.0):
    odds = centre + np.linspace(-1, 1, N)
    noticed = None if n_noticed is None else np.arange(N) < n_noticed
    return ProbedScores(p_of(odds + shift), networks or {}, noticed)


def judged(change, drop_outs=(), nonlens=None, **kinds):
    """Return the report on one change that shifts the log-odds of each kind of lens; `nonlens` is their scores after it."""
    scores = {kind: {"unchanged": scores_of(), change: scores_of(kinds.get(kind, kinds.get("all", 0.0)))} for kind in LENSES}
    if nonlens is not None:
        scores["nonlens"] = {"unchanged": scores_of(centre=-20.0), change: nonlens}
    return judge_probes(scores, tuple(drop_outs), CUT, 0)


def effect(report, change):
    return next(found for found in report.effects if found.probe == change)


def test_the_median_of_pairs_is_the_shift_of_each_kind():
    found = effect(judged("red source", single=-0.2, compound_arc=-0.4, double_ring=0.6), "red source")
    assert found.lenses.median_change.value == pytest.approx(-0.2)
    assert {kind: of.median_change.value for kind, of in found.kinds.items()} == {
        "single": pytest.approx(-0.2),
        "compound_arc": pytest.approx(-0.4),
        "double_ring": pytest.approx(0.6),
    }
    assert found.kinds["single"].median_change.low == pytest.approx(-0.2)
    assert found.lenses.n == 3 * N


def test_pairs_count_not_the_medians_of_each_side():
    """Half of the lenses lose 1 and the others win 3: the medians of both sides differ by another number."""
    change = np.where(np.arange(N) % 2, -1.0, 3.0)
    scores = {"single": {"unchanged": scores_of(), "hot pixel": ProbedScores(p_of(2 + np.linspace(-1, 1, N) + change))}}
    assert effect(judge_probes(scores, (), CUT, 0), "hot pixel").lenses.median_change.value == pytest.approx(1.0)


@pytest.mark.parametrize("probe", [name for name, limit in LIMITS.items() if limit.most_fall is not None])
def test_each_fall_has_its_limit(probe):
    most = LIMITS[probe].most_fall
    assert judged(probe, all=-most + 0.01).passes
    report = judged(probe, all=-most - 0.01)
    assert report.exceeded == (probe,)
    # One line, although each kind of lens exceeds the limit, too.
    assert report.failures == (f"{probe}: the log-odds may fall by at most {most:g}, they fall by {most + 0.01:.2f}",)


@pytest.mark.parametrize("probe", [name for name, limit in LIMITS.items() if limit.most_rise is not None])
def test_each_rise_has_its_limit(probe):
    most = LIMITS[probe].most_rise
    assert judged(probe, all=most - 0.01).passes
    assert judged(probe, all=most + 0.01).exceeded == (probe,)


def test_one_kind_alone_can_exceed_a_limit():
    report = judged("turned by 90 deg", double_ring=-0.5)
    assert report.failures == ("turned by 90 deg: the log-odds of double_ring may fall by at most 0.2, they fall by 0.50",)


def test_a_kind_exceeds_a_limit_with_its_whole_interval_only():
    """The median of the kind is beyond the limit, but its interval reaches across it."""
    change = np.where(np.arange(N) % 2, -0.5, -0.1)
    change[0] = -0.5
    scores = {kind: {"unchanged": scores_of(), "turned by 90 deg": scores_of()} for kind in LENSES}
    scores["single"]["turned by 90 deg"] = ProbedScores(p_of(2 + np.linspace(-1, 1, N) + change))
    report = judge_probes(scores, (), CUT, 0)
    of_kind = effect(report, "turned by 90 deg").kinds["single"].median_change
    assert of_kind.value < -0.2 < of_kind.high
    assert report.passes


def test_lost_lenses_and_gained_non_lenses_have_limits():
    lost = scores_of()
    lost.p_lens[:8] = CUT / 2
    scores = {"single": {"unchanged": scores_of(), "hot pixel": lost}}
    report = judge_probes(scores, (), CUT, 0)
    assert report.failures == ("hot pixel: at most 0.05 of the lenses may fall below the threshold, 0.200 do",)
    assert effect(report, "hot pixel").lenses.below_after.value == pytest.approx(0.2)
    gained = scores_of(centre=-20.0)
    gained.p_lens[:3] = 0.5
    assert judged("hot pixel", nonlens=gained).failures == (
        "hot pixel: at most 0.05 of the non-lenses may rise above the threshold, 0.075 do",
    )


def test_non_lenses_do_not_count_among_the_lenses():
    report = judged("hot pixel", nonlens=scores_of(-5.0, centre=-20.0))
    assert report.passes
    assert effect(report, "hot pixel").lenses.median_change.value == 0
    assert effect(report, "hot pixel").kinds["nonlens"].median_change.value == pytest.approx(-5.0)
    assert report.n_objects == {**dict.fromkeys(LENSES, N), "nonlens": N}


def shifted(n_noticed, n_false=0, n_false_nonlens=0):
    probe = "one band shifted by 1 arcsec"
    scores = {kind: {"unchanged": scores_of(n_noticed=n_false), probe: scores_of(-9.0, n_noticed)} for kind in LENSES}
    scores["nonlens"] = {"unchanged": scores_of(n_noticed=n_false_nonlens), probe: scores_of(n_noticed=0)}
    return judge_probes(scores, (), CUT, 0)


def test_a_shifted_band_must_be_noticed_whatever_it_costs():
    least = LEAST_NOTICED["one band shifted by 1 arcsec"]
    assert shifted(int(least * N)).passes
    assert shifted(int(least * N) - 1).failures == (
        "one band shifted by 1 arcsec: at least 0.7 of the lenses' rows must say so, 0.675 do",
    )


def test_false_alarms_count_for_lenses_and_others():
    assert MOST_FALSE_ALARMS < 1 / N
    assert shifted(N, n_false=1).failures == (
        "unchanged: at most 0.01 of the lenses may be said to have a shifted band, 0.025 are",
    )
    assert shifted(N, n_false_nonlens=1).failures == (
        "unchanged: at most 0.01 of the non-lenses may be said to have a shifted band, 0.025 are",
    )


def test_an_unasked_shift_is_a_failure():
    assert judged("one band shifted by 3 arcsec").failures == (
        "one band shifted by 3 arcsec: at least 0.7 of the lenses' rows must say so, none was asked",
    )


def test_every_row_without_a_band_must_say_so():
    good = DropOut(band="H", how="blank", n=5, n_scored=0, n_stated=5)
    silent = DropOut(band="J", how="missing", n=5, n_scored=5, n_stated=4)
    assert judged("hot pixel", [good]).passes
    report = judged("hot pixel", [good, silent])
    assert report.failures == ("J missing: every row must say so or be rejected, 1 of 5 do not",)
    assert report.exceeded == ("J missing",)


def test_networks_are_compared_where_they_looked_twice():
    before, after = np.full(N, 0.5), p_of(np.full(N, -1.0))
    before[:10], after[10:20] = np.nan, np.nan
    scores = {"single": {"unchanged": scores_of(networks={"a": before}), "red source": scores_of(networks={"a": after})}}
    assert effect(judge_probes(scores, (), CUT, 0), "red source").networks["a"].value == pytest.approx(-1.0)
    blind = {"a": np.full(N, np.nan)}
    scores = {"single": {"unchanged": scores_of(networks=blind), "red source": scores_of(networks=blind)}}
    assert effect(judge_probes(scores, (), CUT, 0), "red source").networks == {}


def test_scores_must_be_of_the_same_objects():
    with pytest.raises(ValueError, match="equally many objects"):
        judge_probes({"single": {"unchanged": scores_of(), "hot pixel": ProbedScores(np.full(3, 0.5))}}, (), CUT, 0)
    with pytest.raises(ValueError, match="'unchanged' among the changes of single"):
        judge_probes({"single": {"hot pixel": scores_of()}}, (), CUT, 0)


def test_a_fall_just_beyond_its_limit_looks_so():
    most = LIMITS["turned by 90 deg"].most_fall
    (failure,) = judged("turned by 90 deg", all=-most - 0.0004).failures
    assert failure.endswith(f"by at most {most:g}, they fall by {most + 0.0004:.4f}")
