"""Check which rows of units become candidates, their order in the file, and the groups in which they are read."""

import numpy as np
import pyarrow as pa
import pytest

from scanner.catalogue.candidates import (
    ROWS_PER_GROUP,
    Candidates,
    are_equal,
    candidates_of,
    encode_candidates,
    groups_of,
    open_candidates,
)
from scanner.catalogue.columns import candidate_schema
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.maps import with_maps_as
from tests.scanner.catalogue_parts import NETWORKS, plan_of, scores, with_maps


@pytest.fixture
def plan():
    return plan_of({"a": [1, 2, 3, 4]}, candidate_threshold=0.5)


def gathered(*tables):
    candidates = Candidates()
    for table in tables:
        assert candidates.add(table)
    return candidates


def ids_of(groups):
    return [group["object_id"].to_pylist() for group in groups]


def test_candidates_of_a_unit_name_their_origin(plan):
    table = candidates_of(scores([1, 2, 3, 4], [0.5, 0.49, None, 0.75]), plan)
    assert table["object_id"].to_pylist() == [1, 4]
    assert table["ensemble"].to_pylist() == ["test"] * 2
    assert table["plan_id"].to_pylist() == [plan.plan_id] * 2


def test_candidates_of_all_units_come_best_first(plan):
    """Among equals, the smaller id comes first."""
    candidates = gathered(candidates_of(scores([4, 3], [0.75, 0.5]), plan), candidates_of(scores([9, 2], [1.0, 0.75]), plan))
    assert candidates.n_rows == 4
    groups = list(candidates.groups())
    assert ids_of(groups) == [[9, 2, 4, 3]]
    assert groups[0].schema.equals(candidate_schema(NETWORKS))


@pytest.mark.parametrize("mapped", [set(), {0, 5, 699}])
def test_many_units_give_the_bytes_of_one_sorted_table(plan, mapped):
    """A spool joins the tables of units now and then, which must not show."""
    p_lens = np.random.default_rng(1).integers(1, 40, 700) / 40
    rows = scores(range(700), p_lens.tolist())
    rows = with_maps(rows, mapped) if mapped else rows
    found = encode_candidates(gathered(*(candidates_of(rows.slice(i, 1), plan) for i in range(700))).groups())
    best = sorted((-p, i) for i, p in enumerate(p_lens) if p >= 0.5)
    ordered = candidates_of(rows.take(pa.array([i for _, i in best])), plan)
    size = ROWS_PER_GROUP if mapped else len(best)
    groups = [with_maps_as("fixed", ordered.slice(start, size)) for start in range(0, len(best), size)]
    assert found == encode_candidates(groups)


def test_units_without_candidates_give_one_empty_group(plan):
    assert ids_of(gathered(candidates_of(scores([1], [0.1]), plan)).groups()) == [[]]


def test_a_unit_with_other_columns_is_not_added(plan):
    candidates = gathered(candidates_of(scores([1], [0.9]), plan))
    assert not candidates.add(candidates_of(with_maps(scores([2], [0.9]), {0}), plan))
    assert candidates.n_rows == 1


def test_only_candidates_with_maps_are_read_in_groups(plan):
    ids = list(range(ROWS_PER_GROUP + 2))
    table = candidates_of(scores(ids, [0.9] * len(ids)), plan)
    assert ids_of(gathered(table).groups()) == [ids]
    mapped = candidates_of(with_maps(scores(ids, [0.9] * len(ids)), {0}), plan)
    expected = [ids[:ROWS_PER_GROUP], ids[ROWS_PER_GROUP:]]
    assert ids_of(gathered(mapped).groups()) == expected
    file = open_candidates(encode_candidates(gathered(mapped).groups()))
    assert ids_of(groups_of(file)) == expected
    assert file.read()[MAP_COLUMNS[0].name].null_count == len(ids) - 1


def test_a_file_holds_the_groups_that_were_encoded(plan):
    for table in (scores([1, 2], [0.9, 0.7]), with_maps(scores([1, 2], [0.9, 0.7]), {0, 1}), scores([], [])):
        candidates = gathered(candidates_of(table, plan))
        data = encode_candidates(candidates.groups())
        assert encode_candidates(candidates.groups()) == data
        assert are_equal(groups_of(open_candidates(data)), candidates.groups())


def test_schema_metadata_does_not_change_the_bytes(plan):
    groups = list(gathered(candidates_of(scores([1], [0.9]), plan)).groups())
    assert encode_candidates([groups[0].replace_schema_metadata({b"a": b"b"})]) == encode_candidates(groups)


def test_a_damaged_file_is_not_read(plan):
    data = encode_candidates(gathered(candidates_of(scores([1], [0.9]), plan)).groups())
    with pytest.raises(pa.ArrowInvalid):
        open_candidates(data[:-1])
    # The byte lies in the first page.
    damaged = data[:40] + bytes([data[40] ^ 0xFF]) + data[41:]
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        list(groups_of(open_candidates(damaged)))


def test_groups_are_equal_only_if_all_rows_are(plan):
    one, other = (list(gathered(candidates_of(scores([1], [p]), plan)).groups()) for p in (0.9, 0.8))
    assert are_equal(one, one)
    assert not are_equal(one, other)
    assert not are_equal(one, [])
    assert not are_equal(one, one + one)
