"""The driver of a night checks packages and settings before it starts workers."""

from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from flows.commands.scan_text import scan_lines
from infra.store.storage import list_files
from scanner.catalogue.gate import held
from scanner.catalogue.night_file import show_once
from scanner.catalogue.plan import find_plans, load_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.shown import show_records
from scanner.catalogue.visible import selected_plans, visible_candidates
from scanner.networks import package
from scanner.networks.card_file import read_card
from scanner.networks.errors import EngineError, PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest
from scanner.workers import run
from scanner.workers.actors import UnitScanner
from scanner.workers.dispatch import ScanRun
from scanner.workers.planned_night import plan_night
from scanner.workers.retry_state import Task
from scanner.workers.run import NightError, scan_night
from tests.no_ray import RayStartedError
from tests.scanner.cascades import write_cascade
from tests.scanner.catalogue_parts import finished
from tests.scanner.ensembles import SPECS, write_test_package
from tests.tiles import write_tile, write_tiles

FIRST = SHIPPED_DIR / "mer3-sim"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def request_of(tmp_path, **options):
    write_tile(tmp_path / "tiles", 1, 2)
    return ScanRequest(input_uri=str(tmp_path / "tiles"), night=date(2026, 11, 24), **{"package": FIRST, **options})


def test_the_driver_freezes_the_plan_and_builds_no_network(tmp_path, root, no_ray, monkeypatch):
    monkeypatch.setattr(package, "load_network", None)
    with pytest.raises(RayStartedError):
        scan_night(request_of(tmp_path), root, ray_address="10.0.0.1:6379")
    assert no_ray == ["10.0.0.1:6379"]
    (plan_id,) = find_plans(root)
    assert load_plan(root, plan_id).ensemble_name == "mer3-sim"


def test_missing_weights_are_found_before_ray_starts(tmp_path, root, no_ray):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "card.json").write_bytes((FIRST / "card.json").read_bytes())
    with pytest.raises(PackageError, match=r"\.safetensors: cannot be read .*needs its weights"):
        scan_night(request_of(tmp_path, package=tmp_path / "empty"), f"{root}/deeper")
    assert no_ray == []
    assert not Path(root).exists(), "a command that fails leaves no empty folder"


def test_a_missing_engine_is_found_before_ray_starts(tmp_path, root, no_ray, monkeypatch):
    monkeypatch.setattr("scanner.networks.engines._WORKS", {"torch": lambda: True, "cuda": lambda: False})
    with pytest.raises(EngineError, match="engine cuda needs an NVIDIA GPU"):
        scan_night(request_of(tmp_path, engine="cuda"), root, ray_address="local")
    # The workers of a cluster may have other engines than the driver.
    with pytest.raises(RayStartedError):
        scan_night(request_of(tmp_path, engine="cuda"), root, ray_address="auto")
    assert no_ray == ["auto"]


@pytest.fixture
def here(monkeypatch, torch_threads):
    """Return a function that scans in this process, with one of two versions of this program; it returns the summary."""

    @contextmanager
    def scan_pool(plan, _todo, packages, root_uri, *_):
        yield UnitScanner(plan, packages, root_uri, 1)

    def scan_plan(plan, todo, worker, _progress, tally):
        receipts = [worker.scan(Task(unit.unit_id, plan.config.batch_size)) for unit in todo]
        for receipt in receipts:
            tally.add(receipt)
        return ScanRun(receipts, 0)

    monkeypatch.setattr(run, "scan_pool", scan_pool)
    monkeypatch.setattr(run, "scan_plan", scan_plan)

    def scan(request, root, version="1", *, gate=False):
        for module in ("scanner.catalogue.plan", "scanner.workers.unit_scanner"):
            monkeypatch.setattr(f"{module}.code_version", lambda: version)
        return scan_night(request, root, gate=gate)

    return scan


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    write_tiles(folder / "tiles", 2, 3)
    card = write_test_package(folder / "package", SPECS[:1], seed=2)
    assert card.candidate_threshold == 0.5
    return folder


