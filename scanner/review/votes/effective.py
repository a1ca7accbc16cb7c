"""The grades that count: what graders took back or changed later is left out."""

from collections.abc import Iterable

from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import in_time
from scanner.review.votes.vote import Vote


def effective_votes(votes: Iterable[Vote]) -> list[Vote]:
    """Return the grades that count, sorted as in the log; the order of `votes`, and how often an act comes, do not matter.

    A grade that its grader took back does not count; an undo of an undo, or of another grader's act, changes nothing. Of the
    grades of a grader for the same view of a subject (`repeat`), the last counts.

    Raises:
        VoteError: two acts of a grader have the same id.
    """
    acts = list(distinct(votes).values())
    undone = {(act.grader, act.undoes) for act in acts if act.act == "undo"}
    grades = [act for act in acts if act.act == "grade" and (act.grader, act.act_id) not in undone]
    last = {(grade.grader, grade.subject, grade.repeat): grade for grade in sorted(grades, key=in_time)}
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
