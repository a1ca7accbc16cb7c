"""Say what each outcome of a row means, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.notes import notes_of
from scanner.catalogue.outcomes import SCORED
from scanner.vocabulary.rejections import ADVICE, RejectCode
from scanner.vocabulary.skips import SKIP_ADVICE, SkipCode


@dataclass(frozen=True)
class OutcomeLine:
    """Rows with one outcome."""

    status: str
    n: int
    share: float
    meaning: str
    advice: str
    detail: str
    """Detail of one of the rows."""


def outcome_lines(statuses: Mapping[str, int], details: Mapping[str, str]) -> list[OutcomeLine]:
    """Return a line for each status with rows, scored rows first, then by number."""
    total = sum(statuses.values())
    order = sorted(statuses, key=lambda status: (status != SCORED, -statuses[status], status))
    found = []
    for status in order:
        meaning, advice = _about(status)
        found.append(OutcomeLine(status, statuses[status], statuses[status] / total, meaning, advice, details.get(status, "")))
    return found


def _about(status: str) -> tuple[str, str]:
    kind, _, code = status.partition(":")
    if status == SCORED:
        return "The networks gave the object a score.", ""
    if kind == "rejected" and code in set(RejectCode):
        reject = RejectCode(code)
        return notes_of(RejectCode)[reject.name], ADVICE[reject]
    if kind == "skipped" and code in set(SkipCode):
        skip = SkipCode(code)
        return notes_of(SkipCode)[skip.name], SKIP_ADVICE[skip]
    return "This version of lensscan has no such outcome.", ""
