"""The choice of a sample depends on names alone."""

import numpy as np

from scanner.quality.sample import chosen_ids, chosen_units
from tests.scanner.catalogue_parts import unit_of


def test_the_order_of_ids_and_units_does_not_matter(rng):
    ids = rng.permutation(np.arange(-500, 500))
    chosen = chosen_ids(ids, 30)
    assert len(set(chosen.tolist())) == 30
    assert chosen.tolist() == chosen_ids(ids[::-1], 30).tolist() == sorted(chosen.tolist())
    units = [unit_of(f"t{i}", [i]) for i in range(50)]
    assert chosen_units(units, 4) == chosen_units(units[::-1], 4)
    assert len(chosen_units(units[:2], 4)) == 2


def test_more_objects_keep_those_that_are_chosen_already():
    first = set(chosen_ids(np.arange(1000), 20).tolist())
    assert first < set(chosen_ids(np.arange(1000), 40).tolist())


def test_chosen_ids_are_spread_like_a_random_choice():
    # 300 of 100 000: the mean of a uniform sample has a standard error of 100 000 / sqrt(12 * 300).
    chosen = chosen_ids(np.arange(100_000), 300)
    assert abs(chosen.mean() - 50_000) < 4 * 100_000 / np.sqrt(12 * 300)
