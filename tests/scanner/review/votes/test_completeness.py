"""Graders' completeness and false positives, against another package's intervals and shares counted by hand."""

import pytest
from scipy.stats import binomtest

from scanner.review.votes.completeness import Share, skills
from tests.scanner.review.votes.made_votes import vote_of


@pytest.mark.parametrize(("n", "n_all"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (299, 1000)])
@pytest.mark.parametrize("level", [0.95, 0.68])
def test_intervals_are_those_of_scipy(n, n_all, level):
    found, limits = Share.of(n, n_all, level), binomtest(n, n_all).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), abs=1e-12)
    assert (found.n, found.n_all, found.share) == (n, n_all, n / n_all)


def test_nothing_counted_says_nothing():
    assert Share.of(0, 0) == Share(0, 0, None, 0.0, 1.0)


def of(grades, role, start, **changes):
    return [
        vote_of(start + i, grade=grade, role=role, subject=f"gold:{start + i}", **changes) for i, grade in enumerate(grades)
    ]


def test_gold_is_counted_and_training_is_not():
    votes = [
        *of("AABCX", "gold_lens", 0, decision_s=1),
        *of("BCXX", "gold_nonlens", 10, decision_s=2),
        *of("XX", "training_lens", 20, decision_s=9),
        *of("A", "training_nonlens", 30, decision_s=9),
        vote_of(40, grade="A", decision_s=9),
        # Seen again: gold counts once.
        vote_of(41, grade="X", role="gold_lens", subject="gold:0", repeat=1, decision_s=9),
        vote_of(42, grade="A", role="gold_lens", subject="gold:1", repeat=1, decision_s=9),
        vote_of(43, grade="X", role="gold_lens", subject="gold:0", repeat=2, decision_s=9),
        *of("X", "gold_lens", 50, grader="bob"),
    ]
    found = skills(votes[::-1])
    assert list(found) == ["ann", "bob"]
    ann = found["ann"]
    assert (ann.completeness, ann.false_positives) == (Share.of(3, 5), Share.of(1, 4))
    assert ann.same_again == Share.of(1, 3)
    assert (ann.n_votes, ann.median_decision_s) == (16, 2)
    assert (found["bob"].completeness, found["bob"].false_positives) == (Share.of(0, 1), Share.of(0, 0))
    assert skills(votes, ("A", "B", "C"))["ann"].completeness == Share.of(4, 5)


def test_gold_that_was_graded_after_its_answer_is_not_counted():
    told = [*of("AA", "gold_lens", 0, is_blind=False), *of("A", "gold_nonlens", 10, is_blind=False)]
    found = skills([*told, *of("X", "gold_lens", 20)])["ann"]
    assert (found.completeness, found.false_positives, found.n_votes) == (Share.of(0, 1), Share.of(0, 0), 4)
