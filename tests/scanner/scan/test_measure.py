"""Tests of what a measurement counts, with a clock that only the measured work advances."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.catalogue.unitfile import encode_table
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan import candidate_photometry
from scanner.scan import measure as measuring
from scanner.scan.best_candidates import CandidateMapping
from scanner.scan.errors import ScanError
from scanner.scan.measure import measure
from scanner.scan.scoring import CutoutScanner
from scanner.scan.sweep import synthetic_stamps
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from tests.tiles import write_tile

THRESHOLD, SHOWN = 1e-4, 2e-4


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    stamps = synthetic_stamps(MER_10, 70)
    stamps["VIS"][3] = 0
    (folder / "shard-00000.parquet").write_bytes(encode_shard(shard_table(np.arange(70), stamps, {}, MER_10)))
    return folder


def kilobytes(name):
    """Read a memory size of this process from the system."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def takes(clock, monkeypatch, module, name, seconds):
    """Make a function advance a clock, which otherwise stands still, by a number of seconds."""
    real = getattr(module, name)

    def slow(*args, **kwargs):
        clock[0] += seconds
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, slow)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc/self/status")
def test_the_measurement_matches_the_work_done(shards, monkeypatch):
    """Only opening, cutting, scoring and fetching advance the clock, each by another time."""
    package, clock, scored = SHIPPED_DIR / "mer3-sim", [0.0], []
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    score_batches = CutoutScanner.score_batches
    monkeypatch.setattr(CutoutScanner, "score_batches", lambda *args: (scored.append(score_batches(*args)), scored[-1])[1])
    takes(clock, monkeypatch, measuring, "open_scanner", 3)
    takes(clock, monkeypatch, measuring, "open_unit", 5)
    takes(clock, monkeypatch, CutoutScanner, "score_batches", 7)
    takes(clock, monkeypatch, measuring, "open_read", 11)
    plan = build_plan(str(shards), "2026-01-01", read_card(package), ScanConfig(sweep=False, candidate_threshold=THRESHOLD))
    (unit,) = plan.units
    before = kilobytes("VmRSS")
    found = measure(unit, plan, package, threads=1, threshold=SHOWN)
    size = (shards / "shard-00000.parquet").stat().st_size
    assert (found.unit_id, found.n_scored, found.threads) == ("shard-00000", 69, 1)
    p_lens = np.array(scored[1]["p_lens"])
    assert found.n_candidates == (p_lens >= THRESHOLD).sum() < 69
    assert 0 < found.n_shown == (p_lens >= SHOWN).sum() < found.n_candidates
    # The first batch is also scored once before the measurement.
    assert [table.num_rows for table in scored] == [63, 69]
    assert (found.start_s, found.cut_per_s, found.score_per_s, found.fetch_bytes_per_s) == (3, 69 / 5, 69 / 7, size / 11)
    assert found.written_bytes_per_row == len(encode_table(scored[1])) / 69
    assert (found.s_per_map, found.s_per_photometry, found.written_bytes_per_map) == (0, 0, 0)
    assert before * 1024 <= found.memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_maps_are_measured_if_the_scan_makes_them(shards, monkeypatch):
    """The first batch has 63 rows, which are all measured, and eight of which get maps."""
    package, clock = SHIPPED_DIR / "mer3-sim", [0.0]
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    takes(clock, monkeypatch, CutoutScanner, "score_batches", 1)
    takes(clock, monkeypatch, candidate_photometry, "photometry", 13)
    takes(clock, monkeypatch, CandidateMapping, "with_maps", 17)
    plan = build_plan(str(shards), "2026-01-01", read_card(package), ScanConfig(sweep=False, maps_per_unit=5))
    found = measure(plan.units[0], plan, package, threads=1)
    assert (found.s_per_photometry, found.s_per_map) == (13 / 63, 17 / 8)
    # A cutout in colour, and maps in float16 of a hundred pixels a side.
    assert 5_000 < found.written_bytes_per_map < 60_000


def test_a_tile_is_measured_unless_it_lacks_a_band(tmp_path):
    package = SHIPPED_DIR / "mer3-sim"
    write_tile(tmp_path, 1, 6)
    plan = build_plan(str(tmp_path), "2026-01-01", read_card(package), ScanConfig(sweep=False))
    (unit,) = plan.units
    assert measure(unit, plan, package, threads=1).n_scored == 6
    next(tmp_path.glob("*NIR-H*")).unlink()
    plan = build_plan(str(tmp_path), "2026-01-01", read_card(package), ScanConfig(sweep=False))
    with pytest.raises(ScanError, match="missing_band: H: the tile has no mosaic"):
        measure(plan.units[0], plan, package, threads=1)
