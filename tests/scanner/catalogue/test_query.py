import uuid
from datetime import date

import numpy as np
import pytest

from infra.store.storage import StorageError
from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.ledger import publish
from scanner.catalogue.paths import night_uri, sealed_path, unit_uri
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.query import QueryError, query
from scanner.catalogue.selection import Circle
from scanner.catalogue.visible import VisibleError
from scanner.catalogue.wanted import Wanted
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished, plan_of, scores, unit_of


@pytest.fixture(scope="module", params=["path", pytest.param("s3", marks=pytest.mark.server)])
def catalogue(request, tmp_path_factory):
    """Two nights that readers see, and one that is committed but not sealed; queries change nothing."""
    if request.param == "s3":
        root = f"s3://{request.getfixturevalue('s3_server')}/{uuid.uuid4().hex}"
    else:
        root = f"{tmp_path_factory.mktemp('queried')}/it's a folder"
    finished(root, {"a": {1: 0.6, 2: 0.9}}, night="2026-11-22", subclass=["single", "double_ring"])
    finished(root, {"a": {3: 0.95, 4: None}}, night="2026-11-23")
    unit = unit_of("a", [5])
    publish(scores([5], [0.99]), unit, plan_of({"a": [5]}), root, "try")
    freeze(plan_of({"a": [5]}), root)
    return root


@pytest.fixture
def disk(tmp_path):
    return str(tmp_path / "catalogue")


def test_candidates_come_best_first(catalogue):
    table = query(catalogue)
    assert table["object_id"].to_pylist() == [3, 2, 1]
    assert table["p_lens"].to_pylist() == [np.float32(p) for p in (0.95, 0.9, 0.6)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"min_p_lens": 0.8}, [3, 2]),
        ({"night": "2026-11-22"}, [2, 1]),
        ({"subclass": "single"}, [3, 1]),
        ({"subclass": "single", "night": "2026-11-22", "min_p_lens": 0.7}, []),
        ({"circle": Circle(ra_deg=0, dec_deg=90, radius_deg=180)}, [3, 2, 1]),
        ({"limit": 1}, [3]),
        ({"limit": 0}, []),
    ],
)
def test_filters(catalogue, filters, expected):
    assert query(catalogue, Wanted(**filters))["object_id"].to_pylist() == expected


def test_sql_sees_candidates_and_all_scores(catalogue):
    sql = "SELECT night, count(*) AS n FROM scores GROUP BY night ORDER BY night"
    assert query(catalogue, sql=sql).to_pylist() == [
        {"night": date(2026, 11, 22), "n": 2},
        {"night": date(2026, 11, 23), "n": 2},
    ]
    assert query(catalogue, Wanted(all_plans=True), sql=sql).to_pylist()[2:] == [{"night": date(2026, 11, 24), "n": 1}]
    assert query(catalogue, Wanted(limit=2), sql=sql).num_rows == 2
    joined = "SELECT object_id FROM scores ANTI JOIN candidates USING (object_id) ORDER BY object_id"
    assert query(catalogue, sql=joined)["object_id"].to_pylist() == [4]


def test_sql_with_two_columns_of_one_name_is_refused(catalogue):
    """Rows by name would hold one of the two values."""
    sql = "SELECT a.object_id, a.p_lens, b.p_lens FROM candidates a JOIN candidates b USING (object_id)"
    with pytest.raises(QueryError, match="columns must have different names, got p_lens twice: name them with AS"):
        query(catalogue, sql=sql)
    named = query(catalogue, sql=sql.replace("b.p_lens", "b.p_lens AS other"))
    assert named.column_names == ["object_id", "p_lens", "other"]


@pytest.mark.server
def test_a_failing_read_is_one_line_that_names_its_cause(s3, monkeypatch):
    def fail(uri, *_args):
        raise StorageError(f"{uri}: changed while it was read")

    plan = finished(s3, {"a": {1: 0.6}})
    monkeypatch.setattr("infra.store.s3_file.read_range", fail)
    with pytest.raises(QueryError) as caught:
        query(s3, sql="SELECT * FROM scores")
    assert str(caught.value) == f"{unit_uri(s3, plan.plan_id, 'a')}: changed while it was read"


def test_a_value_is_never_sql(catalogue):
    assert query(catalogue, Wanted(subclass="single' OR 1=1 --")).num_rows == 0


def test_sql_and_filters_together_are_refused(catalogue):
    circle = Circle(ra_deg=0, dec_deg=0, radius_deg=1)
    for filters in ({"night": "2026-11-22"}, {"min_p_lens": 0.0}, {"subclass": "single"}, {"circle": circle}):
        with pytest.raises(QueryError, match="either SQL or filters"):
            query(catalogue, Wanted(**filters), sql="SELECT 1")


