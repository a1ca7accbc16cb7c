"""A vote holds what a grader did, and nothing that contradicts itself."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from scanner.review.votes.grades import GRADE_MEANINGS, GRADES, REASON_MEANINGS, REASONS
from scanner.review.votes.vote import Vote, subject_of

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
GRADED = {"act_id": "0" * 32, "act": "grade", "grader": "ann", "subject": "object:7", "grade": "A", "graded_at": AT}
UNDONE = GRADED | {"act": "undo", "grade": None, "undoes": "1" * 32}


def test_a_vote_survives_json():
    vote = Vote(**GRADED | {"comment": "<b>\u2603", "object_id": -(2**60)})
    assert Vote.model_validate_json(vote.model_dump_json()) == vote


def test_an_undo_names_the_act():
    assert Vote(**UNDONE).undoes == "1" * 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act_id": "0" * 31}, "act_id"),
        ({"act_id": "G" * 32}, "act_id"),
        ({"grader": "../ann"}, "grader"),
        ({"grader": ""}, "grader"),
        ({"grader": "a" * 65}, "grader"),
        ({"subject": "object:../7"}, "subject"),
        ({"subject": "7"}, "subject"),
        ({"grade": "D"}, "grade"),
        ({"grade": None}, "a grade must be A, B, C or X"),
        ({"undoes": "1" * 32}, "takes back no act"),
        ({"reason": "spiral"}, "a reason goes with grade X only, got grade A"),
        ({"reason": "dull", "grade": "X"}, "reason"),
        ({"comment": "a" * 501}, "comment"),
        ({"decision_s": -0.1}, "decision_s"),
        # JSON has no infinity: such a file could not be read again.
        ({"decision_s": float("inf")}, "decision_s"),
        ({"object_id": 2**63}, "object_id"),
        ({"comment": "\ud800"}, "comment"),
        ({"graded_at": datetime(2026, 11, 24, 3)}, "time zone"),  # noqa: DTZ001 - what is refused
        ({"p_lens": 0.5}, "p_lens"),
    ],
)
def test_a_wrong_vote_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Vote(**GRADED | change)


@pytest.mark.parametrize("change", [{"undoes": None}, {"grade": "A"}])
def test_a_wrong_undo_is_refused(change):
    with pytest.raises(ValidationError, match="an undo names the act"):
        Vote(**UNDONE | change)


def test_every_grade_and_reason_has_a_meaning():
    assert list(GRADE_MEANINGS) == list(GRADES)
    assert list(REASON_MEANINGS) == list(REASONS)


def test_a_subject_names_an_object_of_a_catalogue():
    assert Vote(**GRADED | {"subject": subject_of(-12)}).subject == "object:-12"
