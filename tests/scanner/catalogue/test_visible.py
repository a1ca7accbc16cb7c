"""Every reader lists each object once in a night, whatever was scanned before, and each other plan on request."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from infra.store.storage import list_files
from scanner.catalogue import query as query_module
from scanner.catalogue import visible
from scanner.catalogue.ledger import publish
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.outcomes import SKIPPED
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.query import query
from scanner.catalogue.shown import shown_plans
from scanner.catalogue.units import PlanError
from scanner.catalogue.visible import VisibleError, visible_candidates
from scanner.catalogue.wanted import Wanted
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished, purity_table, scores, unit_of

OTHER_NIGHT = "2026-11-25"
FIELD = {"a": {1: 0.9, 2: 0.6, 3: 0.1}, "b": {4: 0.7, 5: None}}
"""Two units of five objects, three of them candidates at the threshold of 0.5."""


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


@pytest.fixture
def newer(monkeypatch):
    """Return a function that makes this program another version."""
    return lambda version="9.9": monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: version)


def by_glob(pattern):
    def read(root):
        source = f"read_parquet('{root}/{pattern}', union_by_name = true)"
        return [i for (i,) in duckdb.sql(f"FROM {source} SELECT object_id").fetchall()]

    return read


READERS = {
    "query": lambda root: query(root)["object_id"].to_pylist(),
    "view": lambda root: query(root, sql="SELECT object_id FROM candidates")["object_id"].to_pylist(),
    "visible": lambda root: visible_candidates(root)["object_id"].to_pylist(),
    "visible with maps": lambda root: visible_candidates(root, maps=True)["object_id"].to_pylist(),
    "DuckDB, folder": by_glob("candidates/*.parquet"),
    "DuckDB, root": by_glob("**/*.parquet"),
    "pandas, folder": lambda root: pd.read_parquet(f"{root}/candidates")["object_id"].tolist(),
    "pandas, root": lambda root: pd.read_parquet(root)["object_id"].tolist(),
    "pyarrow, folder": lambda root: ds.dataset(f"{root}/candidates").to_table()["object_id"].to_pylist(),
    "pyarrow, root": lambda root: pq.read_table(root)["object_id"].to_pylist(),
}


def assert_all_list(root, expected, n_rows):
    """Check the candidates of every reader, and the number of rows and of objects of the view `scores`."""
    assert {name: sorted(read(root)) for name, read in READERS.items()} == dict.fromkeys(READERS, expected)
    counted = "SELECT count(*) AS n, count(DISTINCT (object_id, night)) AS n_different FROM scores"
    assert query(root, sql=counted).to_pylist() == [{"n": n_rows, "n_different": n_rows}]


def test_a_scan_with_another_threshold_replaces_the_first(root):
    finished(root, FIELD)
    assert_all_list(root, [1, 2, 4], 5)
    finished(root, FIELD, shown=0.65)
    assert_all_list(root, [1, 4], 5)
    finished(root, FIELD, candidate_threshold=0.05)
    assert_all_list(root, [1, 2, 3, 4], 5)


def test_a_scan_with_another_version_replaces_the_first(root, newer):
    old = finished(root, FIELD)
    newer()
    new = finished(root, {"a": {1: 0.8, 2: 0.4, 3: 0.9}, "b": {4: 0.7, 5: 0.2}})
    assert old.plan_id != new.plan_id
    assert_all_list(root, [1, 3, 4], 5)
    assert visible_candidates(root)["plan_id"].to_pylist() == [new.plan_id] * 3


def test_scanning_again_as_before_shows_the_first_plan_again(root, newer):
    finished(root, FIELD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        finished(root, {"a": {1: 0.8, 2: 0.4, 3: 0.9}})
    assert_all_list(root, [1, 3, 4], 5)
    finished(root, FIELD)
    assert_all_list(root, [1, 2, 4], 5)


def test_moved_tiles_replace_those_at_the_old_place(root, monkeypatch):
    finished(root, FIELD)
    monkeypatch.setattr("tests.scanner.catalogue_parts.PLACE", "/moved")
    finished(root, FIELD)
    assert len(list(Path(root, "_scan", "plans").iterdir())) == 2
    assert_all_list(root, [1, 2, 4], 5)


def test_two_fields_of_one_night_are_both_there(root):
    """Object 4 lies in both fields, and its newer score is no candidate."""
    finished(root, FIELD)
    finished(root, {"c": {4: 0.2, 6: 0.9}})
    assert_all_list(root, [1, 2, 6], 6)


def test_shards_of_two_folders_with_equal_names_are_both_there(root, monkeypatch):
    first, second = {"shard-00000": {1: 0.9, 2: 0.6}}, {"shard-00000": {2: 0.3, 3: 0.8}}
    finished(root, first, night=None, kind="shard")
    monkeypatch.setattr("tests.scanner.catalogue_parts.PLACE", "/other")
    finished(root, second, night=None, kind="shard")
    assert_all_list(root, [1, 3], 3)
    monkeypatch.setattr("tests.scanner.catalogue_parts.PLACE", "/moved")
    moved = finished(root, first, night=None, kind="shard")
    assert_all_list(root, [1, 2, 3], 3)
    assert visible_candidates(root)["plan_id"].to_pylist().count(moved.plan_id) == 2
    assert len(shown_plans(root)["undated"]) == 2


def test_many_plans_read_the_ids_of_each_once(root, monkeypatch):
    n_plans = 12
    for i in range(n_plans):
        finished(root, {f"t{i:02}": {i: 0.9, 100: 0.8, 200 + i: 0.1}})
    read, sources = [], []
    real, source = visible._ids_in, query_module._source
    monkeypatch.setattr(visible, "_ids_in", lambda file: read.append(file.uri) or real(file))
    monkeypatch.setattr(query_module, "_source", lambda files, **options: sources.extend(files) or source(files, **options))
    assert sorted(visible_candidates(root)["object_id"].to_pylist()) == [*range(n_plans), 100]
    assert len(read) == len(set(read)) == n_plans - 1
    assert query(root, sql="FROM scores SELECT count(*) AS n").to_pylist() == [{"n": 2 * n_plans + 1}]
    assert len(sources) == 2 * n_plans - 1
    assert len(repr(shown_plans(root))) < 5000


def test_a_scan_of_one_of_two_tiles_replaces_this_tile(root, newer):
    old = finished(root, FIELD)
    newer()
    new = finished(root, {"a": {1: 0.55, 2: 0.3, 3: 0.2}})
    assert_all_list(root, [1, 4], 5)
    assert visible_candidates(root)["plan_id"].to_pylist() == [old.plan_id, new.plan_id]


def test_an_object_that_left_its_tile_is_gone(root, newer):
    """The catalogue of tile a has lost object 2; that of tile b is not scanned again."""
    finished(root, FIELD)
    newer()
    finished(root, {"a": {1: 0.9, 3: 0.1}})
    assert_all_list(root, [1, 4], 4)


def test_a_hidden_row_hides_no_other(root):
    """The row of object 7 in tile a is hidden itself, so the row in tile x is shown."""
    finished(root, {"x": {7: 0.9}})
    finished(root, {"a": {7: 0.8}, "b": {8: 0.9}})
    assert_all_list(root, [7, 8], 2)
    finished(root, {"a": {1: 0.9}})
    assert_all_list(root, [1, 7, 8], 3)
    assert visible_candidates(root, min_p_lens=0.85)["object_id"].to_pylist() == [1, 7, 8]


def test_a_skipped_row_hides_no_object(root):
    """Object 7 of tile a lies in tile b, too; a scan of tile b with a selection skips it, and objects 8 and 9 of its own."""
    finished(root, {"a": {7: 0.8, 1: 0.9}, "b": {8: 0.7, 2: None}})
    newer = finished(root, {"b": {7: None, 8: None, 9: None, 2: 0.6}}, skipped=(7, 8, 9))
    assert_all_list(root, [1, 2, 7], 5)
    assert visible_candidates(root, min_p_lens=0)["object_id"].to_pylist() == [1, 7, 2]
    assert statuses(root) == {1: "scored", 2: "scored", 7: "scored", 8: SKIPPED, 9: SKIPPED}
    finished(root, {"c": {7: None, 8: None, 3: 0.9}}, skipped=(7, 8))
    assert_all_list(root, [1, 2, 3, 7], 6)
    assert statuses(root) == {1: "scored", 2: "scored", 3: "scored", 7: "scored", 8: SKIPPED, 9: SKIPPED}
    assert query(root, Wanted(plan=newer.plan_id), sql="FROM scores SELECT count(*) AS n").to_pylist() == [{"n": 4}]


def test_a_middle_row_takes_the_place_of_both_others(root):
    """The newest of three plans skips object 7, the second rejects it, and the oldest has it as a candidate."""
    finished(root, {"a": {7: 0.8}})
    finished(root, {"b": {7: None}})
    finished(root, {"c": {7: None, 3: 0.9}}, skipped=(7,))
    assert_all_list(root, [3], 2)
    assert statuses(root) == {3: "scored", 7: "rejected:blank"}


def statuses(root):
    """Return the status of each object in the view `scores`."""
    table = query(root, sql="FROM scores SELECT object_id, status ORDER BY object_id")
    return dict(zip(table["object_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def test_nights_and_ensembles_are_listed_side_by_side(root):
    finished(root, FIELD)
    finished(root, FIELD, night=OTHER_NIGHT, ensemble=EnsembleName("other", "f" * 64), networks=("X", "Y"))
    finished(root, {"z": {9: 0.9}}, night=None)
    assert_all_list(root, [1, 1, 2, 2, 4, 4, 9], 11)
    assert [visible_candidates(root, night=night).num_rows for night in (NIGHT, OTHER_NIGHT, "undated")] == [3, 3, 1]
    assert pd.read_parquet(root)["night"].value_counts().to_dict() == {NIGHT: 3, OTHER_NIGHT: 3, "": 1}
    table = visible_candidates(root, night=OTHER_NIGHT)
    assert set(table["ensemble"].to_pylist()) == {"other"}
    assert visible_candidates(root)["p_X"].null_count == 4


@pytest.mark.server
def test_plans_in_a_store_are_merged_as_on_disk(s3, newer):
    finished(s3, FIELD)
    newer()
    finished(s3, {"a": {1: 0.55, 2: 0.3, 3: 0.2}, "c": {4: 0.8}})
    assert visible_candidates(s3)["object_id"].to_pylist() == [4, 1]
    assert query(s3, sql="SELECT object_id FROM scores ORDER BY object_id")["object_id"].to_pylist() == [1, 2, 3, 4, 5]


def test_one_plan_or_all_plans_are_listed_on_request(root, newer):
    old = finished(root, FIELD)
    newer()
    new = finished(root, {"a": {1: 0.55, 2: 0.3, 3: 0.2}}, shown=0.6)
    assert visible_candidates(root, plan=old.plan_id[:10])["object_id"].to_pylist() == [1, 4, 2]
    assert visible_candidates(root, plan=new.plan_id)["object_id"].to_pylist() == []
    assert visible_candidates(root, plan=new.plan_id, min_p_lens=0.5)["object_id"].to_pylist() == [1]
    assert visible_candidates(root, all_plans=True)["object_id"].to_pylist() == [1, 4, 2]
    with pytest.raises(PlanError, match="no plan begins with 'x'"):
        visible_candidates(root, plan="x")


def test_one_plan_has_the_purity_and_threshold_shown_last(root):
    few, many = (purity_table(purity) for purity in (0.25, 0.75))
    plan = finished(root, FIELD, purity=few)
    finished(root, FIELD, shown=0.65, purity=many)
    finished(root, {"c": {6: 0.9}}, purity=few)
    for options in ({"plan": plan.plan_id}, {}, {"all_plans": True}):
        table = visible_candidates(root, **options).filter(pc.field("plan_id") == plan.plan_id)
        assert table["object_id"].to_pylist() == [1, 4]
        assert table["expected_purity"].to_pylist() == pytest.approx([0.75, 0.75])


def test_rows_below_the_threshold_come_from_the_units(root, newer):
    old = finished(root, FIELD)
    newer()
    finished(root, {"a": {1: 0.55, 2: 0.3, 3: 0.2}}, shown=0.6)
    assert visible_candidates(root)["object_id"].to_pylist() == [4]
    assert visible_candidates(root, min_p_lens=0.5)["object_id"].to_pylist() == [4, 1]
    low = visible_candidates(root, min_p_lens=0.25)
    assert low["object_id"].to_pylist() == [4, 1, 2]
    assert low["p_lens"].to_pylist() == [np.float32(p) for p in (0.7, 0.55, 0.3)]
    assert low["ensemble"].to_pylist() == ["test"] * 3
    assert visible_candidates(root, min_p_lens=0)["object_id"].to_pylist() == [4, 1, 2, 3]
    assert visible_candidates(root, plan=old.plan_id, min_p_lens=0.05)["object_id"].to_pylist() == [1, 4, 2, 3]


def test_an_unfinished_plan_is_listed_only_on_request(root):
    plan = make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit_of("a", [1, 2]), unit_of("b", [3])])
    freeze(plan, root)
    with pytest.raises(VisibleError, match=r"catalogue: no complete scan; is it the folder"):
        visible_candidates(root)
    assert visible_candidates(root, plan=plan.plan_id[:9]).num_rows == 0
    publish(scores([1, 2], [0.9, 0.1]), plan.units[0], plan, root, "try")
    assert visible_candidates(root, plan=plan.plan_id[:9])["object_id"].to_pylist() == [1]
    assert visible_candidates(root, all_plans=True)["object_id"].to_pylist() == [1]
    finished(root, FIELD, night=OTHER_NIGHT)
    with pytest.raises(VisibleError, match=f"no complete scan of night {NIGHT}"):
        visible_candidates(root, night=NIGHT)


def test_a_night_that_waits_is_not_called_incomplete(root):
    finished(root, {"a": {1: 0.9}}, gate=True)
    waits = f"night {NIGHT} waits for its quality gate: `lensscan qa` judges it, `lensscan promote` shows it"
    for night in (None, str(NIGHT)):
        with pytest.raises(VisibleError, match=waits):
            visible_candidates(root, night=night)
    with pytest.raises(VisibleError, match="no complete scan of night 2020-01-01"):
        visible_candidates(root, night="2020-01-01")


def test_a_folder_that_is_not_there_is_named(root):
    with pytest.raises(VisibleError, match=f"{root}x: does not exist"):
        visible_candidates(f"{root}x")


def test_a_damaged_file_is_named(root):
    plan = finished(root, FIELD)
    (sealed,) = list_files(f"{root}/_scan/sealed")
    Path(sealed.uri).write_bytes(b"PAR1" * 9)
    with pytest.raises(VisibleError, match=rf"{plan.plan_id}\.candidates: cannot be read: "):
        visible_candidates(root)
    Path(unit_uri(root, plan.plan_id, "a")).write_bytes(b"PAR1" * 9)
    with pytest.raises(VisibleError, match=r"a\.unit: cannot be read: "):
        visible_candidates(root, min_p_lens=0)


def test_pixels_come_only_on_request(root):
    names = {column.name for column in MAP_COLUMNS}
    finished(root, FIELD, maps_per_unit=1)
    assert not names & set(visible_candidates(root).column_names)
    mapped = visible_candidates(root, maps=True)
    assert names <= set(mapped.column_names)
    assert mapped["map_cam"].is_valid().to_pylist() == [True, True, False]
    assert pd.read_parquet(root)["map_cam"].notna().tolist() == [True, True, False]
