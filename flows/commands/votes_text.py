"""Texts that `lensscan votes show` prints."""

from math import isnan
from typing import TYPE_CHECKING

from flows.commands.words import counted

if TYPE_CHECKING:
    from scanner.review.votes.agreement import Agreement
    from scanner.review.votes.completeness import Share
    from scanner.review.votes.summary import Chance, VotesSummary


def summary_lines(found: "VotesSummary") -> dict[str, str]:
    """Return the lines about all votes, name to text."""
    by_grade = ", ".join(f"{n:,} {grade}" for grade, n in found.n_by_grade.items())
    return {
        "votes": f"{found.n_votes:,} that count, of {counted(found.n_acts, 'act')} of {counted(len(found.graders), 'grader')}",
        "objects": f"{found.n_objects:,} graded: {by_grade}",
        "known answers": f"{counted(found.n_known, 'subject')}",
        "agreement": f"alpha {_agreement(found.agreement_ordinal)} by rank, {_agreement(found.agreement_nominal)} of equal "
        f"grades, on {counted(found.agreement_ordinal.n_units, 'subject')} of two graders or more",
    }


def skill_rows(found: "VotesSummary") -> list[dict[str, object]]:
    """Return a row for each grader: known lenses found, known non-lenses taken for lenses, grades repeated."""
    return [
        {
            "grader": name,
            "votes": one.skill.n_votes,
            "lenses found": _share(one.skill.completeness),
            "false positives": _share(one.skill.false_positives),
            "same again": _share(one.skill.same_again),
            "bits": f"{one.information_bits:.2f}",
            "seconds": f"{one.skill.median_decision_s:.1f}",
        }
        for name, one in found.graders.items()
    ]


def confusion_rows(found: "VotesSummary") -> list[dict[str, object]]:
    """Return two rows for each grader: the percentages of each grade for lenses and for non-lenses."""
    return [
        {"grader": name, "of": of, **{grade: _chance(chance) for grade, chance in chances.items()}}
        for name, one in found.graders.items()
        for of, chances in (("lenses", one.of_lenses), ("others", one.of_nonlenses))
    ]


def _agreement(found: "Agreement") -> str:
    return "undefined" if isnan(found.alpha) else f"{found.alpha:.2f} ({found.low:.2f} to {found.high:.2f})"


def _share(share: "Share") -> str:
    """Return a percentage with its interval and the number of subjects, such as `90% (77-96) of 40`."""
    if share.share is None:
        return "none shown"
    return f"{share.share:.0%} ({100 * share.low:.0f}-{100 * share.high:.0f}) of {share.n_all}"


def _chance(chance: "Chance") -> str:
    return f"{chance.p:.0%} ({100 * chance.low:.0f}-{100 * chance.high:.0f})"
