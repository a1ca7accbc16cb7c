"""The session of a grader: what is stored, what is told before and after a vote, and what survives a restart."""

import math
import re

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.catalogue.wanted import Wanted
from scanner.review.vetting.acts import PageAct, PageActs
from scanner.review.vetting.candidates import every_subject
from scanner.review.vetting.gold import GoldSet
from scanner.review.vetting.order import Order
from scanner.review.vetting.session import MOST_IMAGES, NotYetError
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from tests.scanner.review.votes.made_votes import vote_of
from tests.vetting import FIRST, act_of, catalogue_of, gold_of, session_of


@pytest.fixture
def root(tmp_path):
    catalogue_of(tmp_path)
    return str(tmp_path)


def acts(*sent):
    return PageActs(acts=list(sent)).read()[0]


def item_of(session, name):
    return next(item for item in session.items if item.subject.name == name and not item.repeat)


def test_an_act_becomes_a_vote_on_its_subject(root):
    session = session_of(root)
    item = item_of(session, f"object:{FIRST}")
    act = act_of(item.key, "X", reason="spiral", comment="arms", is_interesting=True, decision_s=2.5, page_version="p1")
    assert session.take(acts(act)) == {"stored": [act["act_id"]], "refused": []}
    (vote,) = VoteLog(root).votes()
    assert (vote.subject, vote.object_id, vote.role, vote.repeat) == (f"object:{FIRST}", FIRST, "candidate", 0)
    assert (vote.grader, vote.grade, vote.reason, vote.comment, vote.decision_s) == ("anna", "X", "spiral", "arms", 2.5)
    assert (vote.is_interesting, vote.is_compound, vote.is_blind, vote.page_version) == (True, False, True, "p1")
    assert vote.act_id == act["act_id"]


def test_an_act_that_comes_twice_counts_once(root):
    session = session_of(root)
    act = act_of(session.items[0].key)
    for _ in range(2):
        assert session.take(acts(act, act)) == {"stored": 2 * [act["act_id"]], "refused": []}
    assert session_of(root).take(acts(act))["stored"] == [act["act_id"]], "also by another server"
    assert len(VoteLog(root).votes()) == 1
    other = act | {"grade": "B"}
    assert session.take(acts(other))["refused"][0]["act_id"] == act["act_id"]


def test_an_act_that_is_stored_needs_no_store(root, monkeypatch):
    session = session_of(root)
    sent = [act_of(item.key) for item in session.items[:5]]
    session.take(acts(*sent[:4]))
    asked = []
    monkeypatch.setattr(session._log, "append", asked.append)
    assert session.take(acts(*sent))["stored"] == [act["act_id"] for act in sent]
    assert [vote.act_id for vote in asked] == [sent[4]["act_id"]]


def test_contradictions_and_unknown_views_are_refused_alone(root):
    session = session_of(root)
    good, bad, lost = act_of(session.items[0].key), act_of(session.items[1].key, "A", reason="star"), act_of("0" * 20)
    found = session.take(acts(bad, good, lost))
    assert found["stored"] == [good["act_id"]]
    assert [one["act_id"] for one in found["refused"]] == [bad["act_id"], lost["act_id"]]
    assert "reason goes with grade X only" in found["refused"][0]["error"]
    assert "no such subject in this catalogue" in found["refused"][1]["error"]


@pytest.mark.parametrize(
    "change",
    [{"act_id": "x"}, {"item": "../x"}, {"grade": "D"}, {"decision_s": -1}, {"comment": "x" * 501}, {"subject": "object:1"}],
)
def test_acts_of_another_form_are_no_acts(change):
    with pytest.raises(ValidationError):
        PageAct.model_validate(act_of("0" * 20) | change)


