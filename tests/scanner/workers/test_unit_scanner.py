"""Run a worker's tasks without its process, and check the rows that it scores and the files that it writes."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from threading import Event
from time import sleep

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from scanner.catalogue.ledger import Outcome
from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.files.wcs_client import WcsProcessError
from scanner.networks.card_file import read_card
from scanner.networks.ensemble import Ensemble
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources import tiles
from scanner.sources.shards import ShardRows, encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import RejectCode, Rejection
from scanner.workers import unit_scanner
from scanner.workers.unit_scanner import UnitScanner, WorkerMismatchError
from tests.other_survey import ATLAS
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.tasks import commit, trial

N_ROWS = 7
NIGHT = "2026-01-02"
FIRST_ID = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plan of one shard, whose rows hold their number in the first pixel of VIS, and the package for it."""
    folder = tmp_path_factory.mktemp("worker")
    rng = np.random.default_rng(0)
    stamps = {
        band: rng.exponential(size=(N_ROWS, grid.n_pixels, grid.n_pixels)).astype(np.float32)
        for band, grid in CHALLENGE.grids.items()
    }
    stamps["VIS"][:, 0, 0] = np.arange(N_ROWS)
    (folder / "input").mkdir()
    table = shard_table(np.arange(N_ROWS) + FIRST_ID, stamps, {}, CHALLENGE)
    (folder / "input" / "s.parquet").write_bytes(encode_shard(table))
    write_test_package(folder / "package", SPECS[:1])
    config = ScanConfig(engine="torch", candidate_threshold=1.0)
    return build_plan(str(folder / "input"), NIGHT, read_card(folder / "package"), config), folder / "package"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "catalogue"


@pytest.fixture
def worker(made, root, torch_threads):
    return UnitScanner(*made, str(root), 1)


@pytest.fixture
def seen(monkeypatch):
    """Record the numbers of the rows that the networks score, batch by batch."""
    batches, score = [], Ensemble.score

    def spied(self, stamps):
        batches.append(stamps["VIS"][:, 0, 0].astype(int).tolist())
        return score(self, stamps)

    monkeypatch.setattr(Ensemble, "score", spied)
    return batches


def test_a_package_that_is_replaced_while_it_loads_is_refused(made, root, tmp_path, monkeypatch, torch_threads):
    plan, package = made
    open_scanner = unit_scanner.open_scanner

    def replaced(*args):
        scanner = open_scanner(*args)
        shutil.rmtree(tmp_path / "package")
        write_test_package(tmp_path / "package", SPECS[1:2])
        return scanner

    shutil.copytree(package, tmp_path / "package")
    monkeypatch.setattr(unit_scanner, "open_scanner", replaced)
    with pytest.raises(WorkerMismatchError, match=f"needs ensemble {plan.ensemble_sha256[:12]}, .* holds "):
        UnitScanner(plan, tmp_path / "package", str(root), 1)


@pytest.mark.parametrize("rows", [(0, 1, 2), (5, 6), (2, 3), (1, 4, 5), tuple(range(7))])
def test_a_trial_scores_its_rows_and_publishes_nothing(worker, root, seen, rows):
    assert worker.try_rows(trial("s", 2, rows)) is None
    assert tuple(chain(*seen)) == rows
    assert max(map(len, seen)) <= 2
    assert not list(root.rglob("*.unit"))


def test_a_trial_without_rows_only_reads_the_file(worker, root, seen, monkeypatch):
    pieces, read = [], ShardRows.pieces

    def spied(self, n_rows):
        for piece in read(self, n_rows):
            pieces.extend(piece.object_ids.tolist())
            yield piece

    monkeypatch.setattr(ShardRows, "pieces", spied)
    worker.try_rows(trial("s", 2, ()))
    assert pieces == list(range(FIRST_ID, FIRST_ID + N_ROWS))
    assert seen == []
    assert not list(root.rglob("*.unit"))


@pytest.mark.parametrize(("reader", "rows"), [("open_unit", (0, 1)), ("read_whole", ())])
def test_a_trial_reads_tiles_as_the_plan_describes_them(made, root, monkeypatch, torch_threads, reader, rows):
    plan, package = made
    worker, found = UnitScanner(plan.model_copy(update={"survey": ATLAS}), package, str(root), 1), []

    def spied(*given, **named):
        found.extend((*given, *named.values()))
        raise Rejection(RejectCode.MISSING_BAND, "no such mosaic")

    monkeypatch.setattr(unit_scanner, reader, spied)
    with suppress(Rejection):
        worker.try_rows(trial("s", 2, rows))
    assert ATLAS in found


def test_a_scan_rejects_the_rows_that_are_left_out(worker, root, seen):
    receipt = worker.scan(commit("s", 3, (1, 4), is_alone=True))
    assert (receipt.unit_id, receipt.outcome, receipt.n_rows) == ("s", Outcome.COMMITTED, N_ROWS)
    assert (receipt.n_scored, receipt.n_rejected) == (N_ROWS - 2, 2)
    (path,) = root.rglob("*.unit")
    rows = {row["object_id"] - FIRST_ID: row for row in pq.read_table(path).to_pylist()}
    assert [place for place in sorted(rows) if rows[place]["status"] == "rejected:worker_crash"] == [1, 4]
    assert {row["status"] for place, row in rows.items() if place not in {1, 4}} == {"scored"}
    assert rows[1]["detail"] == "scoring this row crashed several workers, the last one with no other unit"
    assert list(chain(*seen)) == [0, 2, 3, 5, 6]
    assert max(map(len, seen)) <= 3


