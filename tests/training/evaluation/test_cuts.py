"""Cuts of a few objects whose scores lie at the thresholds, counted by hand."""

import numpy as np
import pytest

from training.evaluation.cuts import CUTS, cut_at, measured_cuts

P = np.array([0.3, 0.1, 0.003, 0.9, 0.01, 0.3, 0.001, 0.5])
KINDS = np.array(["single", "single", "single", "compound_arc", "double_ring", "nonlens", "nonlens", "nonlens"])


def test_a_score_at_a_cut_reaches_it():
    cuts = measured_cuts(P, KINDS, 0.01, (), 0.25)
    assert [cut.p_lens for cut in cuts] == list(CUTS)
    for cut in cuts:
        reached = [kind for kind, p in zip(KINDS.tolist(), P.tolist(), strict=True) if p >= cut.p_lens]
        n_single, n_others = reached.count("single"), reached.count("nonlens")
        n_compound = len(reached) - n_single - n_others
        assert cut.n_false_positives == n_others
        assert cut.recall.value == pytest.approx((n_single + n_compound) / 5)
        assert cut.natural_recall.value == pytest.approx(0.75 * n_single / 3 + 0.25 * n_compound / 2)


def test_a_cut_that_only_others_reach_has_no_lens():
    cut = cut_at(np.array([0.1, 0.5, 0.2]), np.array([True, False, False]), 0.01, 0.4)
    assert (cut.n_false_positives, cut.recall.value, cut.purity.value) == (1, 0, 0)
    # The one object above, of two others, is half likely to be a lens by its score.
    assert cut.expected_purity == pytest.approx(0.5)


@pytest.mark.parametrize(("own", "more"), [((0.1,), ()), ((0.2,), (0.2,)), ((), ()), ((0.2, 0.0004), (0.2, 0.0004))])
def test_the_own_cut_comes_once(own, more):
    cuts = measured_cuts(P, KINDS, 0.01, own, None)
    assert [cut.p_lens for cut in cuts] == sorted(CUTS + more)
    assert all(cut.natural_recall is None for cut in cuts)


def test_a_sky_without_compound_lenses_has_a_natural_recall():
    (cut,) = (cut for cut in measured_cuts(P, KINDS, 0.01, (), 0.0) if cut.p_lens == 0.1)
    assert cut.natural_recall.value == pytest.approx(2 / 3)
