"""Calls are told apart by their ids."""

from infra.calls import Call


def test_equal_calls_are_told_apart_by_their_ids():
    first, second = (Call("scan", ("a",), 60.0) for _ in range(2))
    assert first.id != second.id
    assert len({first, second}) == 2
