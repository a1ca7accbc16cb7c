"""Votes from an export of Zooniverse: what volunteers say, of unchanged subjects only, and the same at every import."""

import json
from datetime import UTC, datetime

import pytest

from scanner.review.votes.effective import effective_votes
from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote
from scanner.review.zooniverse.classifications import Tasks, votes_from_export
from scanner.review.zooniverse.manifest import CHECK, Subject, ZooniverseError, row_of
from tests.scanner.review.votes.made_votes import HOSTILE
from tests.scanner.review.zooniverse.exports import COLUMNS, classification, export_of

BIG = 2684100312512345678
ROW = row_of(Subject(f"object:{BIG}", BIG, "candidate", None), b"png")
GOLD = row_of(Subject("gold:12", None, "gold_nonlens", None), b"gold")
FOREIGN = {"Filename": "tutorial.png"}


def votes(*rows, **tasks):
    return votes_from_export("x.csv", export_of(*rows), Tasks(**tasks))


def test_a_classification_is_a_vote():
    found = votes(classification(123, ROW))
    (vote,) = found.votes
    assert (found.n_other, found.n_unanswered) == (0, 0)
    expected = {
        "act": "grade",
        "grader": "zooniverse-17",
        "subject": f"object:{BIG}",
        "object_id": BIG,
        "role": "candidate",
        "grade": "A",
        "decision_s": 7.5,
        "page_version": "zooniverse 99 3.12",
        "graded_at": datetime(2026, 11, 24, 3, 0, 7, 750000, UTC),
    }
    assert vote == Vote(act_id=vote.act_id, **expected)


def test_the_same_classification_is_the_same_act():
    first, second = classification(1, ROW), classification(2, ROW)
    ids = [vote.act_id for vote in votes(first, second).votes]
    assert len(set(ids)) == 2
    assert votes(second).votes == votes(first, second).votes[1:]
    # A field that a later export may write otherwise.
    assert votes({**first, "user_ip": "other"}).votes == votes(first).votes


def test_another_meaning_of_an_answer_is_no_second_vote(tmp_path):
    """The log refuses the act that an export under another --answer would change."""
    (first,), (second,) = (votes(classification(1, ROW, "Yes"), answers={"Yes": grade}).votes for grade in "AB")
    log = VoteLog(str(tmp_path))
    log.append(first)
    with pytest.raises(VoteError, match="holds another act of zooniverse-17"):
        log.append(second)


def test_the_last_answer_of_a_volunteer_counts():
    """Numbers of views would change with an export that holds other classifications, and an act never changes."""
    later = {"started_at": "2026-11-25T03:00:00Z", "finished_at": "2026-11-25T03:00:07Z"}
    rows = classification(1, ROW), classification(2, ROW, "C", metadata=json.dumps(later))
    assert [vote.grade for vote in effective_votes(votes(*rows).votes)] == ["C"]


@pytest.mark.parametrize(
    ("answer", "answers", "grade"),
    [
        *(("A", {}, "A"), ("B: probable", {}, "B"), ("C - possible", {}, "C"), (" X ", {}, "X"), ("X!", {}, "X")),
        *(("Yes", {"yes": "B"}, "B"), ("No lens", {"No lens": "X"}, "X"), (1, {"0": "A", "1": "X"}, "X")),
        ("A gap", {"a gap": "C"}, "C"),
    ],
)
def test_answers_mean_grades(answer, answers, grade):
    assert votes(classification(1, ROW, answer), answers=answers).votes[0].grade == grade


@pytest.mark.parametrize("answer", ["Yes", "Another", "a", "", "Xylophone", ["A"], 0, "<script>"])
def test_an_answer_without_a_meaning_is_refused(answer):
    with pytest.raises(
        ZooniverseError, match=r"x.csv, line 3: the answer .* to T0 has no meaning; name another --task, or the"
    ):
        votes(classification(1, ROW), classification(2, ROW, answer))


def test_reasons_and_comments_come_from_their_tasks():
    rows = [
        classification(1, ROW, "X", answers={"T1": "Edge-on", "T2": "=1+1"}),
        classification(2, ROW, "A", answers={"T1": "star", "T2": None}),
        classification(3, ROW, "X", answers={"T1": None, "T2": "a" * 600}),
    ]
    found = votes(*rows, reason="T1", comment="T2").votes
    assert [(vote.reason, vote.comment) for vote in found] == [("edge-on", "=1+1"), (None, ""), (None, "a" * 500)]
    assert [(vote.reason, vote.comment) for vote in votes(*rows).votes] == [(None, "")] * 3
    with pytest.raises(ZooniverseError, match=r"line 2: the reason must be one of merger, .*, got 'dull'"):
        votes(classification(1, ROW, "X", answers={"T1": "dull"}), reason="T1")


def test_tasks_inside_a_combined_task_are_found():
    inside = [{"task": "T0", "value": "C"}, {"task": "T2", "value": "text"}]
    row = classification(1, ROW, annotations=json.dumps([{"task": "T9", "value": inside}, {"task": "T8", "value": []}]))
    assert [(vote.grade, vote.comment) for vote in votes(row, comment="T2").votes] == [("C", "text")]


