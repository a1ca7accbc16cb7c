"""Tests of the operator's commands: their output and their exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.main import _run
from infra.store.storage import info, read_bytes
from scanner.catalogue.ledger import publish
from scanner.catalogue.paths import entry_uri, plan_uri
from scanner.catalogue.plan import ScanConfig, build_plan, freeze, make_plan
from scanner.catalogue.runs import record_run
from scanner.catalogue.shown import show_records
from scanner.catalogue.unit_inputs import planned_ids
from scanner.catalogue.visible import visible_candidates
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.imports_of_commands import heavy_imports
from tests.scanner.audited import flipped, make_audited, replace
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished, scores, unit_of
from tests.scanner.run_records import record_of
from tests.tiles import write_tile

LENSSCAN = Path(sys.executable).with_name("lensscan")
OTHER_NIGHT = "2026-11-25"


@pytest.fixture
def lensscan(monkeypatch, capsys):
    """Run a command as the entry point does, but in this process, and return its output."""

    def run(*args, ends=0):
        monkeypatch.setenv("COLUMNS", "160")
        # Without explicit arguments, cyclopts warns that it runs under a test.
        monkeypatch.setattr("flows.cli.main.app", lambda: app([*map(str, args)]))
        code = _run()
        out, err = capsys.readouterr()
        assert code == ends, out + err
        return out if ends != 2 else err

    return run


@pytest.fixture
def night(tmp_path):
    """Return a committed night, in a catalogue with another night that is planned only."""
    made = make_audited(tmp_path, str(tmp_path / "catalogue"))
    made.scan()
    freeze(make_plan(OTHER_NIGHT, EnsembleName(), ScanConfig(), [unit_of("z", [1, 2])]), made.root)
    return made


def test_status_shows_the_runs_of_selected_plans(lensscan, night):
    plan = night.plan.plan_id
    record_run(record_of(plan_id=plan, store_retries=41, error="StorageError", units_committed=None), night.root)
    record_run(record_of("other", plan_id="0" * 64), night.root)
    table = lensscan("status", night.root, "--runs")
    assert "1 run" in table
    for cell in ("a1", NIGHT, "2026-11-24 22:30", "12.5", "90", "41", "StorageError"):
        assert cell in table
    (found,) = json.loads(lensscan("status", night.root, "--runs", "--json"))
    assert (found["run_id"], found["store_retries"], found["units_committed"]) == ("a1", 41, None)
    assert json.loads(lensscan("status", night.root, "--runs", "--json", "--night", OTHER_NIGHT)) == []


def test_status_shows_the_progress_of_each_plan(lensscan, night):
    shown = {found["night"]: found for found in json.loads(lensscan("status", night.root, "--json"))}
    assert (shown[NIGHT]["n_units_committed"], shown[NIGHT]["n_rows_committed"], shown[NIGHT]["is_sealed"]) == (4, 8, False)
    assert (shown[OTHER_NIGHT]["n_units_committed"], shown[OTHER_NIGHT]["n_rows"]) == (0, 2)
    assert [shown[name]["state"] for name in (NIGHT, OTHER_NIGHT)] == ["to be sealed", "unfinished"]
    night.seal()
    table = lensscan("status", night.root)
    for cell in ("4/4", "0/1", "test", "0.3", night.plan.code_version[:-5], "to be shown", "unfinished"):
        assert cell in table
    replace(night.uri("seal"), b"{}")
    assert f"{night.uri('seal')}: not a seal" in lensscan("status", night.root, "--night", NIGHT)


def test_status_starts_without_libraries_for_images(tmp_path):
    """The import of astropy took as long as the rest of the command."""
    finished(str(tmp_path), {"a": {1: 0.9}})
    assert heavy_imports("status", str(tmp_path)) <= {"numpy", "pyarrow"}


def test_status_tells_plans_apart_newest_first(lensscan, tmp_path, monkeypatch):
    root = str(tmp_path / "again")
    plans = [finished(root, {"a": {1: 0.9}, "b": {2: 0.8}}, shown=0.6)]
    plans.append(finished(root, {"b": {2: 0.8}, "c": {3: 0.8}}, night=NIGHT))
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
    plans.append(finished(root, {"a": {1: 0.9}}, night=None))
    for number, plan in enumerate(plans):
        os.utime(plan_uri(root, plan.plan_id), (10**9, 10**9 + number * 86400))
    found = json.loads(lensscan("status", root, "--json"))
    assert [plan["plan_id"] for plan in found] == [plan.plan_id for plan in reversed(plans)]
    assert [(plan["state"], plan["n_units_shown"], plan["threshold"]) for plan in found] == [
        ("shown", 1, 0.5),
        ("shown", 2, 0.5),
        ("partly shown", 1, 0.6),
    ]
    lines = [line for line in lensscan("status", root).splitlines() if line.startswith("│")]
    for line, cells in zip(lines, (("none", "9.9", "2001-09-11"), ("shown", "2001-09-10"), ("0.6", "2001-09-09")), strict=True):
        assert all(cell in line for cell in cells), line
    monkeypatch.undo()
    finished(root, {"a": {1: 0.9}, "b": {2: 0.8}, "d": {4: 0.8}})
    states = {plan["plan_id"]: plan["state"] for plan in json.loads(lensscan("status", root, "--night", NIGHT, "--json"))}
    assert states[plans[0].plan_id] == "superseded"


def test_seal_shows_a_night_and_mends_its_file(lensscan, night):
    path = Path(night.root, "candidates", f"{NIGHT}.parquet")
    assert f"in {path}" in lensscan("seal", night.root, "--night", NIGHT)
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    again = f"lensscan seal {night.root} writes it again"
    assert f"file {path}: is damaged; delete it, and {again}" in lensscan("verify", night.root, ends=1)
    # A byte of its rows: only a deep check reads these.
    path.write_bytes(flipped(data, 60))
    lensscan("verify", night.root)
    assert f"file {path}: is damaged" in lensscan("verify", night.root, "--deep", ends=1)
    path.unlink()
    assert f"file {path}: is missing or old; {again}" in lensscan("verify", night.root, ends=1)
    (sealed,) = json.loads(lensscan("seal", night.root, "--night", NIGHT, "--json"))
    assert sealed["candidates_uri"] == str(path)
    assert path.read_bytes() == data
    lensscan("verify", night.root, "--deep")


def test_seal_shows_a_plan_without_record_only_by_name(lensscan, tmp_path, monkeypatch):
    root = str(tmp_path / "again")
    old = finished(root, {"a": {1: 0.9}})
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
    new = finished(root, {"a": {1: 0.8}})
    Path(entry_uri(root, NIGHT, 2)).unlink()
    name = old.plan_id[:12]
    command = f"lensscan seal {root} --plan {name}"
    said = lensscan("seal", root)
    assert (
        f"plan {name}, night {NIGHT}: 1 candidates of 1 rows, not shown, because other plans show its units: {command}" in said
    )
    assert visible_candidates(root)["plan_id"].to_pylist() == [new.plan_id]
    assert f"in {root}/candidates/{NIGHT}.parquet" in lensscan("seal", root, "--plan", name)
    assert visible_candidates(root)["plan_id"].to_pylist() == [old.plan_id]


def test_seal_records_the_purity_of_a_known_ensemble(lensscan, tmp_path):
    root, card = str(tmp_path / "again"), read_card(SHIPPED_DIR / "mer3-sim")
    finished(root, {"a": {1: 0.9}}, ensemble=card)
    record = Path(entry_uri(root, NIGHT, 2))
    record.unlink()
    lensscan("seal", root)
    assert json.loads(record.read_bytes())["purity"]["prevalence"] == card.assumed_prevalence
    assert show_records(root)[NIGHT][0].purity == card.purity_table
    assert visible_candidates(root)["expected_purity"].null_count == 0


def test_status_leaves_out_a_plan_that_is_forgotten_meanwhile(lensscan, tmp_path, monkeypatch):
    root = str(tmp_path / "again")
    plan = finished(root, {"a": {1: 0.9}})
    other = finished(root, {"b": {2: 0.9}})

    def forgotten(uri):
        if plan.plan_id in uri:
            Path(uri).unlink()
        return info(uri)

    monkeypatch.setattr("scanner.catalogue.audit.status.info", forgotten)
    assert [found["plan_id"] for found in json.loads(lensscan("status", root, "--json"))] == [other.plan_id]
    monkeypatch.setattr("scanner.catalogue.audit.status.info", lambda uri: Path(uri).unlink() or info(uri))
    assert "0 plans" in lensscan("status", root)


def test_forget_removes_a_replaced_plan_and_says_so(lensscan, tmp_path, monkeypatch):
    root = str(tmp_path / "again")
    old = finished(root, {"a": {1: 0.9}})
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
    new = finished(root, {"a": {1: 0.8}})
    assert "is shown to readers" in lensscan("forget", root, new.plan_id[:8], ends=2)
    assert lensscan("forget", root, old.plan_id[:8]) == f"plan {old.plan_id[:12]}: removed 5 files, 0.0 MB\n"
    assert "no plan begins with" in lensscan("forget", root, old.plan_id[:8], ends=2)
    frozen = make_plan(OTHER_NIGHT, EnsembleName(), ScanConfig(), [unit_of("z", [1, 2])])
    freeze(frozen, root)
    done = json.loads(lensscan("forget", root, frozen.plan_id[:8], "--unfinished", "--json"))
    assert (done["plan_id"], done["n_files"]) == (frozen.plan_id, 1)


def test_query_says_how_many_and_where(lensscan, tmp_path):
    root = str(tmp_path / "again")
    plan = finished(root, {"100000001": {i: 1 - i / 100 for i in range(30)}, "100000002": {40: 0.3}})
    table = lensscan("query", root)
    assert "20 of 30 candidates" in table
    heading = next(line for line in table.splitlines() if "candidate_id" in line)
    assert [name.strip() for name in heading.strip("┃").split("┃")] == [
        *("candidate_id", "ra", "dec", "p_lens", "subclass", "p_compound", "tile"),
    ]
    assert "1 of 31 candidates" in lensscan("query", root, "--min-p-lens", "0.2", "--limit", "1")
    assert "30 candidates" in lensscan("query", root, "--plan", plan.plan_id[:8])
    finished(root, {"a": {1: 0.9}}, night=None)
    assert "night" in lensscan("query", root, "--all-plans")
    dated = json.loads(lensscan("query", root, "--sql", "select night from candidates where night > '2026-01-01'", "--json"))
    assert dated == [{"night": NIGHT}] * 30


def test_the_expected_purity_is_not_told_of_one_subclass(lensscan, tmp_path, monkeypatch):
    root = str(tmp_path / "again")
    finished(root, {"a": {1: 0.9}})
    monkeypatch.setattr("flows.commands.query_text.expected_in_words", lambda *_, **__: "about 12 % are lenses")
    assert lensscan("query", root).endswith("about 12 % are lenses\n")
    assert "about 12 %" not in lensscan("query", root, "--subclass", "single")


def test_seal_seals_complete_plans_and_names_incomplete_ones(lensscan, night):
    assert "1 of 1 units not committed, such as z" in lensscan("seal", night.root, ends=2)
    out = lensscan("seal", night.root, "--plan", night.plan.plan_id[:8])
    assert f"plan {night.plan.plan_id[:12]}, night {NIGHT}: 6 candidates of 8 rows" in out
    assert json.loads(lensscan("seal", night.root, "--night", NIGHT, "--json"))[0]["n_candidates"] == 6


def test_reconcile_exits_with_zero_only_if_all_is_equal(lensscan, night):
    equal = json.loads(lensscan("reconcile", night.root, "--night", NIGHT, "--json"))
    assert equal["is_equal"]
    assert equal["plans"][0]["n_owned_elsewhere"] == 1
    table = lensscan("reconcile", night.root, ends=1)
    assert (
        f"night {NIGHT}: equal: 8 rows planned, 7 scored + 1 rejected; 6 candidates, not sealed, 1 in overlaps counted once"
        in table
    )
    assert f"night {OTHER_NIGHT}: NOT EQUAL: 2 rows planned, 0 scored + 0 rejected" in table
    assert "1 missing units, such as z" in table
    assert "1 inputs unavailable, such as unit z: catalogue /data/z.fits is gone" in table
    replace(night.uri("plan"), b"{}")
    damaged = json.loads(lensscan("reconcile", night.root, "--night", NIGHT, "--json", ends=1))
    assert not damaged["is_equal"]
    assert night.uri("plan") in damaged["damaged_plans"][0]


def test_reconcile_names_tiles_that_a_scan_left_out(lensscan, tmp_path):
    root, tiles = str(tmp_path / "catalogue"), tmp_path / "tiles"
    for number in (1, 2):
        write_tile(tiles, number, 2)
    next(tiles.glob("*FINAL-CAT*TILE000000002*")).unlink()
    plan = build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(), root_uri=root)
    freeze(plan, root)
    (unit,) = plan.units
    publish(scores(planned_ids(unit).tolist(), [0.9, 0.1]), unit, plan, root, "try")
    said = lensscan("reconcile", root, ends=1)
    assert f"night {NIGHT}: NOT EQUAL: 2 rows planned, 2 scored + 0 rejected" in said
    assert "1 tiles left out, such as 000000002 (no catalogue: no catalogue named EUC_MER_FINAL-CAT_TILE000000002-...)" in said
    assert not json.loads(lensscan("reconcile", root, "--json", ends=1))["is_equal"]


def test_verify_names_a_damaged_file_and_repair_moves_it(lensscan, night):
    night.show()
    assert "none damaged" in lensscan("verify", night.root, "--deep")
    assert "nothing to repair" in lensscan("repair", night.root)
    replace(night.uri("unit"), flipped(read_bytes(night.uri("unit")), 40))
    assert f"unit {night.uri('unit')}: its SHA-256 is not the one in the seal" in lensscan("verify", night.root, ends=1)
    found = json.loads(lensscan("verify", night.root, "--deep", "--json", ends=1))
    assert [fault["uri"] for plan in found["plans"] for fault in plan["faults"]] == [night.uri("unit")]
    before = night.contents()
    assert "would go to" in lensscan("repair", night.root, "--dry-run")
    assert night.contents() == before
    out = lensscan("repair", night.root, "--night", NIGHT)
    assert f"1 of 4 units pending; scan {NIGHT} again" in out
    assert not Path(night.uri("unit")).exists()
    assert "belongs to a night that shows no plan; scan the night again" in lensscan("verify", night.root, "--deep", ends=1)
    night.scan()
    lensscan("seal", night.root, "--night", NIGHT)


def as_broken_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def as_folder(path):
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / "kept").write_bytes(data)


@pytest.mark.parametrize(
    ("part", "damage", "says"),
    [
        ("entry", lambda path: path.write_bytes(b"{}"), "not an entry of a night's journal"),
        ("unit", as_broken_link, "is a link that leads nowhere, or a pipe"),
        ("unit", as_folder, "is a folder, must be a file"),
    ],
)
def test_what_stops_other_commands_is_named_moved_and_written_again(lensscan, night, part, damage, says):
    night.show()
    before = night.contents()
    path = Path(entry_uri(night.root, NIGHT, 1) if part == "entry" else night.uri(part))
    damage(path)
    damaged = sorted(Path(night.root).rglob("*"))
    assert f"{part} {path}: {says}" in lensscan("verify", night.root, ends=1)
    for command in ("verify", "reconcile"):
        assert str(path) in lensscan(command, night.root, "--night", NIGHT, "--json", ends=1)
    assert f"{path} would go to" in lensscan("repair", night.root, "--dry-run")
    assert sorted(Path(night.root).rglob("*")) == damaged
    said = lensscan("repair", night.root)
    assert f"{path} went to {night.root}/_scan/quarantine/" in said
    assert ("journal: scan the night again" in said) == (part == "entry")
    assert path not in path.parent.iterdir()
    assert "nothing to repair" in lensscan("repair", night.root)
    night.scan()
    night.show()
    assert night.contents() == before
    lensscan("verify", night.root, "--deep")
    lensscan("reconcile", night.root, "--night", NIGHT)


def test_repair_names_the_program_version_that_a_rescan_needs(lensscan, night, monkeypatch):
    night.seal()
    replace(night.uri("unit"), b"")
    monkeypatch.setattr("infra.provenance.code_version", lambda: "9.9")
    out = lensscan("repair", night.root, "--night", NIGHT)
    assert f"again with lensscan {night.plan.code_version} (this is 9.9, which would plan the whole night anew)" in out


def test_verify_of_a_whole_catalogue_names_files_of_no_plan(lensscan, night):
    uri = f"{night.root}/candidates/{NIGHT}-x.parquet"
    replace(uri, b"x")
    assert f"file {uri}: belongs to no plan" in lensscan("verify", night.root, ends=1)
    lensscan("verify", night.root, "--night", NIGHT)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--plan", "zzz"), "no plan begins with 'zzz'"),
        (("--night", "1999-01-01"), "no plan of 1999-01-01"),
        (("--plan", ""), "must have at least one character, got ''"),
        (("--plan", "0", "--night", "1999-01-01"), "either a plan or a night"),
    ],
)
def test_a_missing_or_ambiguous_plan_is_named(lensscan, night, options, says):
    assert says in lensscan("reconcile", night.root, *options, ends=2)


@pytest.mark.parametrize("command", ["status", "seal", "reconcile", "verify", "repair", "forget"])
def test_a_folder_without_a_catalogue_gives_a_one_line_error(lensscan, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    said = lensscan(command, "nowhere", *(["1"] if command == "forget" else []), ends=2)
    assert len(said.strip().splitlines()) == 1
    assert "holds no plans" in said
    assert list(tmp_path.iterdir()) == []


def test_reconcile_as_a_process_has_the_same_exit_codes(night):
    def code(*args):
        done = subprocess.run([LENSSCAN, *args, night.root], capture_output=True, text=True, timeout=100, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode

    assert (code("reconcile", "--night", NIGHT), code("reconcile"), code("reconcile", "--night", "1999-01-01")) == (0, 1, 2)