def test_an_act_kept_since_another_session_finds_its_subject(root):
    """A page keeps what it could not send; by then the command may run with other options."""
    gold = gold_of(2)
    wide = session_of(root, gold=gold)
    lost = [item_of(wide, f"object:{FIRST + 11}"), item_of(wide, gold[0].answer.name)]
    narrow = session_of(root, wanted=Wanted(limit=3), seed=5, elsewhere=lambda: every_subject(root, GoldSet(gold)))
    sent = [act_of(item.key) for item in lost]
    assert narrow.take(acts(*sent)) == {"stored": [act["act_id"] for act in sent], "refused": []}
    votes = {vote.act_id: vote for vote in VoteLog(root).votes()}
    assert [votes[act["act_id"]].subject for act in sent] == [item.subject.name for item in lost]
    with pytest.raises(NotYetError):
        narrow.images([lost[0].key])


def test_blind_graders_are_told_nothing_before_their_vote(root):
    session = session_of(root)
    key = session.items[4].key
    with pytest.raises(NotYetError, match="once this is graded"):
        session.facts(key)
    graded = act_of(key)
    session.take(acts(graded))
    assert session.facts(key)["lines"]
    session.take(acts(act_of(key, None, act="undo", undoes=graded["act_id"])))
    with pytest.raises(NotYetError):
        session.facts(key)
    assert session_of(root, is_blind=False).facts(key)["lines"]


def test_the_state_tells_no_subject_from_another(root):
    session = session_of(root, gold=gold_of(6, ("gold_lens", "gold_nonlens", "training_lens")))
    state = session.state()
    assert {len(entry) for entry in state["items"]} == {2}
    assert sum(training for _, training in state["items"]) == 2
    text = str({name: part for name, part in state.items() if name not in {"grades", "reasons"}})
    for word in ("gold", "object", "lens", "role", "0.98"):
        assert word not in text, word
    # The random keys of the subjects may hold its digits.
    assert not re.search(rf"\b{FIRST}\b", text)
    sizes = {len(session.images([key])) for key, _ in state["items"]}
    assert sizes == {8 + 2 * 4 * 80 * 80}


def test_the_state_has_the_own_acts_alone(root):
    session = session_of(root)
    mine = act_of(session.items[0].key, "B")
    session.take(acts(mine))
    VoteLog(root).append(vote_of(FIRST, "bob", "A", comment="look"))
    # Another server of the same grader stores an act, too.
    again = act_of(session.items[1].key, "C")
    session_of(root).take(acts(again))
    state = session.state()
    assert {act["act_id"]: (act["item"], act["grade"]) for act in state["acts"]} == {
        mine["act_id"]: (session.items[0].key, "B"),
        again["act_id"]: (session.items[1].key, "C"),
    }
    assert session.n_graded == 2
    assert "bob" not in str(state)


def test_evidence_has_the_grades_of_others_that_count(root):
    log = VoteLog(root)
    log.append(vote_of(FIRST, "bob", "A"))
    log.append(vote_of(FIRST + 1, "bob", "X"))
    log.append(vote_of(7, "bob", "C", subject=f"object:{FIRST}", object_id=FIRST))
    session = session_of(root)
    item = item_of(session, f"object:{FIRST}")
    session.take(acts(act_of(item.key)))
    told = session.facts(item.key)
    # The act of second 7 is older than that of second 1001.
    assert [(one["grader"], one["grade"]) for one in told["others"]] == [("bob", "A")]
    assert len(effective_votes(log.votes())) == 3


def test_a_second_view_is_known_once_the_first_is_told(root):
    subjects = session_of(root)._material.subjects
    seed = next(seed for seed in range(1000) if any(item.repeat for item in Order(seed, "anna").items(subjects)))
    session = session_of(root, seed=seed)
    again = next(item for item in session.items if item.repeat)
    first = item_of(session, again.subject.name)
    session.take(acts(act_of(first.key, "A"), act_of(again.key, "C")))
    assert session.facts(first.key)["same"] == [again.key]
    found = {(vote.repeat, vote.grade) for vote in VoteLog(root).votes()}
    assert found == {(0, "A"), (1, "C")}


