"""Tests of scores beside their truth."""

import re
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pytest

from tests.training.reproduction.made import FLAGSHIP, OURS, card_of, made_scores, made_truth
from training.errors import TrainingError
from training.reproduction.sample import ENSEMBLE, ScoredSample


def test_an_excluded_object_counts_as_zero(sample):
    is_unseen = np.arange(len(sample.kinds)) % 5 == 0
    outputs = sample.outputs(FLAGSHIP)
    assert (outputs["compact-sky"][is_unseen] == 0).all()
    assert (outputs["compact-sky"][~is_unseen] > 0).all()
    assert (outputs["light"] > 0).all()


def test_the_ensemble_is_restated_to_these_objects(sample):
    p, prevalence = sample.column(OURS, "p_lens"), card_of(OURS).assumed_prevalence
    share = np.mean(sample.kinds != "nonlens")
    odds = p / (1 - p) * share / (1 - share) * (1 - prevalence) / prevalence
    assert sample.probabilities(OURS)[ENSEMBLE] == pytest.approx(odds / (1 + odds))
    assert [*sample.probabilities(OURS)] == [*sample.networks(OURS), ENSEMBLE]


def test_an_object_that_any_ensemble_rejected_is_left_out():
    truth = made_truth(20)
    scores = {name: made_scores(truth, name) for name in (OURS, FLAGSHIP)}
    rejected = pa.array(["rejected:blank", *["scored"] * 19])
    scores[OURS] = scores[OURS].set_column(0, "status", rejected)
    sample = ScoredSample.of(truth, scores, {name: card_of(name) for name in scores})
    assert sample.truth["index"].to_pylist() == list(range(1, 20))
    assert {len(table) for table in sample.scores.values()} == {19}


def test_lenses_and_others_are_needed():
    truth = made_truth(20).filter(pa.array([kind == "single" for kind in made_truth(20)["kind"].to_pylist()]))
    with pytest.raises(TrainingError, match="lenses and other objects, got \\['single'\\]"):
        ScoredSample.of(truth, {OURS: made_scores(truth, OURS)}, {OURS: card_of(OURS)})


@pytest.mark.parametrize(
    ("kinds", "is_enough"),
    [
        (("nonlens", "single", "compound_arc", "double_ring"), True),
        (("nonlens", "single", "double_ring"), True),
        (("nonlens", "compound_arc", "double_ring"), False),
        (("nonlens", "single"), False),
    ],
)
def test_single_and_compound_lenses_and_others_are_needed(kinds, is_enough):
    truth = made_truth(60)
    truth = truth.filter(pa.array(np.isin(truth["kind"].to_pylist(), kinds)))
    found = ScoredSample.of(truth, {OURS: made_scores(truth, OURS)}, {OURS: card_of(OURS)})
    words = re.escape(f"needs scored non-lenses, single and compound lenses, got {sorted(kinds)}: simulate more")
    with nullcontext() if is_enough else pytest.raises(TrainingError, match=words):
        found.check_kinds()


def test_only_ensembles_that_tell_kinds_apart_assume_a_share(sample):
    assert sample.compound_share(OURS) == pytest.approx(0.02)
