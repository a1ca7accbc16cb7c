"""Files of gold subjects: read as written, shared by all graders, and refused if damaged."""

import numpy as np
import pytest

from infra.store.storage import read_bytes
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldSet, keep_first
from tests.vetting import gold_of


def test_a_set_is_read_as_it_was_written():
    made = GoldSet(gold_of(5, ("training_lens", "gold_nonlens", "gold_lens")))
    read = GoldSet.decode("x", made.encode())
    for one, other in zip(made.subjects, read.subjects, strict=True):
        assert one.answer == other.answer
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.arcs, other.arcs)
    assert [known.answer.role for known in read.of_role("gold")] == ["gold_nonlens", "gold_lens", "gold_nonlens"]
    assert len(read.of_role("training")) == 2


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"x" + d, lambda _: b"", lambda d: d[:40]])
def test_damaged_files_are_refused(damage):
    with pytest.raises(VettingError, match=r"^place: .*remove it"):
        GoldSet.decode("place", damage(GoldSet(gold_of(2)).encode()))


def test_the_first_set_wins(root):
    uri = f"{root}/10.gold"
    first, second = GoldSet(gold_of(2, seed=1)), GoldSet(gold_of(2, seed=2))
    assert keep_first(uri, first) is first
    assert keep_first(uri, second).encode() == first.encode() == read_bytes(uri)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def test_the_answer_holds_the_arcs_of_lenses_alone():
    lens, nonlens = gold_of(2)
    told = lens.told()
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(told["arcs"]), np.uint8)).reshape(80, 80)
    np.testing.assert_array_equal(bits, lens.arcs)
    assert (told["is_lens"], told["kind"]) == (True, "double_ring")
    assert nonlens.told() == {"is_lens": False, "kind": "", "einstein_radius_arcsec": None, "arcs": None}
