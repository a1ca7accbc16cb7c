"""Digests of object ids, against the standard library."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scanner.catalogue.units import id_digest

IDS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(IDS, max_size=20), st.randoms(use_true_random=False))
def test_id_digest_ignores_order(ids, random):
    assert id_digest(random.sample(ids, len(ids))) == id_digest(ids)


@given(st.lists(IDS, min_size=1, max_size=20))
def test_id_digest_sees_a_row_twice_and_a_row_missing(ids):
    assert len({id_digest(ids), id_digest([*ids, ids[0]]), id_digest(ids[1:])}) == 3


def test_id_digest_is_the_sha256_of_sorted_bytes():
    expected = hashlib.sha256(b"".join(i.to_bytes(8, "little", signed=True) for i in (-7, 3))).hexdigest()
    assert id_digest([3, -7]) == expected
    assert id_digest(np.array([3, -7], np.int32)) == expected
