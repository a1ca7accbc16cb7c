"""The texts of `lensscan votes show` say each number in its place."""

import math

from flows.commands.votes_text import confusion_rows, skill_rows, summary_lines
from scanner.review.votes.agreement import Agreement
from scanner.review.votes.completeness import Share, Skill
from scanner.review.votes.summary import Chance, GraderSummary, VotesSummary

SKILL = Skill(12, Share.of(36, 40), Share.of(1, 50), Share.of(0, 0), 2.25)
LENSES = {grade: Chance(p, p - 0.05, p + 0.05) for grade, p in zip("ABCX", (0.5, 0.3, 0.15, 0.05), strict=True)}
OTHERS = {grade: Chance(p, p, p) for grade, p in zip("ABCX", (0.01, 0.04, 0.15, 0.8), strict=True)}
FOUND = VotesSummary(
    n_acts=1500,
    n_votes=1400,
    n_objects=1000,
    n_known=1,
    n_by_grade={"A": 10, "B": 20, "C": 70, "X": 900},
    agreement_nominal=Agreement(0.5, 0.45, 0.55, 900),
    agreement_ordinal=Agreement(0.7, 0.65, 0.75, 900),
    graders={"ann": GraderSummary(SKILL, LENSES, OTHERS, 0.456)},
)


def test_lines_say_counts_and_agreement():
    assert summary_lines(FOUND) == {
        "votes": "1,400 that count, of 1,500 acts of 1 grader",
        "objects": "1,000 graded: 10 A, 20 B, 70 C, 900 X",
        "known answers": "1 subject",
        "agreement": "alpha 0.70 (0.65 to 0.75) by rank, 0.50 (0.45 to 0.55) of equal grades, "
        "on 900 subjects of two graders or more",
    }


def test_an_undefined_agreement_is_named():
    nothing = Agreement(math.nan, math.nan, math.nan, 0)
    lines = summary_lines(VotesSummary(1, 1, 1, 0, {"A": 1}, nothing, nothing, {}))
    assert lines["agreement"].startswith("alpha undefined by rank, undefined of equal grades, on 0 subjects")


def test_rows_say_percentages_with_intervals():
    assert skill_rows(FOUND) == [
        {
            "grader": "ann",
            "votes": 12,
            "lenses found": "90% (77-96) of 40",
            "false positives": "2% (0-10) of 50",
            "same again": "none shown",
            "bits": "0.46",
            "seconds": "2.2",
        }
    ]
    assert confusion_rows(FOUND) == [
        {"grader": "ann", "of": "lenses", "A": "50% (45-55)", "B": "30% (25-35)", "C": "15% (10-20)", "X": "5% (0-10)"},
        {"grader": "ann", "of": "others", "A": "1% (1-1)", "B": "4% (4-4)", "C": "15% (15-15)", "X": "80% (80-80)"},
    ]
