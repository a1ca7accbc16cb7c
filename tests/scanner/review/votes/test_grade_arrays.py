"""Arrays hold one grade of each grader for each subject, whatever the order of the votes."""

import numpy as np
import pytest

from scanner.review.votes.errors import VoteError
from scanner.review.votes.grade_arrays import grade_arrays
from tests.scanner.review.votes.made_votes import vote_of

LENS, NONLENS = {"subject": "gold:1", "role": "gold_lens"}, {"subject": "gold:2", "role": "gold_nonlens"}


def test_only_the_first_view_counts():
    votes = [
        vote_of(1, "bob", "C"),
        vote_of(2, "bob", "A", subject="object:1", object_id=1, repeat=2),
        # Ann took her first grade back: the second view is the first that counts.
        vote_of(3, "ann", "X", subject="object:1", object_id=1, repeat=1),
        vote_of(4, "ann", "B", **LENS),
        vote_of(5, "ann", "A", **NONLENS),
    ]
    found = grade_arrays(reversed(votes))
    assert (found.graders, found.subjects) == (("ann", "bob"), ("gold:1", "gold:2", "object:1"))
    np.testing.assert_array_equal(found.as_matrix(), [[1, -1], [0, -1], [3, 2]])
    np.testing.assert_array_equal(found.answer, [1, 0, -1])


@pytest.mark.parametrize(("role", "answer"), [("training_lens", 1), ("training_nonlens", 0)])
def test_a_candidate_for_one_grader_may_be_known_to_another(role, answer):
    votes = [vote_of(1, "ann", role=role), vote_of(1, "bob")]
    for order in (votes, votes[::-1]):
        assert grade_arrays(order).answer.tolist() == [answer]


@pytest.mark.parametrize("order", [1, -1])
def test_contradicting_answers_are_refused(order):
    votes = [vote_of(1, "ann", **LENS), vote_of(2, "bob"), vote_of(3, "cyd", subject="gold:1", role="training_nonlens")]
    with pytest.raises(VoteError, match="gold:1: is a known lens in one vote and a known non-lens in another"):
        grade_arrays(votes[::order])


def test_a_grade_after_the_answer_says_nothing_about_its_grader():
    told = [vote_of(1, "ann", is_blind=False, **LENS), vote_of(2, "bob", is_blind=False, **NONLENS)]
    found = grade_arrays([*told, vote_of(3, "ann", "C", is_blind=False), vote_of(4, "ann", "X", **NONLENS)])
    assert (found.graders, found.subjects) == (("ann", "bob"), ("gold:1", "gold:2", "object:3"))
    np.testing.assert_array_equal(found.as_matrix(), [[-1, -1], [3, -1], [2, -1]])
    np.testing.assert_array_equal(found.answer, [1, 0, -1])


def test_no_votes_are_empty_arrays():
    found = grade_arrays([])
    assert (found.subjects, found.as_matrix().shape) == ((), (0, 0))
