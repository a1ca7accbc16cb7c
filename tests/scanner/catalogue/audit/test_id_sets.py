"""Check that ids are compared exactly and in bounded memory."""

import resource

import numpy as np
import pytest

from scanner.catalogue.audit.id_sets import Difference, ScratchError, id_sets
from scanner.catalogue.columns import unit_schema
from tests.scanner.audited import scores_of
from tests.scanner.catalogue_parts import NETWORKS


def test_differences_are_named_by_unit_and_id():
    with id_sets(["u", "v", "w"]) as sets:
        sets.add_planned(0, np.array([1, 2, 3]))
        sets.add_planned(1, np.array([4]))
        sets.add_found(0, np.array([3, 1, 5]))
        sets.add_found(1, np.array([4, 4]))
        # The planned ids of this unit are not known, so none of its ids counts as extra.
        sets.add_found(2, np.array([9]))
        assert sets.missing() == Difference(n=1, examples=("u: 2",))
        assert sets.extra() == Difference(n=1, examples=("u: 5",))
        assert sets.duplicate() == Difference(n=1, examples=("v: 4",))


def test_an_id_in_two_units_is_a_duplicate():
    with id_sets(["u", "v"]) as sets:
        sets.add_found(1, np.array([7]))
        sets.add_found(0, np.array([7]))
        assert sets.duplicate() == Difference(n=1, examples=("u: 7",))


def test_at_most_five_examples_are_given():
    with id_sets(["u"]) as sets:
        sets.add_planned(0, np.arange(7))
        assert sets.missing() == Difference(n=7, examples=tuple(f"u: {i}" for i in range(5)))


def test_a_failure_of_the_database_is_one_line():
    with pytest.raises(ScratchError, match=r"^temporary files: .*nowhere"), id_sets(["u"]) as sets:
        sets.rows_lacking("nowhere", "planned")


def test_a_million_ids_are_compared_within_bounds(rng):
    """The ids are in random order, with known numbers of missing, extra and duplicate ones."""
    n = 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ids = rng.permutation(np.arange(n, dtype=np.int64))
    with id_sets(["u", "v"]) as sets:
        for unit, half in enumerate(np.array_split(ids, 2)):
            sets.add_planned(unit, half)
            sets.add_found(unit, half[half % 1000 != 7])
        sets.add_found(1, np.array([n + 1, n + 2]))
        sets.add_found(0, ids[:3])
        lost, extra, twice = sets.missing(), sets.extra(), sets.duplicate()
    assert (lost.n, extra.n, twice.n) == (1000, 2, int((ids[:3] % 1000 != 7).sum()))
    assert extra.examples == (f"v: {n + 1}", f"v: {n + 2}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


def test_rows_are_compared_with_their_nulls():
    table = unit_schema(NETWORKS).empty_table()
    some = scores_of([1, 2, 3])
    with id_sets(["u"]) as sets:
        for name, rows in {"one": some, "other": some, "none": table}.items():
            sets.add_rows(name, rows)
        assert sets.rows_lacking("one", "other") == Difference()
        assert sets.rows_lacking("one", "none") == Difference(n=3, examples=("1", "2", "3"))
