"""A scan of selected sources survives the death of its workers, and the audits account for every row."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.status import plan_status
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import freeze, load_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import load_seal, seal
from scanner.catalogue.selection import Selection
from scanner.catalogue.unitfile import UnitFileError, decode_unit, encode_unit, make_footer, read_unit
from scanner.scan.request import ScanRequest, plan_scan
from scanner.workers import local
from scanner.workers.retry_state import Task
from scanner.workers.run import scan_night
from scanner.workers.unit_scanner import UnitScanner
from tests.faults.harness.harm import assert_none, compare, read_files
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.source_tables import write_mer_tile

WHERE = "spurious_flag = 0"
N = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the request of a scan of two tiles, the catalogue that it made undisturbed, and its seal."""
    folder = tmp_path_factory.mktemp("selected")
    write_test_package(folder / "package", SPECS[:1])
    n_selected = sum(int((write_mer_tile(folder / "tiles", i, N)[1]["SPURIOUS_FLAG"] == 0).sum()) for i in (1, 2))
    request = ScanRequest(
        input_uri=str(folder / "tiles"),
        selection=Selection(where=WHERE, columns=("flux_vis_psf", "name")),
        package=folder / "package",
        engine="torch",
        candidate_threshold=0.0,
        exact=True,
        maps_per_unit=0,
    )
    root = str(folder / "catalogue")
    plan = scan_here(request, root)
    record = load_seal(root, plan.plan_id)
    assert record.rows_by_status == {"scored": n_selected, "skipped:selection": 2 * N - n_selected}
    return request, root, record


def scan_here(request, root):
    """Scan in this process, seal and show; return the plan."""
    plan, n_threads = plan_scan(request), torch.get_num_threads()
    freeze(plan, root)
    scanner = UnitScanner(plan, request.package, root, 1)
    for unit in plan.units:
        scanner.scan(Task(unit.unit_id, plan.config.batch_size))
    torch.set_num_threads(n_threads)
    seal(plan, root)
    show(plan, root)
    return plan


def rows_of_units(root):
    paths = sorted((root / "_scan" / "units").rglob("*.unit"))
    return read_files(paths)[0]


def test_killed_workers_cost_no_selected_row(made, forked_workers, tmp_path, monkeypatch):
    request, root, record = made
    monkeypatch.setattr(local, "SCANNER", "tests.faults.harness.worker_faults:FaultyScanner")
    monkeypatch.setenv("FAULT_FLAGS", str(tmp_path))
    monkeypatch.setenv("FAULT_CRASH_AT", "scored")
    killed = scan_night(request, str(tmp_path / "killed"))
    assert (killed.n_workers_lost, str(killed.sources), killed.tiles_rejected) == (1, WHERE, ())
    assert (killed.plan_id, killed.rows_by_status) == (record.plan_id, record.rows_by_status)
    again = scan_night(request, str(tmp_path / "killed"))
    assert again.units_by_outcome == {"already_committed": 2}
    for one, other in zip(rows_of_units(tmp_path / "killed"), rows_of_units(Path(root)), strict=True):
        assert_none(compare(one, other))


def test_audits_account_for_every_row(made):
    _, root, record = made
    n_scored, n_skipped = (record.rows_by_status[status] for status in ("scored", "skipped:selection"))
    found = reconcile(load_plan(root, record.plan_id), root)
    assert found.is_equal
    assert (found.n_rows, found.n_scored, found.n_rejected, found.n_skipped) == (2 * N, n_scored, 0, n_skipped)
    assert found.n_unaccounted == 0
    status = plan_status(record.plan_id, root)
    assert (status.n_rows, status.n_rows_committed, status.n_rows_skipped) == (2 * N, 2 * N, n_skipped)
    assert status.sources == WHERE
    assert verify_plan(record.plan_id, root, deep=True).faults == []


def test_another_row_skipped_makes_a_unit_wrong(made):
    """The digest of the selected ids shows it, although all counts are right."""
    _, root, record = made
    plan = load_plan(root, record.plan_id)
    unit = plan.units[0]
    stored = read_unit(root, unit, plan)
    rows = stored.table.to_pylist()
    scored, skipped = (next(row for row in rows if row["status"] == status) for status in ("scored", "skipped:selection"))
    scored["object_id"], skipped["object_id"] = skipped["object_id"], scored["object_id"]
    table = stored.table.from_pylist(rows, schema=stored.table.schema)
    data = encode_unit(table, make_footer(table, unit, plan, "x"))
    with pytest.raises(UnitFileError, match="the rows that it skips are not those that its plan does not select"):
        decode_unit(data, unit, plan, "unit")
    for change, says in (({"columns": ()}, "must carry the columns"), ({"units": ()}, "must skip 0 rows")):
        other = plan.model_copy(update=change)
        with pytest.raises(UnitFileError, match=says):
            decode_unit(data, unit.model_copy(update={"selected": None}) if "units" in change else unit, other, "unit")


def test_candidates_carry_columns_wherever_they_are_read(made):
    _, root, record = made
    table = query(root)
    assert table.num_rows == record.rows_by_status["scored"]
    assert {"cat_flux_vis_psf", "cat_name"} <= set(table.column_names)
    assert table.schema.field("cat_flux_vis_psf").metadata[b"unit"] == b"uJy"
    assert pq.read_table(f"{root}/candidates/undated.parquet").select(["object_id", "cat_name"]).num_rows == table.num_rows
    rows = query(root, sql="select count(*) as n, count(cat_name) filter (cat_name <> '') as named from scores").to_pylist()
    assert rows == [{"n": 2 * N, "named": table.num_rows}]


def test_a_scan_of_other_columns_is_read_with_the_first(made, tmp_path):
    request, _, _ = made
    root = str(tmp_path / "catalogue")
    for night, columns in (("2026-11-01", ()), ("2026-11-02", ("flux_vis_psf",)), ("2026-11-03", ("name",))):
        selection = Selection(where=WHERE, columns=columns)
        scan_here(request.model_copy(update={"selection": selection, "night": date.fromisoformat(night)}), root)
    table = query(root)
    assert table.num_rows == 3 * made[2].rows_by_status["scored"]
    assert table["cat_name"].null_count == table.num_rows * 2 // 3
    assert table["cat_flux_vis_psf"].null_count >= table.num_rows * 2 // 3