def test_thresholds_and_versions_are_scanned_and_shown_once(tiles, root, here):
    def asked(threshold):
        night = date(2026, 11, 24)
        options = {"package": tiles / "package", "maps_per_unit": 0, "engine": "torch", "candidate_threshold": threshold}
        return ScanRequest(input_uri=str(tiles / "tiles"), night=night, **options)

    begun = plan_night(asked(0.0).model_copy(update={"maps_per_unit": 1}), root, None, gate=False).plan.plan_id
    low = here(asked(0.0), root)
    assert low.unfinished == (begun,)
    assert scan_lines(low)["unfinished"].endswith(f"if no scan of it runs: lensscan forget CATALOGUE {begun[:12]} --unfinished")
    scores = visible_candidates(root)["p_lens"].to_pylist()
    assert (low.n_candidates, len(scores), low.replaces) == (6, 6, ())
    assert low.candidates_uri == f"{root}/candidates/2026-11-24.parquet"
    # A threshold between two scores, which needs no other scan.
    between = float(np.mean(scores[2:4]))
    high = here(asked(between), root)
    assert (high.plan_id, high.units_by_outcome) == (low.plan_id, {"already_committed": 2})
    assert (high.threshold, high.n_candidates, high.replaces) == (between, 3, ())
    assert visible_candidates(root)["p_lens"].to_pylist() == scores[:3]
    assert visible_candidates(root, min_p_lens=0.0)["p_lens"].to_pylist() == scores
    newer = here(asked(0.0), root, version="2")
    assert newer.units_by_outcome == {"committed": 2}
    assert [(old.plan_id, old.n_units_replaced, old.n_units) for old in newer.replaces] == [(low.plan_id, 2, 2)]
    assert visible_candidates(root)["plan_id"].to_pylist() == [newer.plan_id] * 6
    before = list_files(root)
    again = here(asked(0.0), root, version="2")
    assert (again.replaces, list_files(root)) == ((), before)
    # A plan that was begun later may still run.
    plan_night(asked(0.0).model_copy(update={"maps_per_unit": 2}), root, None, gate=False)
    assert here(asked(0.0), root, version="2").unfinished == (begun,)


def test_another_command_shows_what_an_ended_scan_asked_for(tiles, root, here, monkeypatch):
    """The driver dies after its last unit; then `lensscan seal` finishes its work."""

    class Killed(BaseException):
        pass

    def killed(*_, **__):
        raise Killed

    options = {"package": tiles / "package", "maps_per_unit": 0, "engine": "torch", "candidate_threshold": 0.9}
    request = ScanRequest(input_uri=str(tiles / "tiles"), night=date(2026, 11, 24), **options)
    monkeypatch.setattr(run, "_seal_and_show", killed)
    with pytest.raises(Killed):
        here(request, root)
    (plan_id,) = find_plans(root)
    plan = load_plan(root, plan_id)
    seal(plan, root)
    show_once(plan, root)
    assert plan.config.candidate_threshold == 0.5
    assert [shown.threshold for shown in selected_plans(root)] == [0.9]


def test_a_repeated_scan_with_a_gate_takes_nothing_from_readers(tiles, root, here):
    """Another version stands for another ensemble, whose scan of the night readers see since."""
    options = {"package": tiles / "package", "maps_per_unit": 0, "engine": "torch", "candidate_threshold": 0.0}
    asked = ScanRequest(input_uri=str(tiles / "tiles"), night=date(2026, 11, 24), **options)
    old, new = here(asked, root), here(asked, root, version="2")
    before = list_files(root)
    again = here(asked, root, gate=True)
    assert (again.plan_id, again.awaits_gate, again.replaces) == (old.plan_id, False, ())
    assert again.candidates_uri == new.candidates_uri
    assert list_files(root) == before
    assert set(visible_candidates(root)["plan_id"].to_pylist()) == {new.plan_id}
    # Without a gate, a person asks for the old scan.
    assert here(asked, root).replaces[0].plan_id == new.plan_id
    assert set(visible_candidates(root)["plan_id"].to_pylist()) == {old.plan_id}


def test_a_held_scan_is_held_again_with_the_last_threshold(tiles, root, here):
    """Its promotion shows what the last command asked for."""
    for threshold, gate in ((0.6, True), (0.8, False)):
        options = {"package": tiles / "package", "maps_per_unit": 0, "engine": "torch", "candidate_threshold": threshold}
        found = here(ScanRequest(input_uri=str(tiles / "tiles"), **options), root, gate=gate)
        assert (found.awaits_gate, held(load_plan(root, found.plan_id), root).threshold) == (True, threshold)


