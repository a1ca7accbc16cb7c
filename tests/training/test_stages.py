"""The stages that exclude objects, on margins set by hand: brute force finds the same limits and losses."""

import numpy as np
import pytest

from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.preprocess.channel import channels
from tests.training.margins import margins_of
from training.errors import TrainingError
from training.evaluation.calibrate import fit_stack
from training.stages import (
    MOST_LOST,
    MOST_LOST_BEFORE_EXIT,
    after_stages,
    limit_of_first_stage,
    make_early_exit,
    make_first_stage,
    make_stages,
)

CUT, COMPOUND_SHARE = 0.002, 0.02
FIRST = draft_network_card(NetworkSpec("a", "equivariant_light", channels("sky_asinh", "VIS")), "mer10", {})


def committee_of(margins, names):
    return fit_stack({name: margins.by_network[name] for name in names}, margins.kinds).assuming(0.001, COMPOUND_SHARE)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    return {"natural": margins_of(rng, 5000), "broad": margins_of(rng, 3000, vetoes=0.02)}


def stages_of(data):
    committee = committee_of(data["natural"], "bc")
    first = make_first_stage(FIRST, committee, data, CUT, COMPOUND_SHARE, MOST_LOST_BEFORE_EXIT)
    return committee, first


def kept(committee, margins):
    return margins.is_lens & (committee.combine(margins.by_network).p_lens >= CUT)


def passed(stage, margins):
    return stage.combiner.combine(margins.by_network).p_lens >= stage.exclude_below


def test_the_limit_loses_five_in_a_thousand_kept_lenses():
    rng = np.random.default_rng(2)
    data = margins_of(rng, 20_000)
    first, committee = committee_of(data, "a"), committee_of(data, "bc")
    limit = limit_of_first_stage(first, committee, [data], CUT)
    lost = np.mean(first.combine(data.by_network).p_lens[kept(committee, data)] < limit)
    assert 0.004 < lost <= 0.005
    # Not one more would be allowed.
    of_kept = first.combine(data.by_network).p_lens[kept(committee, data)]
    assert np.sum(of_kept < limit) == int(0.005 * len(of_kept))
    assert limit in of_kept
    other = margins_of(rng, 500, vetoes=1.0)
    other.by_network["a"][:] = other.by_network["a"] - 3
    both = limit_of_first_stage(first, committee, [data, other], 0.0001)
    assert both < limit
    with pytest.raises(TrainingError, match="must keep lenses of every data set"):
        limit_of_first_stage(first, committee, [data], 1.1)


def test_the_first_stage_leaves_losses_for_the_exit(data):
    committee, first = stages_of(data)
    alone = make_first_stage(FIRST, committee, data, CUT, COMPOUND_SHARE)
    assert first.exclude_below < alone.exclude_below
    for name, margins in data.items():
        lost = 1 - passed(first, margins)[kept(committee, margins)].mean()
        assert lost == first.metrics[f"{name}_lenses_lost"] <= MOST_LOST_BEFORE_EXIT
    assert max(first.metrics[f"{name}_lenses_lost"] for name in data) > MOST_LOST_BEFORE_EXIT - 0.0005
    # Nine of ten, because one network alone excludes the others.
    assert pytest.approx(0.9 * MOST_LOST) == MOST_LOST_BEFORE_EXIT


def test_both_stages_together_lose_four_in_a_thousand(data):
    committee, first = stages_of(data)
    found = make_early_exit(first, committee, data, CUT, COMPOUND_SHARE)
    lost, allowed = {}, {}
    for name, margins in data.items():
        allowed[name] = int(MOST_LOST * kept(committee, margins).sum()) / kept(committee, margins).sum()
        both = passed(first, margins) & passed(found, margins)
        lost[name] = 1 - both[kept(committee, margins)].mean()
        assert found.metrics[f"{name}_lenses_lost"] == lost[name]
        assert found.metrics[f"{name}_nonlenses_passed"] == both[~margins.is_lens].mean()
        assert found.metrics[f"{name}_lenses_passed"] == both[margins.is_lens].mean()
    # The limit is the largest one: the next score would lose too many.
    assert all(lost[name] <= allowed[name] + 1e-12 for name in data)
    assert any(lost[name] == pytest.approx(allowed[name], abs=1e-9) for name in data)
    assert MOST_LOST - 0.0005 < max(lost.values()) <= MOST_LOST
    assert found.metrics["natural_nonlenses_passed"] < first.metrics["natural_nonlenses_passed"] - 0.02


