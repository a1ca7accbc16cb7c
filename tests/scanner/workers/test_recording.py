"""The metrics of a run equal what the catalogue holds, after kills, failures and resumptions too."""

import os

import duckdb
import numpy as np
import pytest
from prefect.exceptions import TerminationSignal

from infra.store.storage import StorageError, list_files
from scanner.catalogue.ledger import Outcome, Receipt
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.runs import run_records
from scanner.catalogue.seal import SealError
from scanner.scan.request import ScanRequest, plan_scan
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.metrics import WorkStage
from scanner.workers import local
from scanner.workers.dispatch import UnitsFailedError
from scanner.workers.metrics_text import FILE_NAME
from scanner.workers.recording import Recording
from scanner.workers.run import scan_night
from tests.faults.harness.night import start
from tests.faults.harness.s3_proxy import Rule, Status, s3_proxy
from tests.faults.harness.scanned_night import NIGHT, write_shards
from tests.faults.harness.worker_faults import FaultyScanner
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.prometheus_text import parsed
from tests.servers import wait_for

pytestmark = pytest.mark.usefixtures("forked_workers")
N_UNITS, N_ROWS = 4, 3
EXPECTED = {"rejected:blank": 2, "scored": N_UNITS * N_ROWS - 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Shards of which one has two objects without light."""
    folder = tmp_path_factory.mktemp("recording")
    write_test_package(folder / "package", SPECS[:1])
    write_shards(folder / "shards", N_UNITS, N_ROWS, {})
    stamps = {
        band: np.random.default_rng(9).exponential(size=(N_ROWS, grid.n_pixels, grid.n_pixels)).astype(np.float32)
        for band, grid in CHALLENGE.grids.items()
    }
    stamps["VIS"][:2] = 0
    table = shard_table(np.arange(N_ROWS) + N_ROWS, stamps, {}, CHALLENGE)
    (folder / "shards" / "shard-00001.parquet").write_bytes(encode_shard(table))
    return folder


@pytest.fixture(scope="module")
def request_of(made):
    return ScanRequest(
        input_uri=str(made / "shards"), night=NIGHT, package=made / "package", engine="torch", candidate_threshold=0.0
    )


@pytest.fixture(scope="module")
def scan(request_of, made):
    """Return a function that scans into a root and returns the new records of runs and the samples of the text file."""

    def run(root, **options):
        scan_night(request_of, str(root), workers=2, metrics_dir=made / "metrics", **options)
        return run_records(str(root)), parsed((made / "metrics" / FILE_NAME).read_text())[0]

    return run


@pytest.fixture(scope="module")
def reported(forked_workers, scan, made):
    """Return the root of an undisturbed run, its records and its samples."""
    return made / "root", *scan(made / "root", run_id="mine")


def statuses_in(root):
    """Count rows by status in the unit files, with another program."""
    return dict(duckdb.read_parquet(f"{root}/_scan/units/*/*.unit").aggregate("status, count(*)").fetchall())


def test_a_run_reports_what_the_catalogue_holds(reported):
    root, (record,), samples = reported
    assert record.rows_by_status == statuses_in(root) == EXPECTED
    night = {"night": str(NIGHT)}
    assert samples["lensscan_rows_scored_total"] == [(night, EXPECTED["scored"])]
    assert samples["lensscan_rows_rejected_total"] == [(night | {"code": "blank"}, 2)]
    assert samples["lensscan_units_committed_total"] == [(night, N_UNITS)]
    assert samples["lensscan_candidates_total"] == [(night, EXPECTED["scored"])]
    assert samples["lensscan_night_progress"] == [(night, 1.0)]
    assert samples["lensscan_oldest_unpromoted_night_seconds"] == [(night, 0.0)]
    assert (record.run_id, record.error, record.units_committed_here, record.candidates) == ("mine", "", N_UNITS, 10)
    assert set(record.stage_seconds) == set(WorkStage)
    assert all(0 < seconds < record.seconds * 4 for seconds in record.stage_seconds.values())


def test_a_run_with_nothing_to_do_leaves_no_record(reported, scan):
    root, *_ = reported
    before = list_files(str(root))
    _, samples = scan(root)
    assert list_files(str(root)) == before
    assert samples["lensscan_rows_scored_total"][0][1] == EXPECTED["scored"]
    assert samples["lensscan_store_retries_total"][0][1] == 0
    assert "lensscan_stage_seconds_total" not in samples
    assert samples["lensscan_night_progress"][0][1] == 1


def test_a_killed_worker_is_counted_without_doubled_rows(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "SCANNER", "tests.faults.harness.worker_faults:FaultyScanner")
    monkeypatch.setenv("FAULT_FLAGS", str(tmp_path))
    # This worker dies after a commit, before its receipt; it must not have committed a second unit meanwhile.
    monkeypatch.setattr(local, "IN_FLIGHT", 1)
    monkeypatch.setenv("FAULT_CRASH_AT", "created")
    (record,), samples = scan(tmp_path / "root")
    assert record.rows_by_status == statuses_in(tmp_path / "root") == EXPECTED
    assert record.worker_deaths == samples["lensscan_worker_deaths_total"][0][1] == 1
    assert (record.units_committed, record.units_committed_here) == (N_UNITS, N_UNITS - 1)


def test_a_unit_given_up_is_counted_until_it_is_mended(scan, made, tmp_path, monkeypatch):
    root = tmp_path / "root"
    with monkeypatch.context() as patch:
        patch.setattr(local, "SCANNER", "tests.scanner.workers.failing:FailingScanner")
        patch.setenv("FAILING_UNIT", "shard-00002")
        with pytest.raises(UnitsFailedError):
            scan(root)
    (failed,) = run_records(str(root))
    assert (failed.error, failed.units_failed, failed.units_committed) == ("UnitsFailedError", 1, N_UNITS - 1)
    assert failed.rows_by_status == {"rejected:blank": 2, "scored": EXPECTED["scored"] - N_ROWS}
    assert failed.candidates == failed.rows_by_status["scored"]
    samples, _ = parsed((made / "metrics" / FILE_NAME).read_text())
    assert samples["lensscan_units_failed_total"][0][1] == 1
    assert samples["lensscan_oldest_unpromoted_night_seconds"][0][1] > 0
    assert 0 < samples["lensscan_night_progress"][0][1] < 1
    (mended, _), _ = scan(root)
    assert (mended.units_failed, mended.units_committed_here, mended.units_committed) == (0, 1, N_UNITS)
    assert mended.rows_by_status == statuses_in(root) == EXPECTED


def test_a_damaged_unit_file_is_left_out(scan, request_of, tmp_path):
    root = tmp_path / "root"
    plan = plan_scan(request_of)
    wrong = root / unit_uri("", plan.plan_id, plan.units[2].unit_id).lstrip("/")
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"not a unit")
    with pytest.raises(SealError):
        scan(root)
    (failed,) = run_records(str(root))
    assert (failed.error, failed.units_committed) == ("SealError", N_UNITS - 1)
    assert failed.rows_by_status == {"rejected:blank": 2, "scored": EXPECTED["scored"] - N_ROWS}


def test_the_run_after_a_kill_counts_each_row_once(scan, request_of, tmp_path):
    root = tmp_path / "root"
    driver = start(_scan_slowly, request_of, str(root))
    wait_for("a unit", lambda: list(root.rglob("*.unit")))
    driver.kill()
    driver.join()
    n_before = len(list(root.rglob("*.unit")))
    assert n_before < N_UNITS
    (record,), samples = scan(root)
    assert (record.units_committed, record.rows_by_status) == (N_UNITS, EXPECTED)
    assert record.units_committed_here <= N_UNITS - n_before
    assert samples["lensscan_rows_scored_total"][0][1] == EXPECTED["scored"] == statuses_in(root)["scored"]


def _scan_slowly(request, root):
    """Scan with one worker that waits a second before each unit."""
    local.SCANNER = f"{FaultyScanner.__module__}:{FaultyScanner.__name__}"
    os.environ["FAULT_SLOW_S"] = "1"
    scan_night(request, root, workers=1)


@pytest.mark.server
def test_the_retries_of_workers_and_driver_are_counted(scan, s3, s3_variables, tmp_path, monkeypatch):
    with s3_proxy(s3_variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.set_rules(
            Rule(Status(503), method="PUT", key=r"\.unit", times=3),
            Rule(Status(500), method="HEAD", key=r"\.unit", times=2),
            Rule(Status(503), method="GET", key=r"/_scan/seals/", times=1),
            Rule(Status(503), method="HEAD", key=r"/_scan/seals/", times=1),
        )
        (record,), samples = scan(s3)
        n_faults = proxy.count(fault="Status")
    assert n_faults == 7
    assert record.store_retries == samples["lensscan_store_retries_total"][0][1] == n_faults


def test_metrics_that_cannot_be_written_fail_no_scan(request_of, tmp_path, caplog):
    (tmp_path / "file").touch()
    summary = scan_night(request_of, str(tmp_path / "root"), metrics_dir=tmp_path / "file")
    assert summary.rows_by_status == EXPECTED
    assert "metrics of this run cannot be written" in caplog.text
    assert len(run_records(str(tmp_path / "root"))) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("load_seal", "the rows of this run cannot be counted: away"),
        ("record_run", "the metrics of this run are not in the catalogue: away"),
        ("oldest_unpromoted_s", "the oldest night that is not promoted is unknown: away"),
    ],
)
def test_metrics_that_cannot_be_read_or_stored_fail_no_scan(request_of, tmp_path, monkeypatch, caplog, name, says):
    def fail(*_):
        raise StorageError("away")

    monkeypatch.setattr(f"scanner.workers.recording.{name}", fail)
    recording = Recording(plan_scan(request_of), str(tmp_path / "root"), (), 1, "id", tmp_path)
    recording.begin()
    with recording.recorded():
        pass
    assert says in caplog.text
    assert parsed((tmp_path / FILE_NAME).read_text())[0]["lensscan_night_progress"][0][1] == 1


def test_a_store_that_failed_is_not_asked_for_rows(request_of, tmp_path):
    plan = plan_scan(request_of)
    recording = Recording(plan, str(tmp_path / "root"), plan.units, 1, "id", tmp_path)
    recording.begin()
    with pytest.raises(StorageError), recording.recorded():
        raise StorageError("away")
    (record,) = run_records(str(tmp_path / "root"))
    assert (record.error, record.rows_by_status, record.units_committed) == ("StorageError", None, None)
    assert "lensscan_rows_scored" not in (tmp_path / FILE_NAME).read_text()


@pytest.mark.parametrize("n_before", [0, 1])
def test_the_file_counts_the_units_of_a_first_run(request_of, tmp_path, n_before):
    """Rows of an earlier run are counted at the end only, so the file of a run that goes on has no count."""
    plan = plan_scan(request_of)
    recording = Recording(plan, str(tmp_path / "root"), plan.units[n_before:], 1, "id", tmp_path)
    recording.tally.add(Receipt("x", "attempt", Outcome.COMMITTED, 3, 2, 1, 2, "", {"scored": 2, "rejected:blank": 1}))
    samples, _ = parsed((tmp_path / FILE_NAME).read_text())
    names = ("units_committed_total", "rows_scored_total", "rows_rejected_total", "candidates_total")
    found = {name: samples[f"lensscan_{name}"][0][1] for name in names if f"lensscan_{name}" in samples}
    assert found == ({} if n_before else dict(zip(names, (1, 2, 1, 2), strict=True)))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(), TerminationSignal(15)])
def test_an_interrupted_run_is_recorded_without_reading_units(request_of, tmp_path, monkeypatch, interruption):
    monkeypatch.setattr("scanner.workers.recording.unit_files", lambda *_: pytest.fail("units were read"))
    plan = plan_scan(request_of)
    recording = Recording(plan, str(tmp_path / "root"), plan.units, 1, "id", tmp_path)
    recording.begin()
    for n_done in (0, 1):
        # The second value comes before the next write.
        recording.tally.progressed(n_done, 4)
    with pytest.raises(type(interruption)), recording.recorded():
        raise interruption
    (record,) = run_records(str(tmp_path / "root"))
    assert (record.error, record.units_committed) == (type(interruption).__name__, None)
    samples, _ = parsed((tmp_path / FILE_NAME).read_text())
    assert [samples[name][0][1] for name in ("lensscan_night_progress", "lensscan_oldest_unpromoted_night_seconds")] == [
        0.25,
        0,
    ]


def test_the_file_is_written_while_the_run_goes_on(request_of, tmp_path):
    plan = plan_scan(request_of)
    recording = Recording(plan, str(tmp_path / "root"), plan.units, 1, "id", tmp_path)
    with recording.recorded():
        recording.progress(lambda *_: None)(9, 18)
        assert parsed((tmp_path / FILE_NAME).read_text())[0]["lensscan_night_progress"] == [({"night": str(NIGHT)}, 0.5)]