def test_an_empty_root_is_refused(tmp_path):
    with pytest.raises(VisibleError, match="no complete scan"):
        query(str(tmp_path))


REFUSED = r"""
COPY (SELECT 1) TO 'new.csv'; COPY candidates TO 'new.csv'; INSTALL httpfs; LOAD httpfs; ATTACH 'new.db'
CREATE TABLE t AS SELECT 1
PRAGMA database_list; SET enable_external_access = true; EXPORT DATABASE 'new'; CALL pragma_version(); DROP VIEW candidates;;
EXPLAIN ANALYZE COPY (SELECT 1) TO 'new.csv'; SELECT; SELEC 1; SELECT nothing FROM candidates; SELECT\n*\nFROM elsewhere
SELECT content FROM read_text('{outside}'); SELECT * FROM read_csv('{outside}'); SELECT * FROM glob('{outside}*')
SELECT * FROM '{outside}'; SELECT * FROM read_csv('http://127.0.0.1:9/x'); SELECT * FROM 'https://127.0.0.1:9/x.parquet'
SELECT getenv('HOME'); SELECT * FROM sqlite_scan('x', 'y'); SELECT c.p_lens, d.p_lens FROM candidates c, candidates d
SELECT * FROM root_uri; SELECT * FROM statement; SELECT * FROM plans; SELECT * FROM parts; SELECT * FROM sealed
SELECT * FROM os
SELECT object_id, object_id FROM candidates; SELECT * FROM (PIVOT candidates ON tile USING count(*))
PIVOT candidates ON tile USING count(*)
SELECT * FROM (COPY (SELECT 1) TO 'new.csv')
WITH x AS (COPY (SELECT 1 AS a) TO 'new.csv') SELECT * FROM x; WITH x AS (COPY candidates TO 'new.csv') SELECT * FROM x
WITH x AS (COPY (SELECT 1 AS a) TO '{night}') SELECT * FROM x
WITH x AS (COPY (SELECT 1 AS a) TO '{unit}') SELECT * FROM x, scores
WITH x AS (COPY (SELECT 1 AS a) TO '{unit}' (USE_TMP_FILE false)) SELECT * FROM x, scores
WITH x AS (INSTALL httpfs) SELECT * FROM x
WITH x AS (COPY (SELECT 1 AS a) TO '{sealed}' (USE_TMP_FILE false)) SELECT * FROM x, candidates
WITH x AS (ATTACH 'new') SELECT 1
WITH x AS (LOAD 'new.duckdb_extension') SELECT * FROM x; WITH x AS (EXPORT DATABASE 'new') SELECT 1
WITH x AS (SET lock_configuration = false) SELECT 1; WITH x AS (CREATE TABLE t AS SELECT 1) SELECT 1
WITH x AS (INSERT INTO _scores VALUES (1) RETURNING 1) SELECT 1; SELECT * FROM query('COPY (SELECT 1) TO ''new.csv''')
SELECT 1 WHERE EXISTS (WITH y AS (COPY (SELECT 1) TO 'new.csv') SELECT * FROM y)
SELECT * FROM query('WITH x AS (CO' || 'PY (SELECT 1) TO ''{unit}'' (USE_TMP_FILE false)) SELECT * FROM x'), scores
"""
ANSWERED = r"""
SELECT count(*) AS n FROM candidates; SELECT * FROM query_table('candidates'); SELECT 'candidates' AS x; SELECT 1 AS "a\nb"
SELECT * FROM range(100000000000); FROM candidates SELECT candidate_id; VALUES (1); TABLE candidates; DESCRIBE candidates
SUMMARIZE candidates; SELECT count(*) FROM scores; SELECT * FROM duckdb_settings() WHERE name LIKE '%access%'; SELECT 1 -- one
"""


def test_sql_reads_the_catalogue_alone_and_writes_nothing(tmp_path, monkeypatch):
    root, here, outside = tmp_path / "it's here", tmp_path / "empty", tmp_path / "outside.csv"
    plan = finished(str(root), {"a": {1: 0.9, 2: 0.1}})
    here.mkdir()
    monkeypatch.chdir(here)
    outside.write_text("secret\n1\n")
    unit, sealed = unit_uri(str(root), plan.plan_id, "a"), root / sealed_path(plan.plan_id)
    names = {"outside": outside, "unit": unit, "sealed": sealed, "night": night_uri(str(root), NIGHT)}
    quoted = {name: str(path).replace("'", "''") for name, path in names.items()}

    def texts(several):
        return [text.format(**quoted).replace(r"\n", "\n") for text in several.strip().replace("\n", "; ").split("; ")]

    def files():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = files()
    for sql in [*texts(REFUSED), "SELECT 1; SELECT 2", "SELECT 1; COPY (SELECT 1) TO 'new.csv'", ""]:
        with pytest.raises(QueryError) as caught:
            query(str(root), Wanted(limit=2), sql=sql)
        assert len(str(caught.value).splitlines()) == 1, sql
    for sql in texts(ANSWERED):
        assert query(str(root), Wanted(limit=2), sql=sql).num_rows in {1, 2}, sql
    assert files() == before