def test_the_stage_that_excludes_an_object_gives_its_probability(data):
    committee, first = stages_of(data)
    exit_ = make_early_exit(first, committee, data, CUT, COMPOUND_SHARE)
    margins = data["natural"]
    given = committee.combine(margins.by_network).p_lens
    of_first, of_exit = (stage.combiner.combine(margins.by_network).p_lens for stage in (first, exit_))
    expected = given.copy()
    for row in range(len(given)):
        if of_first[row] < np.float32(first.exclude_below):
            expected[row] = of_first[row]
        elif of_exit[row] < np.float32(exit_.exclude_below):
            expected[row] = of_exit[row]
    assert np.array_equal(after_stages(given, first, exit_, margins), expected)
    both_exclude = (of_first < first.exclude_below) & (of_exit < exit_.exclude_below)
    assert both_exclude.any()
    assert (expected[both_exclude] == of_first[both_exclude]).all()
    assert np.array_equal(after_stages(given, None, None, margins), given)


def test_the_network_that_excludes_most_looks_first(data):
    noise = np.random.default_rng(5)
    for worse, better in (("b", "c"), ("c", "b")):
        changed = {name: margins.rows(np.ones(len(margins.kinds), bool)) for name, margins in data.items()}
        for margins in changed.values():
            margins.by_network[worse] = margins.by_network[worse] + noise.normal(0, 2, margins.by_network[worse].shape)
        committee, first = stages_of(changed)
        assert make_early_exit(first, committee, changed, CUT, COMPOUND_SHARE).network == better


def test_natural_non_lenses_choose_the_network_of_the_exit(data):
    """The network c passes more of the natural non-lenses, and b more of the broad ones; they know lenses alike."""
    noise = np.random.default_rng(6)
    changed = {name: margins.rows(np.ones(len(margins.kinds), bool)) for name, margins in data.items()}
    for name, network in (("natural", "c"), ("broad", "b")):
        margins = changed[name]
        margins.by_network[network][~margins.is_lens] += noise.uniform(0, 4, ((~margins.is_lens).sum(), 1))
    committee, first = stages_of(changed)
    assert make_early_exit(first, committee, changed, CUT, COMPOUND_SHARE).network == "b"


def test_stages_assume_the_share_of_compound_lenses(data):
    committee, first = stages_of(data)
    early_exit = make_early_exit(first, committee, data, CUT, COMPOUND_SHARE)
    for combiner in (first.combiner, early_exit.combiner):
        assert (combiner.prevalence, combiner.compound_share) == (0.001, COMPOUND_SHARE)


def test_a_lens_at_the_cut_is_kept(data):
    margins = data["natural"]
    committee, first = committee_of(margins, "bc"), committee_of(margins, "a")
    # The last of these lenses has the lowest score of the committee, and that of the first stage decides the limit.
    order = np.argsort(np.where(margins.is_lens, committee.combine(margins.by_network).p_lens, -1))[-50:]
    chosen = np.zeros(len(margins.kinds), bool)
    chosen[order] = True
    few = margins.rows(chosen)
    lowest = int(committee.combine(few.by_network).p_lens.argmin())
    few.by_network["a"][lowest] = -5.0
    cut = float(committee.combine(few.by_network).p_lens[lowest])
    at_first = first.combine(few.by_network).p_lens
    assert limit_of_first_stage(first, committee, [few], cut) == at_first[lowest] == at_first.min()
    assert limit_of_first_stage(first, committee, [few], float(np.nextafter(np.float32(cut), 1))) > at_first.min()


def test_a_committee_of_one_has_no_exit(data):
    committee = committee_of(data["natural"], "b")
    first = make_first_stage(FIRST, committee, data, CUT, COMPOUND_SHARE)
    assert make_stages(FIRST, committee, data, CUT, COMPOUND_SHARE) == (first, None)


def test_stages_share_the_losses(data):
    committee, first = stages_of(data)
    found = make_stages(FIRST, committee, data, CUT, COMPOUND_SHARE)
    assert found == (first, make_early_exit(first, committee, data, CUT, COMPOUND_SHARE))
