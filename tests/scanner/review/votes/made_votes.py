"""Votes for tests."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from scanner.review.votes.grades import GRADES, REASONS
from scanner.review.votes.vote import Vote, subject_of

START = datetime(2026, 11, 24, 3, tzinfo=UTC)
HOSTILE = (
    '=HYPERLINK("http://evil.example","click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r\n=1",
    "'=1",
    " =1",
    "\ufeff=1",
    "''",
    "'tis a ring",
    "\uff1d1",
    'a,b;"c"\r\nd\re\n',
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} %s %n {0}",
    "'; DROP TABLE votes; --",
    "../../etc/passwd",
    "\x00\x1b[31m\u202eevil\u2028\ufeff",
    " spaces ",
    "",
)
"""Comments that programs have taken for something else than text."""


def vote_of(number, /, grader="ann", grade="A", **changes):
    """Return the grade of an object; the number is that of the act and of the object, and of the seconds since the start."""
    given = {
        "act_id": f"{number:032x}",
        "act": "grade",
        "grader": grader,
        "subject": subject_of(number),
        "object_id": number,
        "grade": grade,
        "graded_at": START + timedelta(seconds=number),
    }
    return Vote.model_validate(given | changes)


def undo_of(number, undone, grader="ann", **changes):
    """Return the act with this number, which takes back the act with the number `undone`."""
    return vote_of(number, grader, None, act="undo", undoes=f"{undone:032x}", **changes)


minutes = st.integers(-14 * 60, 14 * 60)
times = st.integers(946_771_200_000_000, 4_102_272_000_000_000)
"""Microseconds since 1970: from 2000-01-02 to 2099-12-30."""
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


@st.composite
def acts(draw, n_acts=12):
    """Draw grades and undos of two graders for three subjects at few different times, each act once."""
    made = []
    for number in range(draw(st.integers(0, n_acts))):
        grader = draw(st.sampled_from(["ann", "bob"]))
        at = START + timedelta(seconds=draw(st.integers(0, 3)))
        subject = {"subject": subject_of(draw(st.integers(0, 2))), "object_id": None, "graded_at": at}
        subject["is_blind"] = draw(st.booleans())
        if draw(st.booleans()):
            made.append(vote_of(number, grader, draw(st.sampled_from(GRADES)), repeat=draw(st.integers(0, 1)), **subject))
        else:
            made.append(undo_of(number, draw(st.integers(0, n_acts)), grader, **subject))
    return made


@st.composite
def any_vote(draw):
    """Draw a grade with any text and any number in its fields."""
    grade = draw(st.sampled_from(GRADES))
    return vote_of(
        7,
        grade=grade,
        act_id=f"{draw(st.integers(0, 16**32 - 1)):032x}",
        object_id=draw(st.sampled_from([None, 7])),
        reason=draw(st.sampled_from([None, *REASONS])) if grade == "X" else None,
        comment=draw(texts),
        page_version=draw(texts),
        repeat=draw(st.integers(0, 9)),
        is_compound=draw(st.booleans()),
        is_interesting=draw(st.booleans()),
        is_blind=draw(st.booleans()),
        decision_s=draw(st.floats(0, 1e300)),
        graded_at=datetime.fromtimestamp(0, timezone(timedelta(minutes=draw(minutes)))) + timedelta(microseconds=draw(times)),
    )
