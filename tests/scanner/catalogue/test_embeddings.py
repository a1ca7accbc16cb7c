"""Embeddings in unit files, candidate files and queries: there where a plan names a reference, and checked."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.columns import EMBEDDING, candidate_schema_like, unit_schema, unit_schema_like
from scanner.catalogue.embeddings import EmbeddingError, check_embeddings, embedding_array
from scanner.catalogue.paths import night_uri, sealed_path
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.query import query
from scanner.catalogue.unitfile import read_unit
from scanner.catalogue.wanted import Wanted
from tests.scanner.catalogue_parts import NETWORKS, NIGHT, finished, scores

REFERENCE = "a" * 64
WITH, WITHOUT = ScanConfig(reference_sha256=REFERENCE), ScanConfig()
VALUES = {i: [float(np.float32(i + axis / 64)) for axis in range(32)] for i in range(1, 5)}


def table(embedding, anomaly, p_lens=(0.9, 0.2, None)):
    return scores([1, 2, 3], list(p_lens), embedding=embedding, anomaly=anomaly)


def test_whole_embeddings_of_scored_rows_pass():
    good = table([VALUES[1], None, None], [0.5, None, None])
    check_embeddings(good, WITH)
    assert embedding_array(good.slice(0, 1)).tolist() == [VALUES[1]]
    check_embeddings(scores([1], [0.5]), WITHOUT)


@pytest.mark.parametrize(
    ("embedding", "anomaly", "text"),
    [
        ([VALUES[1], None, None], [None, None, None], "anomaly: must be null exactly where embedding is"),
        ([VALUES[1][:31], None, None], [0.5, None, None], r"must have 32 values, got \[31\]"),
        ([[float("nan"), *VALUES[1][1:]], None, None], [0.5, None, None], "must be finite"),
        ([[None, *VALUES[1][1:]], None, None], [0.5, None, None], "must be finite"),
        ([VALUES[1], None, VALUES[3]], [0.5, None, 0.5], "must be null in rows without a score"),
        ([VALUES[1], None, None], [-0.5, None, None], "anomaly: must be 0 or more, got -0.5"),
    ],
)
def test_impossible_embeddings_are_refused(embedding, anomaly, text):
    with pytest.raises(EmbeddingError, match=text):
        check_embeddings(table(embedding, anomaly), WITH)


def test_columns_must_be_those_of_the_plan():
    with pytest.raises(EmbeddingError, match="the plan asks for no embeddings"):
        check_embeddings(table([None] * 3, [None] * 3), WITHOUT)
    with pytest.raises(EmbeddingError, match="the plan asks for embeddings"):
        check_embeddings(scores([1], [0.5]), WITH)


def test_schemas_know_whether_there_are_embeddings():
    for has in (True, False):
        schema = unit_schema(NETWORKS, embeddings=has)
        assert unit_schema_like(schema).equals(schema)
        assert [name in candidate_schema_like(schema).names for name in ("anomaly", "embedding")] == [has, has]


def test_embeddings_reach_every_file_and_no_list(tmp_path):
    root = str(tmp_path)
    plan = finished(
        root, {"a": {1: 0.9, 2: 0.8, 3: None}, "b": {4: 0.1}}, embeddings=VALUES | {3: None}, reference_sha256=REFERENCE
    )
    stored = read_unit(root, plan.units[0], plan).table
    assert stored[EMBEDDING.name].to_pylist() == [VALUES[1], VALUES[2], None]
    for path in (tmp_path / sealed_path(plan.plan_id), night_uri(root, NIGHT)):
        assert pq.read_table(path, partitioning=None)[EMBEDDING.name].to_pylist() == [VALUES[1], VALUES[2]]
    for wanted in (Wanted(), Wanted(plan=plan.plan_id)):
        rows = query(root, wanted)
        assert "embedding" not in rows.column_names
        assert rows["anomaly"].to_pylist() == [0.5, 0.5]
        assert query(root, wanted, maps=True)["embedding"].to_pylist() == [VALUES[1], VALUES[2]]
    distance = "SELECT list_cosine_distance(embedding, embedding) AS d FROM scores WHERE object_id = 4"
    assert query(root, sql=distance)["d"].to_pylist() == [pytest.approx(0, abs=1e-6)]


def test_nights_with_and_without_embeddings_lie_together(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    finished(root, {"a": {1: 0.8}}, night="2026-11-25", embeddings=VALUES, reference_sha256=REFERENCE)
    rows = query(root, maps=True)
    assert list(zip(rows["p_lens"].to_pylist(), rows["anomaly"].to_pylist(), strict=True)) == [
        (pytest.approx(0.9), None),
        (pytest.approx(0.8), 0.5),
    ]
    assert rows["embedding"].to_pylist() == [None, VALUES[1]]
    assert pa.types.is_list(rows.schema.field("embedding").type)
