"""Every outcome that a catalogue may hold has its meaning, as the reference says it."""

from scanner.catalogue.outcomes import STATUSES
from scanner.review.report.outcomes import outcome_lines
from scanner.vocabulary.rejections import ADVICE, RejectCode


def test_every_status_has_a_meaning():
    lines = {line.status: line for line in outcome_lines(dict.fromkeys(STATUSES, 1), {})}
    assert set(lines) == STATUSES
    assert len({line.meaning for line in lines.values()}) == len(STATUSES)
    blank = lines["rejected:blank"]
    assert (blank.meaning, blank.advice) == ("All pixels are zero, so no data were taken there.", ADVICE[RejectCode.BLANK])
    assert lines["skipped:selection"].meaning.startswith("The scan selects sources")


def test_scored_comes_first_then_the_most_frequent():
    counts = {"rejected:blank": 5, "rejected:constant": 30, "scored": 15, "rejected:new_code": 0}
    lines = outcome_lines(counts, {"rejected:blank": "VIS"})
    assert [line.status for line in lines] == ["scored", "rejected:constant", "rejected:blank", "rejected:new_code"]
    assert [line.share for line in lines] == [0.3, 0.6, 0.1, 0.0]
    assert [line.detail for line in lines] == ["", "", "VIS", ""]
    assert lines[-1].meaning == "This version of lensscan has no such outcome."
    assert outcome_lines({}, {}) == []
