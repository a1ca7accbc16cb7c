"""The record of a run holds its metrics; it is created once, read back as it was, and hidden from readers of candidates."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.runs import RunFileError, record_run, run_records
from tests.scanner.run_records import START, record_of


def test_records_are_read_back_newest_first(tmp_path):
    unknown = {"night": None, "units_committed": None, "rows_by_status": None, "candidates": None, "error": "StorageError"}
    records = [record_of(), record_of("b2", START + timedelta(hours=1), **unknown), record_of("c3", START - timedelta(days=1))]
    for record in records:
        record_run(record, str(tmp_path))
    assert run_records(str(tmp_path)) == [records[1], records[0], records[2]]
    assert run_records(str(tmp_path), since=START) == records[1::-1]
    assert (records[0].rows_scored, records[0].rows_rejected) == (90, {"blank": 3, "missing_band": 2})
    assert (records[1].rows_scored, records[1].rows_rejected) == (None, None)


def test_a_record_is_created_once(tmp_path):
    record_run(record_of(), str(tmp_path))
    (path,) = tmp_path.rglob("*.run")
    before = path.read_bytes()
    record_run(record_of(store_retries=99), str(tmp_path))
    assert path.read_bytes() == before
    assert path.relative_to(tmp_path) == Path("_scan/runs/20261124T223000Z-a1.run")


def test_other_programs_read_a_record(tmp_path):
    record_run(record_of(), str(tmp_path))
    (path,) = tmp_path.rglob("*.run")
    columns = "store_retries, stage_seconds['read'], rows_by_status['scored']"
    found = duckdb.read_parquet(str(path)).project(columns)
    assert found.fetchall() == [(6, 1.5, 90)]
    assert list(tmp_path.rglob("*.parquet")) == []
    assert pq.read_metadata(path).num_rows == 1


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet"])
def test_a_damaged_record_is_named(tmp_path, content):
    record_run(record_of(), str(tmp_path))
    (path,) = tmp_path.rglob("*.run")
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=f"{path.name}: not the record of a run"):
        run_records(str(tmp_path))
