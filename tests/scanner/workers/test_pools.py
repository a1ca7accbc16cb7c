"""A scan for which no number of workers is given uses all cores of its cluster or of this machine."""

import os
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from scanner.catalogue.runs import run_records
from scanner.scan.request import ScanRequest, plan_scan
from scanner.workers import pools
from scanner.workers.pools import scan_pool
from scanner.workers.recording import Recording
from scanner.workers.run_tally import RunTally
from tests.scanner.ensembles import SPECS, write_test_package
from tests.tiles import write_tiles


@pytest.fixture
def pool():
    """Return a pool that notes what becomes of it."""
    made = SimpleNamespace(is_closed=False)
    made.close = lambda: setattr(made, "is_closed", True)
    return made


@pytest.fixture
def workers_of(monkeypatch, pool):
    """Return a function that returns the number of workers that a pool gets and the number that its run reports."""
    given = []

    def made(_plan, _something, _package, _root, workers, *others):
        given.append(workers)
        pool.given = others
        return pool

    def report(*about):
        pool.reported = about

    monkeypatch.setattr("infra.ray.cluster.ray_session", nullcontext)
    monkeypatch.setattr("infra.ray.nodes.cluster_cpus", lambda: 24)
    monkeypatch.setattr("scanner.workers.ray_metrics.report_to_ray", report)
    monkeypatch.setattr("scanner.workers.actors.scanner_pool", lambda plan, package, *rest: made(plan, None, package, *rest))
    monkeypatch.setattr(pools, "local_pool", made)

    def workers_of(workers, address):
        tally = RunTally()
        with scan_pool(SimpleNamespace(night=None), [], None, "", workers, address, tally=tally):
            return given[-1], tally.n_workers

    return workers_of


@pytest.mark.parametrize(("address", "n_cores"), [("10.0.0.1:6379", 24), (None, os.cpu_count())])
def test_all_cores_are_used_unless_workers_are_given(address, n_cores, workers_of):
    assert workers_of(None, address) == (n_cores, n_cores)
    assert workers_of(3, address) == (3, 3)


def test_the_record_has_the_workers_that_a_cluster_decides(tmp_path):
    write_tiles(tmp_path / "tiles", 1, 2)
    write_test_package(tmp_path / "package", SPECS[:1], seed=2)
    plan = plan_scan(ScanRequest(input_uri=str(tmp_path / "tiles"), package=tmp_path / "package"))
    recording = Recording(plan, str(tmp_path / "root"), plan.units, 0, "id")
    recording.tally.n_workers = 24
    recording.begin()
    with recording.recorded():
        pass
    (record,) = run_records(str(tmp_path / "root"))
    assert record.n_workers == 24


@pytest.mark.parametrize("address", ["10.0.0.1:6379", None])
def test_a_pool_is_closed_if_its_scan_fails(workers_of, address, pool):
    with pytest.raises(KeyError), scan_pool(SimpleNamespace(night=None), [], None, "", 1, address):
        raise KeyError
    assert pool.is_closed


def test_an_early_worker_ends_before_ray_starts(workers_of, pool):
    """It holds the libraries of a scan, and Ray's workers load their own."""
    early = SimpleNamespace(kill=lambda: setattr(pool, "killed", True))
    with scan_pool(SimpleNamespace(night=None), [], None, "", 1, "10.0.0.1:6379", early):
        assert pool.killed


def test_ray_gets_the_run_of_the_logs_and_its_metrics(workers_of, pool):
    tally = RunTally()
    with scan_pool(SimpleNamespace(night="n"), [], None, "", 1, "10.0.0.1:6379", tally=tally, run_id="mine"):
        assert pool.given[-1] == "mine"
        assert pool.reported == (tally, "n")
