"""Counts of harm and times of recovery, for catalogues and numbers written by hand."""

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.harness import harm


def test_recovery_ends_at_the_next_commit_after_each_fault():
    assert harm.seconds_to_the_next([0.0, 0.3], [2.5]) == pytest.approx([2.5, 2.2])
    assert harm.seconds_to_the_next([1.0, 4.0, 9.0], [7.0, 0.5, 4.5]) == pytest.approx([3.5, 0.5])


def test_only_units_candidates_and_seals_count_as_commits(tmp_path):
    fault = tmp_path.stat().st_ctime - 100
    for name in ("_scan/plans/a.json", "_scan/units/plan=a/.unit.tmp"):
        write(tmp_path / name)
    assert harm.recoveries([fault], tmp_path) == []
    for name in ("_scan/seals/a.json", "_scan/sealed/a.candidates", "_scan/units/plan=a/a.unit", "candidates/a.parquet"):
        write(tmp_path / name)
        (recovery_s,) = harm.recoveries([fault], tmp_path)
        assert recovery_s == (tmp_path / name).stat().st_ctime - fault
        (tmp_path / name).unlink()


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


ROWS = [{"object_id": i, "p_lens": i / 10} for i in range(4)]
BEST = ROWS[2:]


@pytest.mark.parametrize(
    ("units", "candidates", "expected"),
    [
        (ROWS, BEST, harm.Harm(checked=6)),
        (ROWS, BEST[1:], harm.Harm(lost=1, checked=5)),
        (ROWS, [*BEST, BEST[0]], harm.Harm(doubled=1, checked=7)),
        (ROWS, [BEST[0], BEST[1] | {"p_lens": 0.9}], harm.Harm(wrong=1, checked=6)),
        (ROWS, [*BEST, ROWS[0]], harm.Harm(wrong=1, checked=7)),
        (ROWS[1:], BEST, harm.Harm(lost=1, checked=5)),
        (ROWS, None, harm.Harm(lost=2, torn=1, checked=4)),
    ],
)
def test_harm_to_units_and_candidates_is_counted_alike(units, candidates, expected):
    assert harm.compare_catalogues(files(units, candidates), files(ROWS, BEST)) == expected


def files(units, candidates):
    rows = {"_scan/units/plan=a/a.unit": parquet(units), "_scan/sealed/a.candidates": parquet(candidates)}
    return {"_scan/plans/a.json": b"{}", **rows}


def parquet(rows):
    """Return the bytes of a file of these rows; without rows, those of an unreadable file."""
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows or ROWS), file)
    return file.getvalue() if rows else file.getvalue()[:-9]
