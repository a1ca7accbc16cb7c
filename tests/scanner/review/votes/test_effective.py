"""The grades that count follow from the acts alone, not from their order."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.review.votes.effective import effective_votes
from scanner.review.votes.errors import VoteError
from tests.scanner.review.votes.made_votes import START, acts, undo_of, vote_of


def one_at_a_time(votes):
    """Return the ids of the grades that count, found by comparing each grade with every other act."""
    kept = set()
    for vote in votes:
        others = [other for other in votes if other.grader == vote.grader and other is not vote]
        undone = {other.undoes for other in others if other.act == "undo"}
        rivals = [
            other
            for other in others
            if other.act == "grade"
            and (other.subject, other.repeat) == (vote.subject, vote.repeat)
            and other.act_id not in undone
            and (other.is_blind, other.graded_at, other.act_id) > (vote.is_blind, vote.graded_at, vote.act_id)
        ]
        if vote.act == "grade" and vote.act_id not in undone and not rivals:
            kept.add((vote.grader, vote.act_id))
    return kept


@given(st.data())
def test_any_order_gives_the_grades_that_count(data):
    votes = data.draw(acts())
    shuffled = data.draw(st.permutations(votes + votes[:3]))
    found = effective_votes(shuffled)
    assert found == effective_votes(votes)
    assert {(vote.grader, vote.act_id) for vote in found} == one_at_a_time(votes)
    assert found == sorted(found, key=lambda vote: (vote.graded_at, vote.act_id, vote.grader))


SAME = {"subject": "object:1", "object_id": 1}


@pytest.mark.parametrize(
    ("votes", "kept"),
    [
        ([vote_of(1, **SAME), vote_of(2, grade="B", **SAME)], [2]),
        ([vote_of(1, **SAME), vote_of(2, grade="B", **SAME), undo_of(3, 2)], [1]),
        ([vote_of(1, **SAME), vote_of(2, grade="B", repeat=1, **SAME)], [1, 2]),
        # Once the answer was told, a changed grade measures no grader; without a blind grade, the last counts.
        ([vote_of(1, **SAME), vote_of(2, **SAME), vote_of(3, is_blind=False, **SAME)], [2]),
        ([vote_of(1, is_blind=False, **SAME), vote_of(2, is_blind=False, **SAME)], [2]),
        ([vote_of(1, **SAME), vote_of(2, is_blind=False, **SAME), undo_of(3, 1)], [2]),
        (
            [vote_of(1, **SAME), vote_of(2, repeat=1, is_blind=False, **SAME), vote_of(3, "bob", is_blind=False, **SAME)],
            [1, 2, 3],
        ),
        ([vote_of(1, **SAME), vote_of(2, "bob", **SAME)], [1, 2]),
        # Bob cannot take back what Ann said, and an undo stays.
        ([vote_of(1, **SAME), undo_of(2, 1, "bob")], [1]),
        ([vote_of(1, **SAME), undo_of(2, 1), undo_of(3, 2)], []),
        # A clock that was set back: the undo still names its grade.
        ([vote_of(5, **SAME), undo_of(1, 5)], []),
        ([undo_of(1, 5)], []),
    ],
)
def test_undone_and_replaced_grades_do_not_count(votes, kept):
    assert [int(vote.act_id, 16) for vote in effective_votes(votes)] == kept


def test_an_act_with_two_contents_is_refused():
    act = vote_of(1)
    later = act.model_copy(update={"graded_at": START + timedelta(days=1)})
    with pytest.raises(VoteError, match=f"two acts of ann have the act_id {act.act_id}"):
        effective_votes([act, later])
