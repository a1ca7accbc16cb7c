"""Tests of the selection function of every network."""

import numpy as np
import pytest

from tests.training.reproduction.made import FLAGSHIP, OURS
from training.evaluation.compound_selection import match, matched_recall
from training.reproduction.selection import AT_HALF, calibrations, data_set, selections


@pytest.fixture(scope="module")
def selected(sample):
    return {(s.ensemble, s.score, s.at): s for s in selections(sample, "made")}


def test_every_score_has_every_threshold(sample, selected):
    scores = {(name, score) for name in sample.scores for score in [*sample.networks(name), "ensemble"]}
    assert len(scores) == 8 + 5
    assert {key[:2] for key in selected} == scores
    assert len(selected) == 3 * len(scores)


def test_recall_at_half_is_counted(sample, selected):
    p = sample.outputs(OURS)["OU-J"]
    found = selected[OURS, "OU-J", AT_HALF]
    for kind, recall in found.recall.items():
        assert recall.value == pytest.approx(np.mean(p[sample.kinds == kind] >= 0.5))
    assert [*found.recall] == ["single", "compound_arc", "double_ring"]
    assert found.false_positives.value == pytest.approx(np.mean(p[sample.kinds == "nonlens"] >= 0.5))


@pytest.mark.parametrize(("words", "rate"), [("1% false positives", 0.01), ("5% false positives", 0.05)])
def test_false_positives_are_alike_at_a_rate(sample, selected, words, rate):
    n_others = np.sum(sample.kinds == "nonlens")
    for (_, _, at), found in selected.items():
        if at == words:
            assert rate - 1 / n_others < found.false_positives.value <= rate


def test_matched_recall_is_that_of_the_score(sample, selected):
    names = ("einstein_radius1_arcsec", "arc_snr", "lens_mag_vis")
    matching = match(sample.kinds, {name: sample.properties(name) for name in names}, "double_ring")
    expected = matched_recall(sample.outputs(FLAGSHIP)["light"] >= 0.5, matching)
    assert selected[FLAGSHIP, "light", AT_HALF].matched["double_ring"] == expected


def test_a_data_set_says_what_was_matched(sample):
    described = data_set(sample, "euclid", "mer")
    assert sum(described.n_objects.values()) == len(sample.kinds)
    assert described.balance["compound_arc"].n == described.n_objects["compound_arc"]
    assert 0 < described.balance["compound_arc"].n_matched <= described.balance["compound_arc"].n


def test_ensembles_with_p_compound_are_judged(sample, few_resamples):
    judged = calibrations(sample, np.random.default_rng(0))
    assert [*judged] == [OURS, FLAGSHIP]
    assert judged[OURS].n_lenses == int(sample.is_lens.sum())
    assert sum(judged[OURS].confusion["single"].values()) == int(np.sum(sample.kinds == "single"))