def test_hostile_texts_stay_texts():
    rows = [
        classification(n, ROW, user_name=text, user_id="" if n % 2 else text, answers={"T2": text})
        for n, text in enumerate(HOSTILE)
    ]
    found = votes(*rows, comment="T2").votes
    assert [vote.comment for vote in found] == list(HOSTILE)
    assert all(vote.grader.startswith("zooniverse-anonymous-") for vote in found)
    assert len({vote.grader for vote in found}) == len(HOSTILE)


@pytest.mark.parametrize("user_id", ["", "null", "\u0661", "1\n", "-1", "9" * 21, "../x"])
def test_a_user_without_a_number_is_anonymous(user_id):
    (vote,) = votes(classification(1, ROW, user_id=user_id)).votes
    assert vote.grader == votes(classification(2, ROW, user_id="")).votes[0].grader
    assert vote.grader.startswith("zooniverse-anonymous-")


def test_gold_keeps_its_role_and_has_no_object():
    (vote,) = votes(classification(1, GOLD, "X")).votes
    assert (vote.subject, vote.object_id, vote.role) == ("gold:12", None, "gold_nonlens")


def test_other_subjects_workflows_and_missing_answers_are_counted():
    rows = [
        classification(1, FOREIGN, "anything"),
        classification(2, ROW, workflow_id="7"),
        classification(3, ROW, None),
        classification(4, ROW, annotations="[]"),
        classification(5, ROW),
    ]
    found = votes(*rows, workflow="99")
    assert (len(found.votes), found.n_other, found.n_unanswered) == (1, 2, 2)
    assert votes().votes == []


@pytest.mark.parametrize(
    "change",
    [
        *({name: "1"} for name in ("#subject", "#object_id", "#role", "#picture", CHECK)),
        {"#object_id": str(float(BIG))},
        {"#object_id": BIG + 1},
        {"#role": "gold_lens"},
    ],
)
def test_a_changed_subject_is_refused(change):
    with pytest.raises(ZooniverseError, match=r"x.csv, line 3: the subject was changed after the export: #subject '"):
        votes(classification(1, ROW), classification(2, ROW | change))


@pytest.mark.parametrize("left_out", ["#subject", "#object_id", "#role", "#picture", CHECK])
def test_a_subject_that_lacks_a_column_is_refused(left_out):
    with pytest.raises(ZooniverseError, match="the subject was changed"):
        votes(classification(1, {name: value for name, value in ROW.items() if name != left_out}))


def test_a_number_in_json_is_the_same_id():
    assert votes(classification(1, ROW | {"#object_id": BIG})).votes == votes(classification(1, ROW)).votes


def test_times_come_from_the_volunteer_or_the_server():
    no_times = classification(1, ROW, metadata="{}")
    turned_back = classification(
        1, ROW, metadata='{"started_at": "2026-11-24T03:00:09Z", "finished_at": "2026-11-24T03:00:07"}'
    )
    (first,), (second,) = votes(no_times).votes, votes(turned_back).votes
    assert (first.graded_at, first.decision_s) == (datetime(2026, 11, 24, 3, 0, 8, tzinfo=UTC), 0)
    assert (second.graded_at, second.decision_s) == (datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": "["}, "is no classification: JSONDecodeError"),
        ({"annotations": "{}"}, "without an answer"),
        ({"annotations": "[1]"}, "is no classification: AttributeError"),
        ({"annotations": "[" * 60_000}, "is no classification: RecursionError"),
        ({"annotations": '[{"value": "A"}]'}, "is no classification: KeyError"),
        ({"metadata": "null"}, "is no classification: AttributeError"),
        ({"metadata": '{"finished_at": "noon"}'}, "is no classification: ValueError"),
        ({"subject_data": "7"}, "is no classification: AttributeError"),
        ({"classification_id": "x" * 10_000}, "is no classification: ValueError"),
        ({"subject_data": json.dumps({"1": ROW, "2": ROW})}, "a classification must be of one subject, got 2"),
    ],
)
def test_a_row_that_is_no_classification_is_named(change, message):
    row = classification(1, ROW, **change)
    if message == "without an answer":
        assert votes(row).n_unanswered == 1
        return
    with pytest.raises(ZooniverseError, match=f"x.csv, line 2: {message}") as raised:
        votes(row)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.csv: is no export of classifications: it lacks the columns classification_id"),
        (b"object_id,VIS\n1,a\n", "it lacks the columns classification_id"),
        (",".join(COLUMNS).encode() + b"\n\xff\n", "x.csv: must be a CSV file in UTF-8, got other bytes"),
        (",".join(COLUMNS).encode() + b"\n1,2\n", "x.csv, line 2: must have 14 cells, got 2"),
        (",".join(COLUMNS).encode() + b'\n"1\n', "x.csv, line 2: is no row of CSV"),
        (",".join(COLUMNS).encode() + b"\n" + b"1" * 140_000 + b"\n", "x.csv, line 2: is no row of CSV: field larger"),
    ],
)
def test_another_file_is_refused(data, message):
    with pytest.raises(ZooniverseError, match=message):
        votes_from_export("x.csv", data, Tasks())
