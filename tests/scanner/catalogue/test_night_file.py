"""The file of a night shows what the records say, and is mended after a kill at any step and after a race."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.storage import list_files
from scanner.catalogue import night_file
from scanner.catalogue.columns import PURITY_COLUMNS, RANK, candidate_schema
from scanner.catalogue.night_file import NightFault, show, show_once, write_night, wrong_night_files
from scanner.catalogue.paths import entry_uri, seal_uri
from scanner.catalogue.query import query
from scanner.catalogue.shown import show_records
from tests.faults.harness import crash_points
from tests.faults.harness.crash_points import STEPS, Crash
from tests.scanner.catalogue_parts import NETWORKS, NIGHT, finished

OLD = {"a": {1: 0.9, 2: 0.6}, "b": {3: 0.7}}
NEW = {"a": {1: 0.8, 2: 0.1}, "b": {3: 0.75}}
SHOWING = [step for step in STEPS if step.startswith(("shown.", "night."))]


@pytest.fixture
def newer(monkeypatch):
    """Return a function that scans again with another version of this program."""

    def scan(root, p_lens, **options):
        monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        return finished(root, p_lens, **options)

    return scan


def in_file(root, label=NIGHT):
    with pq.ParquetFile(f"{root}/candidates/{label}.parquet") as file:
        return file.read(["object_id"])["object_id"].to_pylist()


def schema_for_readers(*, maps=False):
    """Return the schema of candidates with the columns that depend on all of them."""
    return pa.schema([*candidate_schema(NETWORKS, maps=maps), *(column.field() for column in (*PURITY_COLUMNS, RANK))])


def test_the_file_is_sorted_and_described(disk):
    finished(disk, OLD)
    table = pq.read_table(f"{disk}/candidates/{NIGHT}.parquet")
    assert table.schema.equals(schema_for_readers())
    assert table["object_id"].to_pylist() == [1, 3, 2]
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"
    assert sorted(path.name for path in Path(disk).iterdir()) == ["_scan", "candidates"]
    assert [path.name for path in Path(disk).rglob("*.parquet")] == [f"{NIGHT}.parquet"]


def test_showing_again_writes_nothing(root):
    plan = finished(root, OLD)
    before = list_files(root)
    assert show(plan, root) == show_once(plan, root) == f"{root}/candidates/{NIGHT}.parquet"
    assert list_files(root) == before


def test_an_old_plan_is_not_shown_anew_by_sealing(disk, newer):
    old = finished(disk, OLD)
    newer(disk, NEW)
    show_once(old, disk)
    assert in_file(disk) == [1, 3]
    show(old, disk)
    assert in_file(disk) == [1, 3, 2]


def test_a_plan_without_record_replaces_others_only_if_asked(disk, newer):
    old = finished(disk, OLD)
    newer(disk, NEW)
    Path(entry_uri(disk, NIGHT, 2)).unlink()
    assert show_once(old, disk) is None
    assert in_file(disk) == query(disk)["object_id"].to_pylist() == [1, 3]
    assert show_once(old, disk, replacing=True) == f"{disk}/candidates/{NIGHT}.parquet"
    assert in_file(disk) == [1, 3, 2]


def test_a_plan_without_record_is_shown_beside_others(disk):
    field = finished(disk, OLD)
    finished(disk, {"c": {9: 0.8}})
    Path(entry_uri(disk, NIGHT, 2)).unlink()
    show_once(field, disk)
    assert in_file(disk) == [1, 9, 3, 2]


@pytest.mark.parametrize("harm", ["missing", "cut", "of another night"])
def test_a_missing_or_damaged_file_is_written_again(disk, harm):
    plan = finished(disk, OLD)
    finished(disk, {"z": {9: 0.9}}, night="2026-11-25")
    path = Path(disk, "candidates", f"{NIGHT}.parquet")
    good = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(good[:-9] if harm == "cut" else Path(disk, "candidates", "2026-11-25.parquet").read_bytes())
    assert wrong_night_files(disk) == {str(path): NightFault.DAMAGED if harm == "cut" else NightFault.OLD}
    show(plan, disk)
    assert path.read_bytes() == good
    assert wrong_night_files(disk, deep=True) == {}


def test_only_a_deep_check_reads_the_rows(disk):
    finished(disk, OLD)
    path = Path(disk, "candidates", f"{NIGHT}.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert wrong_night_files(disk) == {}
    assert wrong_night_files(disk, deep=True) == {str(path): NightFault.DAMAGED}
    path.write_bytes(data)
    assert wrong_night_files(disk, deep=True) == {}


@pytest.mark.parametrize("step", SHOWING)
def test_a_kill_at_any_step_is_mended_later(disk, newer, step):
    """A reader sees the old state or the new one, each object once, and the next call leaves the new one."""
    finished(disk, OLD)
    # The first kill comes after the entry `asked` of the new plan, so that the next entry is `shown`.
    for at in ("seal.create", step):
        crash_points.install(at, how="raise")
        try:
            with pytest.raises(Crash):
                newer(disk, NEW)
        finally:
            crash_points.uninstall()
    is_recorded = len(show_records(disk)[NIGHT]) == 2
    assert is_recorded == (step.startswith("night.") or step in {"shown.linked", "shown.created"})
    assert query(disk)["object_id"].to_pylist() == ([1, 3] if is_recorded else [1, 3, 2])
    assert in_file(disk) == ([1, 3] if step == "night.replaced" else [1, 3, 2])
    newer(disk, NEW)
    assert in_file(disk) == query(disk)["object_id"].to_pylist() == [1, 3]
    assert len(show_records(disk)[NIGHT]) == 2
    assert [path.name for path in Path(disk, "candidates").iterdir()] == [f"{NIGHT}.parquet"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_is_overtaken_leaves_the_newest_state(root, newer, monkeypatch, when):
    """A newer plan is shown as a whole, just before or after the older writer replaces the file."""
    real, pending = night_file.replace, [True]

    def overtaken(uri, data):
        if not pending:
            real(uri, data)
            return
        pending.clear()
        if when == "after":
            real(uri, data)
        newer(root, NEW)
        if when == "before":
            real(uri, data)

    monkeypatch.setattr(night_file, "replace", overtaken)
    finished(root, OLD)
    assert not pending
    assert wrong_night_files(root, deep=True) == {}
    assert query(root)["object_id"].to_pylist() == [1, 3]


def test_a_night_whose_seal_is_gone_keeps_its_file(disk):
    plan = finished(disk, OLD)
    Path(seal_uri(disk, plan.plan_id)).unlink()
    write_night(disk, NIGHT)
    assert in_file(disk) == [1, 3, 2]
    path = Path(disk, "candidates", f"{NIGHT}.parquet")
    assert wrong_night_files(disk) == {str(path): NightFault.WITHOUT_PLAN}
    path.unlink()
    assert wrong_night_files(disk) == {}


def test_many_candidates_with_maps_are_written_in_groups(disk, monkeypatch):
    monkeypatch.setattr(night_file, "ROWS_PER_GROUP", 2)
    finished(disk, OLD, maps_per_unit=1)
    file = pq.ParquetFile(f"{disk}/candidates/{NIGHT}.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1]
    assert file.schema_arrow.equals(schema_for_readers(maps=True))
    assert file.read()["map_guided"].is_valid().to_pylist() == [True, True, False]