def test_gold_is_answered_after_the_vote(root):
    gold = gold_of(2)
    session = session_of(root, gold=gold)
    item = item_of(session, gold[0].answer.name)
    act = act_of(item.key)
    session.take(acts(act))
    assert session.facts(item.key)["answer"] == gold[0].told()
    (vote,) = VoteLog(root).votes()
    assert (vote.role, vote.object_id) == ("gold_lens", None)


def test_images_are_asked_for_by_the_key(root):
    session = session_of(root)
    items = [item_of(session, f"object:{FIRST + i}") for i in (3, 0)]
    data = session.images([item.key for item in items])
    record = 8 + 2 * 4 * 80 * 80
    for k, i in enumerate((3, 0)):
        values = np.frombuffer(data[k * record + 8 : (k + 1) * record], "<i2")
        assert values[:3].tolist() == [(FIRST + i + j) % 100 for j in range(3)]
    for keys in ([], [items[0].key] * (MOST_IMAGES + 1)):
        with pytest.raises(NotYetError, match="images can be asked for at once"):
            session.images(keys)


def test_warming_up_reads_what_comes_first(root):
    session = session_of(root)
    session.warm_up()
    assert len(session._material._pixels._images) == 12


@pytest.mark.server
def test_a_catalogue_in_a_store_is_graded_alike(s3):
    catalogue_of(s3, n=3)
    session = session_of(s3)
    assert len(session.images([item.key for item in session.items])) == 3 * (8 + 2 * 4 * 80 * 80)
    act = act_of(session.items[0].key)
    for _ in range(2):
        assert session.take(acts(act))["stored"] == [act["act_id"]]
    assert session.facts(session.items[0].key)["maps"]
    assert [vote.act_id for vote in VoteLog(s3).votes("anna")] == [act["act_id"]]


def embedded(root, n=12):
    """Make a catalogue in which the candidates lie on a circle: nearest are the neighbours by id."""
    angles = {FIRST + i: i * 0.1 for i in range(n)}
    values = {i: [math.cos(angle), math.sin(angle), *[0.0] * 30] for i, angle in angles.items()}
    catalogue_of(root, n, embeddings=values, reference_sha256="a" * 64)
    return str(root)


def names_of(session, keys):
    views = {item.key: item for item in session.items}
    assert not any(views[key].repeat for key in keys)
    return [int(views[key].subject.name.removeprefix("object:")) - FIRST for key in keys]


def test_open_graders_are_told_what_is_alike(tmp_path):
    session = session_of(embedded(tmp_path), gold=gold_of(4), is_blind=False)
    alike = names_of(session, session.facts(item_of(session, f"object:{FIRST}").key)["alike"])
    assert alike == list(range(1, 12))
    known = next(item for item in session.items if item.subject.object_id is None)
    assert session.facts(known.key)["alike"] == []
    assert session.facts(item_of(session, f"object:{FIRST}").key)["lines"].count(["anomaly", "0.50"]) == 1


def test_blind_graders_are_told_of_graded_views_alone(tmp_path):
    """A known subject has no embedding: a view that is like another is a candidate, which a blind grader must not know."""
    session = session_of(embedded(tmp_path), gold=gold_of(4))
    first = item_of(session, f"object:{FIRST}").key
    with pytest.raises(NotYetError):
        session.facts(first)
    session.take(acts(act_of(first)))
    assert session.facts(first)["alike"] == []
    for i in (7, 2):
        session.take(acts(act_of(item_of(session, f"object:{FIRST + i}").key)))
    assert names_of(session, session.facts(first)["alike"]) == [2, 7]


def test_a_catalogue_without_embeddings_has_nothing_alike(root):
    session = session_of(root, is_blind=False)
    assert session.facts(session.items[0].key)["alike"] == []