def test_a_worker_tells_how_many_rows_it_has_scored(worker, monkeypatch):
    told, score = [worker.rows_done()], Ensemble.score

    def spied(self, stamps):
        told.append(worker.rows_done())
        return score(self, stamps)

    monkeypatch.setattr(Ensemble, "score", spied)
    worker.scan(commit("s", 3))
    worker.try_rows(trial("s", 2, (0, 1)))
    assert told == [{}, {"s": 0}, {"s": 3}, {"s": 6}, {}]
    assert worker.rows_done() == {}


def test_a_unit_is_scored_while_maps_are_made(worker, monkeypatch):
    """The maps of the first call wait until the networks have scored for the second."""
    n_scored, other, explained = [], Event(), CutoutScanner.explained

    def waiting(self, scored):
        n_scored.append(scored)
        if len(n_scored) == 1:
            assert other.wait(30)
        other.set()
        return explained(self, scored)

    monkeypatch.setattr(CutoutScanner, "explained", waiting)
    with ThreadPoolExecutor(2) as calls:
        receipts = list(calls.map(lambda _: worker.scan(commit("s", 3)), range(2)))
    assert sorted(receipt.outcome for receipt in receipts) == [Outcome.COMMITTED, Outcome.LOST_RACE]
    assert worker.rows_done() == {}


def test_networks_score_one_unit_at_a_time(worker, monkeypatch):
    at_once, most, score = [], [], Ensemble.score

    def spied(self, stamps):
        at_once.append(stamps)
        sleep(0.02)
        most.append(len(at_once))
        at_once.pop()
        return score(self, stamps)

    monkeypatch.setattr(Ensemble, "score", spied)
    with ThreadPoolExecutor(2) as calls:
        list(calls.map(lambda _: worker.scan(commit("s", 3)), range(2)))
    assert set(most) == {1}


def test_a_committed_unit_is_not_scanned_again(worker, seen):
    first = worker.scan(commit("s", 64))
    assert list(chain(*seen)) == list(range(N_ROWS))
    again = worker.scan(commit("s", 64))
    assert again.outcome is Outcome.ALREADY_COMMITTED
    assert again.attempt == first.attempt
    assert len(seen) == 1


def test_only_the_attempt_that_commits_states_its_seconds(worker, monkeypatch):
    monkeypatch.setattr(unit_scanner, "committed", lambda *_: None)
    first, second = (worker.scan(commit("s", 64)) for _ in range(2))
    assert (first.outcome, second.outcome) == (Outcome.COMMITTED, Outcome.LOST_RACE)
    assert first.seconds.keys() == {"read", "cut", "networks", "maps", "write"}
    assert min(first.seconds["networks"], first.seconds["write"]) > 0
    assert second.seconds == {}


@pytest.mark.parametrize("method", ["scan", "try_rows"])
def test_files_are_closed_if_scoring_fails(worker, monkeypatch, method):
    """The unit is tried again at once, perhaps because memory is short."""
    closed, close = [], BatchReader.close

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Ensemble, "score", fail)
    monkeypatch.setattr(BatchReader, "close", lambda self: closed.append(self) or close(self))
    with pytest.raises(MemoryError):
        getattr(worker, method)(trial("s", 2, (0, 1)) if method == "try_rows" else commit("s", 2))
    assert len(closed) == 1


@pytest.mark.parametrize(("engine", "of_torch", "of_maps"), [("torch", 2, 1), ("openvino", 1, 2)])
def test_torch_has_the_threads_or_maps_are_side_by_side(made, root, torch_threads, engine, of_torch, of_maps):
    plan, package = made
    plan = plan.model_copy(update={"config": plan.config.model_copy(update={"engine": engine, "maps_per_unit": 1})})
    scanner = UnitScanner(plan, package, str(root), 2)
    assert scanner._scanner._mapping.mapper._mapper.result()._threads == of_maps
    # A thread that used torch before keeps its number; the maps are made in new ones.
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == of_torch


@pytest.mark.parametrize("kind", ["tile", "shard"])
def test_only_a_worker_of_tiles_starts_the_wcs_worker(made, root, monkeypatch, torch_threads, kind):
    started = []
    monkeypatch.setattr(tiles, "start_wcs_worker", lambda: started.append(True))
    plan, package = made
    units = tuple(unit.model_copy(update={"kind": kind}) for unit in plan.units)
    UnitScanner(plan.model_copy(update={"units": units}), package, str(root), 1)
    assert started == [True] * (kind == "tile")


def test_a_worker_scans_if_the_wcs_worker_starts_later(made, root, monkeypatch, torch_threads):
    def fails():
        raise WcsProcessError("too many processes")

    monkeypatch.setattr(tiles, "start_wcs_worker", fails)
    plan, package = made
    UnitScanner(plan.model_copy(update={"units": (plan.units[0].model_copy(update={"kind": "tile"}),)}), package, str(root), 1)
