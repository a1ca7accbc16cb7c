"""Verdicts are numbered and never replaced; a promotion is recorded once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.store.storage import list_files
from scanner.catalogue.paths import promoted_uri, quality_uri, verdict_uri
from scanner.catalogue.verdicts import (
    Check,
    Promotion,
    Verdict,
    VerdictError,
    newest_verdict,
    promotion_of,
    record_promotion,
    record_verdict,
)

PLAN = "a" * 64


def verdict(letters):
    """Return a verdict with a check for each letter: y passes, n fails."""
    checks = [
        Check(name=f"c{i}", value=i, limit=0.5, is_good=letter == "y", text=f"c{i} is {i}") for i, letter in enumerate(letters)
    ]
    return Verdict(
        plan_id=PLAN,
        night="2026-11-24",
        reference_plan_id=None,
        reference_night=None,
        code_version="1",
        limits={"x": 1.0},
        checks=tuple(checks),
    )


def test_an_equal_verdict_is_stored_once_and_another_beside_it(root):
    assert newest_verdict(root, PLAN) is None
    first = record_verdict(verdict("yn"), root)
    assert record_verdict(verdict("yn"), root) == first == newest_verdict(root, PLAN)
    second = record_verdict(verdict("yy"), root)
    assert (first.number, second.number) == (1, 2)
    assert newest_verdict(root, PLAN) == second
    # The first one again is a new statement, not the old one.
    assert record_verdict(verdict("yn"), root).number == 3
    assert len(list_files(quality_uri(root, PLAN))) == 3


def test_a_verdict_has_number_zero_until_it_is_stored(root):
    fresh = verdict("y")
    stored = record_verdict(fresh, root)
    assert (fresh.number, stored.number) == (0, 1)
    assert stored.model_copy(update={"number": 0}) == fresh


def test_one_bad_check_fails_the_night_and_is_named():
    assert verdict("yy").is_passed
    failed = verdict("ynn")
    assert not failed.is_passed
    assert failed.why == "c1 is 1; c2 is 2"


def test_verdicts_at_the_same_time_get_numbers_of_their_own(disk):
    asked = [verdict("".join("ny"[i >> k & 1] for k in range(3))) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        numbers = [found.number for found in pool.map(lambda one: record_verdict(one, disk), asked)]
    assert sorted(numbers) == list(range(1, 9))


def test_the_first_promotion_is_kept(root):
    first = Promotion(plan_id=PLAN, verdict=2, overruled_because="moonlight", by="ann")
    assert record_promotion(first, root) == first
    assert record_promotion(Promotion(plan_id=PLAN, verdict=3, by="bob"), root) == first == promotion_of(root, PLAN)


def test_damaged_files_are_named(disk):
    record_verdict(verdict("y"), disk)
    Path(verdict_uri(disk, PLAN, 1)).write_text("{}")
    Path(promoted_uri(disk, PLAN)).write_text("{}")
    with pytest.raises(VerdictError, match=r"verdict-00000001\.json: not a verdict"):
        newest_verdict(disk, PLAN)
    with pytest.raises(VerdictError, match=r"promoted\.json: not the record of a promotion"):
        promotion_of(disk, PLAN)
