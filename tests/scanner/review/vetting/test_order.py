"""The order of a grader: fixed by seed and grader, mixed evenly, with a twentieth of the candidates twice."""

import re

import numpy as np
import pytest

from scanner.review.vetting.order import LEAST_BETWEEN, Order, Subject

CANDIDATES = [Subject(f"object:{i}", "candidate", i) for i in range(2000)]
GOLD = [Subject(f"gold:{i}", "gold_lens") for i in range(200)]
TRAINING = [Subject(f"gold:{1000 + i}", "training_nonlens") for i in range(6)]


def names(items):
    return [(item.subject.name, item.repeat) for item in items]


def test_training_comes_first_and_everything_once():
    items = Order(3, "ann").items([*CANDIDATES, *GOLD, *TRAINING])
    assert {item.subject for item in items[:6]} == set(TRAINING)
    first = [item.subject for item in items if not item.repeat]
    assert sorted(first, key=lambda s: s.name) == sorted([*CANDIDATES, *GOLD, *TRAINING], key=lambda s: s.name)


def test_a_twentieth_of_the_candidates_comes_twice_later():
    items = Order(3, "ann").items([*CANDIDATES, *GOLD])
    place = {entry: i for i, entry in enumerate(names(items))}
    again = [item for item in items if item.repeat]
    # Binomial with n = 2000 and p = 0.05: 100 +- 9.7.
    assert 60 < len(again) < 140
    assert {item.repeat for item in again} == {1}
    assert {item.subject.role for item in again} == {"candidate"}
    assert min(place[item.subject.name, 1] - place[item.subject.name, 0] for item in again) > LEAST_BETWEEN
    assert len({item.subject.name for item in again}) == len(again)


def test_gold_is_mixed_evenly():
    items = [item for item in Order(7, "ann").items([*CANDIDATES, *GOLD]) if not item.repeat]
    places = np.flatnonzero([item.subject.role == "gold_lens" for item in items]) / len(items)
    # Kolmogorov's distance from a uniform distribution exceeds 1.63 / sqrt(n) in 1 % of cases; the seed is fixed.
    assert np.abs(places - (np.arange(200) + 0.5) / 200).max() < 1.63 / np.sqrt(200)


@pytest.mark.parametrize("other", [Order(3, "bob"), Order(4, "ann")])
def test_graders_and_seeds_have_other_orders(other):
    one, two = (names(order.items(CANDIDATES)) for order in (Order(3, "ann"), other))
    assert one == names(Order(3, "ann").items(reversed(CANDIDATES)))
    shared = [entry for entry in one if entry in set(two)]
    places = np.array([two.index(entry) for entry in shared])
    assert abs(np.corrcoef(np.arange(len(places)), places)[0, 1]) < 0.1


def test_a_new_subject_moves_no_other():
    before = names(Order(3, "ann").items(CANDIDATES[:-1]))
    after = names(Order(3, "ann").items(CANDIDATES))
    assert [entry for entry in after if entry[0] != CANDIDATES[-1].name] == before


def test_few_subjects_come_again_where_five_others_fit_between():
    """The first view lies at a random place and the second at a random one after it.

    Between them lies a share q of the order, a product of two uniform numbers, and of 7 others k with probability
    (H_8 - H_k) / 8, where H are the harmonic numbers: 5 or more in 10.3 % of cases.
    """
    gaps = []
    for seed in range(2000):
        items = Order(seed, "ann").items(CANDIDATES[:8])
        place = {entry: i for i, entry in enumerate(names(items))}
        gaps += [i - place[name, 0] for (name, repeat), i in place.items() if repeat]
    expected = 2000 * 8 * 0.05 * (1 / 6 + 2 / 7 + 3 / 8) / 8
    assert abs(len(gaps) - expected) < 3 * np.sqrt(expected)
    assert min(gaps) == LEAST_BETWEEN + 1 == 6


def test_keys_tell_nothing_and_outlive_the_seed():
    items = Order(3, "ann").items([*CANDIDATES[:50], *GOLD[:50]])
    assert all(re.fullmatch("[0-9a-f]{20}", item.key) for item in items)
    assert len({item.key for item in items}) == len(items)
    every = Order(9, "ann").every_view([*CANDIDATES, *GOLD])
    assert all((every[item.key].subject, every[item.key].repeat) == (item.subject, item.repeat) for item in items)
    assert {item.key for item in items}.isdisjoint(Order(3, "bob").every_view([*CANDIDATES, *GOLD]))
