"""The counts of harm and the times of recovery, for catalogues and numbers that are written by hand."""

import pytest

from tests.faults import harm


def test_every_fault_recovers_at_the_next_commit_even_if_another_fault_comes_before():
    assert harm.seconds_to_the_next([0.0, 0.3], [2.5]) == pytest.approx([2.5, 2.2])
    assert harm.seconds_to_the_next([1.0, 4.0, 9.0], [7.0, 0.5, 4.5]) == pytest.approx([3.5, 0.5])


def test_units_candidates_and_the_seal_are_commits_and_nothing_else_is(tmp_path):
    fault = tmp_path.stat().st_ctime - 100
    for name in ("plans/a.json", "units/plan=a/.unit.parquet.tmp"):
        write(tmp_path / name)
    assert harm.recoveries([fault], tmp_path) == []
    for name in ("seals/a.json", "candidates/plan=a/a.parquet", "units/plan=a/unit.parquet"):
        write(tmp_path / name)
        (recovery_s,) = harm.recoveries([fault], tmp_path)
        assert recovery_s == (tmp_path / name).stat().st_ctime - fault
        (tmp_path / name).unlink()


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
