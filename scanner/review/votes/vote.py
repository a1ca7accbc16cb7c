"""One act of a grader: a grade that was given, or a grade that was taken back."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from infra.frozen import Frozen
from scanner.review.votes.grades import Grade, Reason

Act = Literal["grade", "undo"]
Role = Literal["candidate", "gold_lens", "gold_nonlens", "training_lens", "training_nonlens"]
"""Purpose of a subject: a candidate to find out about, or an object whose answer is known, mixed in or shown at the start."""
ActId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
GraderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
SubjectId = Annotated[str, StringConstraints(pattern=r"^[a-z_]+:[A-Za-z0-9._-]{1,100}$")]
"""`object:<object_id>` for an object of a catalogue, `gold:<digits>` for an object whose answer is known."""


class Vote(Frozen):
    """One act of a grader, which never changes.

    The page makes `act_id` when the grader acts. An act that is sent twice has the same id, so that it counts once.
    """

    act_id: ActId
    act: Act
    grader: GraderName
    subject: SubjectId
    object_id: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """Identifier in the input catalogue; None for an object that no catalogue holds."""
    role: Role = "candidate"
    undoes: ActId | None = None
    """The act that this one takes back; None for a grade."""
    grade: Grade | None = None
    reason: Reason | None = None
    """Why the object is no lens; only with grade X."""
    is_compound: bool = False
    is_interesting: bool = False
    comment: Annotated[str, StringConstraints(max_length=500)] = ""
    repeat: Annotated[int, Field(ge=0, le=9)] = 0
    """0 when the grader sees the subject for the first time, 1 for the second time, and so on."""
    is_blind: bool = True
    """Whether score, position and maps were hidden when the grade was given."""
    decision_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Time from the first view of the subject to the act, in seconds."""
    page_version: Annotated[str, StringConstraints(max_length=64)] = ""
    graded_at: datetime
    """Time of the act by the grader's clock, with a time zone."""

    @property
    def may_know_answer(self) -> bool:
        """True for a grade of a known subject whose answer may have been shown before: it says nothing about the grader."""
        return self.role != "candidate" and not self.is_blind

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.act == "undo" and (self.undoes is None or self.grade is not None):
            raise ValueError("an undo names the act that it takes back, and has no grade")
        if self.act == "grade" and (self.undoes is not None or self.grade is None):
            raise ValueError("a grade must be A, B, C or X, and takes back no act")
        if self.reason is not None and self.grade != "X":
            raise ValueError(f"a reason goes with grade X only, got grade {self.grade}")
        if self.graded_at.tzinfo is None:
            raise ValueError(f"graded_at must have a time zone, got {self.graded_at.isoformat()}")
        if not 2000 <= self.graded_at.year < 2100:
            raise ValueError(f"graded_at must be in the years 2000 to 2099, got {self.graded_at.isoformat()}")
        return self


def subject_of(object_id: int) -> str:
    """Return the subject of an object of a catalogue."""
    return f"object:{object_id}"
