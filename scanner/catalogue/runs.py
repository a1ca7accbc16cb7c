"""Records of runs: one file with one row for each run that had units to scan, with its metrics; created once, never changed."""

import io
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.store.storage import create_if_absent, join, list_files, read_many
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.paths import RUN_SUFFIX, RUNS, run_uri

_REJECTED = "rejected:"


class RunFileError(LensscanError):
    """The record of a run cannot be read."""


class RunRecord(Frozen):
    """The metrics of one run."""

    run_id: str
    """Id that the run's logs carry."""
    night: str | None
    plan_id: str
    code_version: str
    started_at: AwareDatetime
    seconds: float
    """Duration of the run."""
    error: str
    """Type of the error that ended the run; empty if the night was sealed and shown."""
    n_workers: int
    """Number of requested workers."""
    n_units: int
    """Number of units of the plan."""
    units_committed: int | None
    """Units of the plan that the catalogue holds after the run; None where the store did not answer."""
    units_committed_here: int
    """Units that this run committed; a killed run has no record, so these need not add up to `units_committed`."""
    units_failed: int
    """Units that this run gave up."""
    rows_by_status: dict[str, int] | None
    """Rows of these units by status, counted from the files of the catalogue; None as `units_committed`."""
    candidates: int | None
    """Candidates in these units; None as `units_committed`."""
    stage_seconds: dict[str, float]
    """Seconds that workers spent in each stage of the units that this run committed; stages overlap."""
    store_retries: int
    """Requests to S3 that this run sent again, as far as receipts report them."""
    worker_deaths: int
    """Workers that died or were killed, and were replaced."""

    @property
    def rows_scored(self) -> int | None:
        return None if self.rows_by_status is None else self.rows_by_status.get(SCORED, 0)

    @property
    def rows_rejected(self) -> dict[str, int] | None:
        """Rejected rows by code."""
        if self.rows_by_status is None:
            return None
        return {k.removeprefix(_REJECTED): n for k, n in self.rows_by_status.items() if k.startswith(_REJECTED)}


_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("night", pa.string()),
        ("plan_id", pa.string()),
        ("code_version", pa.string()),
        ("started_at", pa.timestamp("us", "UTC")),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("n_workers", pa.int32()),
        ("n_units", pa.int64()),
        ("units_committed", pa.int64()),
        ("units_committed_here", pa.int64()),
        ("units_failed", pa.int64()),
        ("rows_by_status", pa.map_(pa.string(), pa.int64())),
        ("candidates", pa.int64()),
        ("stage_seconds", pa.map_(pa.string(), pa.float64())),
        ("store_retries", pa.int64()),
        ("worker_deaths", pa.int64()),
    ]
)


def record_run(record: RunRecord, root_uri: str) -> None:
    """Create the file of a run.

    Raises:
        StorageError: the store failed.
    """
    sink = io.BytesIO()
    table = pa.Table.from_pylist([record.model_dump()], schema=_SCHEMA)
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    create_if_absent(run_uri(root_uri, record.started_at, record.run_id), sink.getvalue(), record.run_id)


def run_records(root_uri: str, since: datetime | None = None) -> list[RunRecord]:
    """Return the records of the runs that started at or after `since`, newest first.

    Raises:
        RunFileError: a record cannot be read.
        StorageError: the store failed.
    """
    files = list_files(join(root_uri, RUNS), RUN_SUFFIX)
    found = []
    for file, data in zip(files, read_many(files), strict=True):
        if data is None:
            continue
        try:
            table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
            (row,) = table.to_pylist(maps_as_pydicts="strict")
            found.append(RunRecord.model_validate(row))
        except (pa.ArrowException, OSError, ValueError, ValidationError) as error:
            raise RunFileError(f"{file.uri}: not the record of a run; move it out of the catalogue") from error
    kept = [record for record in found if since is None or record.started_at >= since]
    return sorted(kept, key=lambda record: record.started_at, reverse=True)
