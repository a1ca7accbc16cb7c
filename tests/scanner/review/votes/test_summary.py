"""The summary of a log, against its parts and against graders of known skill."""

from dataclasses import asdict

import numpy as np
import pytest

from infra.json_values import finite
from scanner.review.votes.agreement import alpha
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.em import TYPICAL
from scanner.review.votes.grade_arrays import grade_arrays
from scanner.review.votes.grades import GRADES
from scanner.review.votes.summary import summary
from scanner.review.votes.swap import swap
from scanner.review.votes.vote import subject_of
from tests.scanner.review.votes.graders import random_confusions
from tests.scanner.review.votes.made_votes import undo_of, vote_of


@pytest.fixture(scope="module")
def graded():
    """Return the acts of three graders about 150 objects and 50 gold ones, and the graders' confusion matrices."""
    rng = np.random.default_rng(20261128)
    confusions = random_confusions(rng, 3)
    acts = []
    for i in range(200):
        is_lens, is_gold = rng.random() < 0.4, i >= 150
        role = ("gold_lens" if is_lens else "gold_nonlens") if is_gold else "candidate"
        subject = {"subject": f"gold:{i}" if is_gold else subject_of(i), "object_id": None, "role": role}
        for g, name in enumerate(("ann", "bob", "cyd")):
            grade = GRADES[rng.choice(4, p=confusions[g, int(is_lens)])]
            acts.append(vote_of(len(acts), name, grade, **subject))
    acts += [vote_of(900, "ann", "A"), undo_of(901, 900, "ann")]
    return acts, confusions


def test_everything_is_counted(graded):
    acts, _ = graded
    found = summary(acts, {}, 1)
    assert (found.n_acts, found.n_votes, found.n_objects, found.n_known) == (602, 600, 150, 50)
    assert sum(found.n_by_grade.values()) == 150
    assert list(found.graders) == ["ann", "bob", "cyd"]
    assert found.graders["ann"].skill.completeness.n_all + found.graders["ann"].skill.false_positives.n_all == 50


def test_agreement_leaves_gold_out(graded):
    acts, _ = graded
    found = summary(acts, {}, 1)
    ratings = grade_arrays([vote for vote in effective_votes(acts) if vote.role == "candidate"]).as_matrix()
    assert found.agreement_nominal.alpha == alpha(ratings, "nominal", 4)
    assert found.agreement_ordinal.alpha == alpha(ratings, "ordinal", 4)
    assert found.agreement_ordinal.n_units == 150


def test_confusion_matrices_are_near_the_true_ones(graded):
    acts, confusions = graded
    found = summary(acts, dict.fromkeys(range(150), 0.4), 1)
    inside = [
        chance.low <= confusions[g, answer, k] <= chance.high
        for g, one in enumerate(found.graders.values())
        for answer, chances in ((1, one.of_lenses), (0, one.of_nonlenses))
        for k, chance in enumerate(chances.values())
    ]
    assert np.mean(inside) >= 0.7
    assert list(found.graders["ann"].of_lenses) == list(GRADES)
    # The answers are not mixed up.
    assert found.graders["cyd"].of_lenses["X"].p < found.graders["cyd"].of_nonlenses["X"].p


def test_information_is_that_of_swap(graded):
    acts, _ = graded
    found = summary(acts, {1: 0.9}, 1)
    agents = swap(acts, {"object:1": 0.9}).agents
    assert {name: one.information_bits for name, one in found.graders.items()} == {
        name: agent.information_bits for name, agent in agents.items()
    }
    assert found.graders["cyd"].information_bits > 0.01


def test_the_same_votes_give_the_same_summary(graded):
    acts, _ = graded
    assert summary(acts, {}, 1) == summary(acts[::-1], {}, 1)


def test_a_single_vote_has_a_summary():
    found = summary([vote_of(1)], {}, 1)
    assert found.agreement_ordinal.n_units == 0
    assert finite(asdict(found))["agreement_ordinal"]["alpha"] is None
    assert found.n_by_grade == {"A": 1, "B": 0, "C": 0, "X": 0}


def test_a_grader_who_was_told_every_answer_has_a_summary():
    known = vote_of(1, subject="gold:1", object_id=None, role="gold_lens", is_blind=False)
    found = summary([known, vote_of(2, "bob")], {}, 1).graders
    assert (found["ann"].skill.completeness.n_all, found["ann"].information_bits) == (0, 0)
    assert found["ann"].of_lenses["A"].p == pytest.approx(TYPICAL[1, 0])
