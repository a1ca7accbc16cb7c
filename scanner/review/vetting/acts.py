"""The message of the page about an act of a grader, and the vote that follows from it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, ValidationError

from infra.frozen import Frozen
from scanner.review.vetting.order import Item
from scanner.review.votes.grades import Grade, Reason
from scanner.review.votes.vote import Act, ActId, Vote

MOST_ACTS = 500
"""Largest number of acts in one message."""


class PageAct(Frozen):
    """An act as the page knows it: the view of a subject has a key, and the page knows no subject.

    A vote follows from the act and the view alone, so that an act that is sent twice gives the same vote twice.
    """

    act_id: ActId
    act: Act
    item: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    """Key of the view."""
    undoes: ActId | None = None
    grade: Grade | None = None
    reason: Reason | None = None
    is_compound: bool = False
    is_interesting: bool = False
    comment: Annotated[str, Field(max_length=500)] = ""
    is_blind: bool = True
    """Whether the page hid score, position and maps until this act; the page knows, because it asks for them."""
    decision_s: Annotated[float, Field(ge=0)] = 0.0
    page_version: Annotated[str, Field(max_length=64)] = ""
    graded_at: datetime


class PageActs(Frozen):
    """Acts in one message."""

    acts: Annotated[list[dict[str, object]], Field(max_length=MOST_ACTS)]

    def read(self) -> tuple[list[PageAct], list[dict[str, str]]]:
        """Return the acts, and the ids of those that are none with the reason, so that one of them holds no other up."""
        acts: list[PageAct] = []
        refused: list[dict[str, str]] = []
        for sent in self.acts:
            try:
                acts.append(PageAct.model_validate(sent))
            except ValidationError as error:
                first = error.errors()[0]
                text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
                refused.append({"act_id": str(sent.get("act_id", ""))[:32], "error": text})
        return acts, refused


def vote_of(act: PageAct, item: Item, grader: str) -> Vote:
    """Return the vote of an act of a grader on a view of a subject.

    Raises:
        pydantic.ValidationError: the act contradicts itself, such as a reason without grade X.
    """
    fields = act.model_dump(exclude={"item"})
    subject = item.subject
    return Vote(
        **fields, grader=grader, subject=subject.name, object_id=subject.object_id, role=subject.role, repeat=item.repeat
    )


def act_of(vote: Vote, item: Item) -> PageAct:
    """Return the act that a vote was made of, to show the grader what is done."""
    fields = vote.model_dump(exclude={"grader", "subject", "object_id", "role", "repeat"})
    return PageAct(**fields, item=item.key)
