"""Scan a night with a second ensemble for likely rows: its scores equal those of a scan with it alone."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig, SecondEnsemble, build_plan
from scanner.networks.card_file import read_card
from scanner.networks.package import load_package
from scanner.scan import scoring
from scanner.scan.scoring import CutoutScanner
from scanner.workers.packages import Packages
from scanner.workers.retry_state import Task
from scanner.workers.unit_scanner import UnitScanner, WorkerMismatchError
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.rounding import sweep_by_rounding
from tests.scanner.scanned import scanned
from tests.tiles import write_tiles

N_TILES, N_OBJECTS = 2, 4
NIGHT = "2026-01-02"


@dataclass(frozen=True)
class Input:
    tiles: Path
    first: Path
    second: Path
    threshold: float
    above: float
    said: dict
    """Scores of each object by each ensemble alone: `p_lens` of the first, `p_lens` and `disagreement` of the second."""

    def expected(self, above):
        """Return the scores of the second ensemble that the catalogue must hold for each object."""
        return {i: rest if p >= above else (None, None) for i, (p, *rest) in self.said.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two tiles, two ensembles, the second with lower scores, and thresholds that three and five of eight rows reach."""
    folder = tmp_path_factory.mktemp("second")
    write_tiles(folder / "tiles", N_TILES, N_OBJECTS)
    write_test_package(folder / "first", SPECS[:2], seed=1)
    write_test_package(folder / "second", SPECS[:2], seed=0)
    tables = {
        name: pa.concat_tables(
            scanned(unit, CutoutScanner(load_package(folder / name)), NIGHT) for unit in find_units(str(folder / "tiles"))
        )
        for name in ("first", "second")
    }
    p_lens = tables["first"]["p_lens"].to_pylist()
    numbers = [tables["second"][name].to_pylist() for name in ("p_lens", "disagreement")]
    said = dict(zip(tables["first"]["object_id"].to_pylist(), zip(p_lens, *numbers, strict=True), strict=True))
    ranked = sorted(p_lens, reverse=True)
    between = [float(np.mean(ranked[i : i + 2])) for i in (2, 4)]
    return Input(folder / "tiles", folder / "first", folder / "second", *between, said)


def rows(root):
    tables = [pq.read_table(path) for path in sorted(Path(root).rglob("*.unit"))]
    return {row["object_id"]: row for table in tables for row in table.to_pylist()}


def assert_asked(root, made, above, abs_=1e-5):
    """Check the second scores of a catalogue, and return the number of rows that have them."""
    found, expected = rows(root), made.expected(above)
    assert found.keys() == expected.keys()
    for i, numbers in expected.items():
        written = found[i]["second_p_lens"], found[i]["second_disagreement"]
        assert written == (numbers if numbers == (None, None) else pytest.approx(numbers, abs=abs_)), i
    return sum(numbers != (None, None) for numbers in expected.values())


@pytest.mark.ray
def test_a_night_holds_second_scores_for_likely_rows_only(lensscan, made, tmp_path):
    options = {
        "--out": tmp_path / "catalogue",
        "--night": NIGHT,
        "--ensemble": made.first,
        "--second": made.second,
        "--threshold": made.threshold,
        "--second-above": made.above,
        "--engine": "torch",
        "--maps": 0,
        "--workers": 1,
    }
    done = lensscan("scan", made.tiles, "--json", *(part for option in options.items() for part in option))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_candidates"] == 3
    assert assert_asked(tmp_path / "catalogue", made, made.above) == 5
    (path,) = (tmp_path / "catalogue" / "candidates").rglob("*.parquet")
    assert pq.read_table(path)["second_p_lens"].null_count == 0


def plan_with(made, **config):
    ensemble, card = read_card(made.first), read_card(made.second)
    second = SecondEnsemble(ensemble_name=card.name, ensemble_sha256=card.sha256, above=made.above)
    config = {"candidate_threshold": made.threshold, "engine": "torch", "second": second} | config
    return build_plan(str(made.tiles), NIGHT, ensemble, ScanConfig(**config))


def scan_here(plan, packages, root):
    """Scan a plan in this process, as a worker does."""
    worker = UnitScanner(plan, packages, str(root), 1)
    for unit in plan.units:
        worker.scan(Task(unit.unit_id, plan.config.batch_size))


@pytest.mark.usefixtures("torch_threads")
def test_a_second_ensemble_uses_float32_and_makes_no_maps(made, tmp_path, monkeypatch):
    sweep_by_rounding(monkeypatch)
    mapped, mapper = [], scoring.candidate_mapper
    monkeypatch.setattr(scoring, "candidate_mapper", lambda folder, card: mapped.append(folder) or mapper(folder, card))
    # All scores of the second ensemble are below the thresholds: a sweep of its own would leave them rounded.
    assert max(p_lens for _, p_lens, _ in made.said.values()) < made.above - 0.05
    scan_here(plan_with(made, maps_per_unit=1), Packages(made.first, made.second), tmp_path)
    # The rounding of a sweep changes `p_lens` by more than 2.8e-4.
    assert assert_asked(tmp_path, made, made.above, 1e-4) == 5
    assert mapped == [made.first]


@pytest.mark.usefixtures("torch_threads")
def test_a_second_ensemble_not_in_the_plan_is_not_used(made, tmp_path):
    scan_here(plan_with(made, second=None), Packages(made.first, made.second), tmp_path)
    assert assert_asked(tmp_path, made, above=2) == 0


def test_a_worker_without_its_second_ensemble_does_not_start(made, tmp_path, torch_threads):
    with pytest.raises(WorkerMismatchError, match="needs ensemble test too"):
        UnitScanner(plan_with(made), Packages(made.first), str(tmp_path), 1)


def test_a_worker_with_another_second_ensemble_does_not_start(made, tmp_path, torch_threads):
    with pytest.raises(WorkerMismatchError, match=f"{made.first} holds {read_card(made.first).sha256[:12]}"):
        UnitScanner(plan_with(made), Packages(made.first, made.first), str(tmp_path), 1)
