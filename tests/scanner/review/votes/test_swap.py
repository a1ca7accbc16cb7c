"""SWAP, against its formulae written out by hand and against simulated graders."""

import math

import numpy as np
import pytest

from scanner.review.votes.swap import LEAST_SKILL, MOST_SKILL, Agent, swap
from tests.scanner.review.votes.graders import auroc
from tests.scanner.review.votes.made_votes import undo_of, vote_of

OBJECT = {"subject": "object:1", "object_id": 1}


def test_training_changes_one_skill():
    for role, said, skills in (
        ("training_lens", "A", ((0.5 * 4 + 1) / 5, 0.5)),
        ("gold_lens", "C", (0.5 * 4 / 5, 0.5)),
        ("gold_nonlens", "X", (0.5, (0.5 * 4 + 1) / 5)),
        ("training_nonlens", "B", (0.5, 0.5 * 4 / 5)),
    ):
        found = swap([vote_of(1, grade=said, role=role)], {})
        agent = found.agents["ann"]
        assert (agent.p_lens, agent.p_not) == pytest.approx(skills)
        assert (agent.n_lens, agent.n_not) == ((5, 4) if role.endswith("_lens") else (4, 5))
        assert found.p_lens == {}


def test_a_grade_after_the_answer_changes_no_skill():
    for role in ("training_lens", "gold_lens", "gold_nonlens"):
        assert swap([vote_of(1, role=role, is_blind=False)], {}).agents == {"ann": Agent()}


def test_a_vote_changes_the_subject_and_then_the_grader():
    agent = Agent(p_lens=0.8, p_not=0.9, n_lens=10, n_not=20)
    p = 0.01
    after_lens = p * 0.8 / (p * 0.8 + (1 - p) * (1 - 0.9))
    after_not = p * (1 - 0.8) / (p * (1 - 0.8) + (1 - p) * 0.9)
    assert agent.judge(p, says_lens=True) == pytest.approx(after_lens)
    assert agent.judge(p, says_lens=False) == pytest.approx(after_not)
    learnt = agent.learn(0.3, says_lens=True)
    assert learnt.p_lens == pytest.approx((0.8 * 10 + 0.3) / 10.3)
    assert learnt.p_not == pytest.approx(0.9 * 20 / 20.7)
    learnt = agent.learn(0.3, says_lens=False)
    assert learnt.p_lens == pytest.approx(0.8 * 10 / 10.3)
    assert learnt.p_not == pytest.approx((0.9 * 20 + 0.7) / 20.7)
    assert (learnt.n_lens, learnt.n_not) == pytest.approx((10.3, 20.7))


def test_a_subject_starts_at_its_own_probability():
    """The first vote of an unknown grader says nothing; what the grader then learns depends on that probability."""
    votes = [vote_of(1, **OBJECT), vote_of(2, "ann", "A", subject="object:2", object_id=2)]
    found = swap(votes, {"object:1": 0.9, "object:2": 0.01})
    assert found.p_lens["object:1"] == pytest.approx(0.9)
    p_lens, p_not = (0.5 * 4 + 0.9) / 4.9, 0.5 * 4 / 4.1
    assert found.p_lens["object:2"] == pytest.approx(0.01 * p_lens / (0.01 * p_lens + 0.99 * (1 - p_not)))
    assert swap(votes[:1], {}).p_lens == {"object:1": 0.5}
    assert swap(votes, {}, supervised_only=True).agents["ann"] == Agent()


def test_a_grader_learns_from_the_probability_after_the_vote():
    trained = Agent().learn(1, says_lens=True)
    found = swap([vote_of(1, role="gold_lens", subject="gold:9"), vote_of(2, **OBJECT)], {"object:1": 0.3})
    after = trained.judge(0.3, says_lens=True)
    assert found.p_lens["object:1"] == pytest.approx(after)
    assert after != pytest.approx(0.3)
    assert found.agents["ann"] == trained.learn(after, says_lens=True)


def test_undone_and_repeated_votes_do_not_count():
    once = swap([vote_of(1, **OBJECT)], {"object:1": 0.2})
    again = vote_of(2, grade="X", repeat=1, **OBJECT)
    assert swap([again, vote_of(1, **OBJECT), vote_of(3, grade="C"), undo_of(4, 3)], {"object:1": 0.2}) == once


def test_skills_stay_within_their_limits():
    votes = [vote_of(n, role="gold_lens", subject=f"gold:{n}") for n in range(500)]
    assert swap(votes, {}).agents["ann"].p_lens == MOST_SKILL
    wrong = [vote.model_copy(update={"grade": "X"}) for vote in votes]
    assert swap(wrong, {}).agents["ann"].p_lens == LEAST_SKILL


def test_information_is_that_of_the_joint_probabilities():
    for p_lens, p_not in ((0.5, 0.5), (0.99, 0.99), (0.3, 0.9), (0.7, 0.3), (1.0, 1.0)):
        joint = 0.5 * np.array([[p_lens, 1 - p_lens], [1 - p_not, p_not]])
        independent = joint.sum(1)[:, None] * joint.sum(0)[None]
        bits = sum(p * math.log2(p / q) for p, q in zip(joint.ravel(), independent.ravel(), strict=True) if p)
        assert Agent(p_lens, p_not).information_bits == pytest.approx(bits, abs=1e-12)


def test_known_answers_and_skilled_graders_find_the_lenses(rng):
    skills = {"ann": (0.9, 0.95), "bob": (0.8, 0.8), "cyd": (0.55, 0.5)}
    is_lens, votes = rng.random(300) < 0.2, []
    for i, lens in enumerate(is_lens):
        # Every third object is gold.
        role = "candidate" if i % 3 else "gold_lens" if lens else "gold_nonlens"
        for j, (name, (p_lens, p_not)) in enumerate(skills.items()):
            says_lens = rng.random() < (p_lens if lens else 1 - p_not)
            votes.append(vote_of(3 * i + j, name, "A" if says_lens else "X", subject=f"object:{i}", object_id=i, role=role))
    found = swap(votes, dict.fromkeys((f"object:{i}" for i in range(300)), 0.2))
    order = [f"object:{i}" for i in range(300) if i % 3]
    assert [*found.p_lens] == order
    assert auroc(np.array([found.p_lens[name] for name in order]), is_lens[np.arange(300) % 3 > 0]) > 0.95
    bits = [found.agents[name].information_bits for name in skills]
    assert bits == sorted(bits, reverse=True)
    assert swap(votes, {}, supervised_only=True).agents["ann"].p_lens == pytest.approx(0.9, abs=0.1)