def test_a_night_keeps_the_purity_that_its_ensemble_states(tmp_path, root, here):
    request = request_of(tmp_path, maps_per_unit=0, engine="torch")
    waiting = here(request, f"{root}-held", gate=True)
    here(request, root)
    (shown,) = show_records(root)["2026-11-24"]
    purity = read_card(FIRST).purity_table
    assert held(load_plan(f"{root}-held", waiting.plan_id), f"{root}-held").purity == shown.purity == purity
    assert purity is not None


@pytest.mark.parametrize(("kind", "expected"), [("tile", ("a",)), ("shard", ())])
def test_only_tiles_without_a_score_are_unusable(kind, expected):
    plan = SimpleNamespace(units=[SimpleNamespace(kind=kind)])
    assert run._rejected(plan, SimpleNamespace(units_unscored=("a",))) == expected


@pytest.mark.parametrize("folder", ["sealed", "seals"])
def test_a_damaged_file_of_another_plan_leaves_the_scan_complete(tiles, root, here, folder):
    other = finished(root, {"x": {1: 0.9}}, night=None)
    (file,) = list_files(f"{root}/_scan/{folder}")
    content = Path(file.uri).read_bytes()
    Path(file.uri).write_bytes(b"PAR1")
    request = ScanRequest(input_uri=str(tiles / "tiles"), package=tiles / "package", candidate_threshold=0.0, engine="torch")
    with pytest.raises(NightError, match=rf"^this scan is complete, as plan .*{other.plan_id}.*, run the same command again$"):
        here(request, root)
    Path(file.uri).write_bytes(content)
    assert here(request, root).units_by_outcome == {"already_committed": 2}
    assert visible_candidates(root).num_rows == 7


def test_a_scan_without_a_night_has_its_own_file(tiles, root, here):
    request = ScanRequest(input_uri=str(tiles / "tiles"), package=tiles / "package", candidate_threshold=0.0, engine="torch")
    summary = here(request, root)
    assert (summary.night, summary.candidates_uri) == (None, f"{root}/candidates/undated.parquet")
    assert summary.prevalence is read_card(tiles / "package").assumed_prevalence is None
    assert set(visible_candidates(root)["night"].to_pylist()) == {""}


def test_the_summary_has_the_prevalence_that_the_ensemble_assumes(tmp_path, root, here):
    write_cascade(tmp_path / "cascade")
    request = request_of(tmp_path, package=tmp_path / "cascade", maps_per_unit=0, engine="torch")
    assert here(request, root).prevalence == read_card(tmp_path / "cascade").assumed_prevalence == 0.01


def test_tiles_that_cannot_be_scanned_are_named_and_others_scanned(tmp_path, tiles, root, here):
    """One tile has no catalogue, one mosaic is cut short, and one tile lacks a band."""
    write_tiles(tmp_path / "tiles", 4, 3)
    next((tmp_path / "tiles").glob("*FINAL-CAT*TILE000000001*")).unlink()
    cut = next((tmp_path / "tiles").glob("*MOSAIC-VIS*TILE000000002*"))
    cut.write_bytes(cut.read_bytes()[:20000])
    next((tmp_path / "tiles").glob("*MOSAIC-NIR-H*TILE000000003*")).unlink()
    request = ScanRequest(input_uri=str(tmp_path / "tiles"), package=tiles / "package", candidate_threshold=0.0, engine="torch")
    found = here(request, root)
    assert [(tile.tile, tile.reason) for tile in found.tiles_left_out] == [("000000001", "no_catalogue")]
    assert found.tiles_rejected == ("000000002", "000000003")
    assert found.rows_by_status == {"rejected:fits_truncated": 3, "rejected:missing_band": 3, "scored": 3}
    text = scan_lines(found)
    assert text["left out"] == "1 tile with mosaics and no catalogue: 000000001"
    assert text["unusable"].startswith("2 tiles of which no object could be scored: 000000002, 000000003; ")
    # The seal names them, so that a repetition ends with the same exit code.
    again = here(request, root)
    assert again.units_by_outcome == {"already_committed": 3}
    assert again.tiles_rejected == found.tiles_rejected
