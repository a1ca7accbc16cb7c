import numpy as np
import pytest

from infra.store.storage import StorageError, create_if_absent
from scanner.catalogue.ledger import publish
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.query import QueryError, query
from scanner.catalogue.seal import seal
from tests.scanner.catalogue_parts import EnsembleName, scores, unit_of


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def catalogue(request, tmp_path):
    """Two sealed nights, and one night that is committed but not sealed."""
    root = request.getfixturevalue("s3") if request.param == "s3" else f"{tmp_path}/it's a folder"
    tables = {
        "2026-11-22": scores([1, 2], [0.6, 0.9], subclass=["single", "double_ring"]),
        "2026-11-23": scores([3, 4], [0.95, None]),
        "2026-11-24": scores([5], [0.99]),
    }
    for night, table in tables.items():
        unit = unit_of("a", table["object_id"].to_pylist())
        plan = make_plan(night, EnsembleName(), ScanConfig(), [unit])
        index = table.schema.get_field_index("night")
        dated = table.set_column(index, table.schema.field(index), [[night] * table.num_rows])
        publish(dated, unit, plan, root, "try")
        if night != "2026-11-24":
            seal(plan, root)
    return root


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
        ({"limit": 1}, [3]),
        ({"limit": 0}, []),
    ],
)
def test_filters(catalogue, filters, expected):
    assert query(catalogue, **filters)["object_id"].to_pylist() == expected


def test_sql_sees_candidates_and_all_scores(catalogue):
    sql = "SELECT night, count(*) AS n FROM scores GROUP BY night ORDER BY night"
    assert query(catalogue, sql=sql).to_pylist() == [
        {"night": "2026-11-22", "n": 2},
        {"night": "2026-11-23", "n": 2},
        {"night": "2026-11-24", "n": 1},
    ]
    assert query(catalogue, sql=sql, limit=2).num_rows == 2
    joined = "SELECT object_id FROM scores ANTI JOIN candidates USING (object_id) ORDER BY object_id"
    assert query(catalogue, sql=joined)["object_id"].to_pylist() == [4, 5]


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM candidates", "SELECT\n  *\nFROM elsewhere", ""])
def test_wrong_sql_is_one_line(catalogue, sql):
    with pytest.raises(QueryError) as caught:
        query(catalogue, sql=sql)
    assert "\n" not in str(caught.value)
    assert str(caught.value)


@pytest.mark.server
def test_a_failing_read_is_one_line_that_names_its_cause(s3, monkeypatch):
    def fail(uri, *_args):
        raise StorageError(f"{uri}: changed while it was read")

    uri = f"{s3}/candidates/night=2026-11-22/a.parquet"
    create_if_absent(uri, b"PAR1" * 100, "1")
    monkeypatch.setattr("infra.store.s3_file.read_range", fail)
    with pytest.raises(QueryError) as caught:
        query(s3)
    assert str(caught.value) == f"{uri}: changed while it was read"


def test_a_value_is_never_sql(catalogue):
    assert query(catalogue, subclass="single' OR 1=1 --").num_rows == 0


def test_sql_and_filters_together_are_refused(catalogue):
    with pytest.raises(QueryError, match="either SQL or filters"):
        query(catalogue, sql="SELECT 1", night="2026-11-22")


def test_an_empty_root_is_refused(tmp_path):
    with pytest.raises(QueryError, match="no sealed candidates"):
        query(str(tmp_path))


@pytest.mark.parametrize("sql", ["COPY (SELECT 1 AS a) TO 'written.csv'", "DROP VIEW candidates", "SELECT 1; SELECT 2"])
def test_sql_that_is_not_one_query_is_not_run(catalogue, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError, match="one query"):
        query(catalogue, sql=sql)
    assert not list(tmp_path.glob("*.csv"))