def test_an_unknown_table_is_answered_with_the_views(disk):
    finished(disk, {"a": {1: 0.9}})
    with pytest.raises(QueryError, match=r"Table with name candidate does not exist! The views are candidates, scores\.$"):
        query(disk, sql="select * from candidate")


def test_views_show_each_object_once_or_every_plan(disk, monkeypatch):
    old = finished(disk, {"a": {1: 0.9, 2: 0.1}, "b": {3: 0.8, 4: 0.2}})
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
    new = finished(disk, {"a": {1: 0.7, 2: 0.6}, "c": {4: 0.3}})
    found = {
        view: {name: ids_and_plans(disk, view, **which) for name, which in options(old).items()}
        for view in ("candidates", "scores")
    }
    mine, yours = new.plan_id, old.plan_id
    assert found["candidates"]["shown"] == [(1, mine), (2, mine), (3, yours)]
    assert found["scores"]["shown"] == [(1, mine), (2, mine), (3, yours), (4, mine)]
    assert found["candidates"]["one"] == [(1, yours), (3, yours)]
    assert found["scores"]["one"] == [(i, yours) for i in (1, 2, 3, 4)]
    assert found["candidates"]["all"] == sorted([(1, mine), (2, mine), (1, yours), (3, yours)])
    assert len(found["scores"]["all"]) == 7


def options(plan):
    return {"shown": {}, "one": {"plan": plan.plan_id[:12]}, "all": {"all_plans": True}}


def ids_and_plans(root, view, **which):
    table = query(root, Wanted(**which), sql=f"FROM {view} SELECT object_id, plan_id ORDER BY object_id, plan_id")
    return sorted(zip(table["object_id"].to_pylist(), table["plan_id"].to_pylist(), strict=True))


def test_a_night_is_a_date_and_null_without_nights(disk):
    finished(disk, {"a": {1: 0.9}})
    finished(disk, {"a": {1: 0.8}}, night=None)
    for view in ("candidates", "scores"):
        table = query(disk, sql=f"FROM {view} SELECT night, night > DATE '2026-01-01' AS late ORDER BY p_lens")
        assert table.to_pylist() == [{"night": None, "late": None}, {"night": date(2026, 11, 24), "late": True}]


def test_folders_above_a_catalogue_give_no_column_its_value(tmp_path, monkeypatch):
    root = str(tmp_path / "night=2026-01-01" / "plan=wide" / "tile=x" / "stage=7")
    finished(root, {"a": {1: 0.9, 2: 0.1}})
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
    new = finished(root, {"b": {2: 0.6}})
    columns = "object_id, night, tile, stage, plan_id"
    found = {view: query(root, sql=f"FROM {view} SELECT {columns} ORDER BY object_id") for view in ("scores", "candidates")}
    assert found["scores"].to_pylist() == found["candidates"].to_pylist()
    night = date(2026, 11, 24)
    assert [tuple(row.values())[:4] for row in found["scores"].to_pylist()] == [(1, night, "a", 1), (2, night, "b", 1)]
    assert found["scores"]["plan_id"][1].as_py() == new.plan_id
    assert query(root, sql="FROM scores").column_names[-1] == "plan_id"


def test_scores_are_an_empty_view_before_the_first_unit(disk):
    plan = plan_of({"a": [5]})
    freeze(plan, disk)
    every = Wanted(all_plans=True)
    assert query(disk, every, sql="SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 0}]
    before = query(disk, every, sql="FROM scores")
    publish(scores([5], [0.9]), plan.units[0], plan, disk, "try")
    after = query(disk, every, sql="FROM scores")
    networks = {"p_OU_66", "p_OU_200"}
    assert dict(zip(before.schema.names, before.schema.types, strict=True)) == {
        field.name: field.type for field in after.schema if field.name not in networks
    }


def test_an_empty_view_has_maps_and_carried_columns_of_plans(disk):
    columns = (CarriedColumn(name="flux", type="float"),)
    freeze(make_plan(None, EnsembleName(), ScanConfig(maps_per_unit=1), [unit_of("a", [5])], columns=columns), disk)
    table = query(disk, Wanted(all_plans=True), sql="SELECT cat_flux, cutout_rgb FROM scores")
    assert (table.num_rows, table.column_names) == (0, ["cat_flux", "cutout_rgb"])


def test_one_plan_and_all_plans_exclude_each_other(disk):
    with pytest.raises(QueryError, match="either one plan or all plans"):
        query(disk, Wanted(plan="a", all_plans=True))
