"""The grades that count: what graders took back or changed later is left out."""

from collections.abc import Iterable

from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import in_time
from scanner.review.votes.vote import Vote


def effective_votes(votes: Iterable[Vote]) -> list[Vote]:
    """Return the grades that count, sorted as in the log; the order of `votes`, and how often an act comes, do not matter.

    A grade that its grader took back does not count; an undo of an undo, or of another grader's act, changes nothing. Of the
    grades of a grader for the same view of a subject (`repeat`), the last blind one counts, or the last if none is blind: once
    score or answer were shown, a changed grade says what the grader read, not what the grader saw.

    Raises:
        VoteError: two acts of a grader have the same id.
    """
    acts = list(distinct(votes).values())
    undone = {(act.grader, act.undoes) for act in acts if act.act == "undo"}
    grades = [act for act in acts if act.act == "grade" and (act.grader, act.act_id) not in undone]
    by_weight = sorted(grades, key=lambda grade: (grade.is_blind, in_time(grade)))
    last = {(grade.grader, grade.subject, grade.repeat): grade for grade in by_weight}
    return sorted(last.values(), key=in_time)


def distinct(votes: Iterable[Vote]) -> dict[tuple[str, str], Vote]:
    """Return each act once, by grader and act_id.

    Raises:
        VoteError: two acts of a grader have the same id.
    """
    acts: dict[tuple[str, str], Vote] = {}
    for vote in votes:
        if acts.setdefault((vote.grader, vote.act_id), vote) != vote:
            raise VoteError(f"two acts of {vote.grader} have the act_id {vote.act_id}; an act never changes")
    return acts
