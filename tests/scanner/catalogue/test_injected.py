"""The file of injected lenses: what it holds, whom it belongs to, and that no reader of the catalogue sees it."""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy import units
from scipy.stats import norm

from infra.store.replacement import replace
from infra.store.storage import list_files, read_bytes
from scanner.catalogue.audit.verify import files_of_no_plan, verify_plan
from scanner.catalogue.injected import (
    INJECTED_COLUMNS,
    MIN_REAL,
    MOST_AUROC,
    InjectedError,
    InjectionFacts,
    Realism,
    current_injected,
    nights_with_injected,
    read_injected,
    write_injected,
)
from scanner.catalogue.night_file import show, wrong_night_files
from scanner.catalogue.paths import injected_uri
from scanner.catalogue.plan import plan_ids
from scanner.catalogue.query import query
from scanner.hats.publish import publish
from scanner.review.opened import Catalogue
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.injected_parts import injected_into, injected_rows

OTHER = "2026-11-25"


def test_a_file_comes_back_as_written(root):
    finished(root, {"a": {1: 0.9, 2: 0.1}})
    injected = injected_into(root, 9, realism=Realism(auroc=0.6, low=0.5, high=0.7, n_injected=30, n_real=40), n_real=40)
    uri = write_injected(injected, root)
    assert uri == injected_uri(root, NIGHT)
    found = current_injected(root)
    assert (found.arguments, found.facts) == (injected.arguments, injected.facts)
    assert found.table.equals(injected.table)
    assert current_injected(root, NIGHT).table.equals(injected.table)
    first = read_bytes(uri)
    write_injected(injected, root)
    assert read_bytes(uri) == first
    write_injected(injected_into(root, 3), root)
    assert (current_injected(root).table.num_rows, nights_with_injected(root)) == (3, [NIGHT])


def test_columns_have_units_and_descriptions(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}})
    schema = pq.read_schema(write_injected(injected_into(str(tmp_path)), str(tmp_path)).removeprefix("file://"))
    for column in INJECTED_COLUMNS:
        about = schema.field(column.name).metadata
        assert about[b"description"]
        units.Unit(about[b"unit"].decode(), format="vounit")
    about = json.loads(schema.metadata[b"lensscan.injected"])
    assert {"night", "threshold", "seed", "n", "ensemble_name", "ensemble_sha256", "code_version"} <= about["arguments"].keys()
    assert {"psf", "hosts", "realism"} <= about["facts"].keys()


def test_recovery_follows_the_threshold_that_is_asked(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}})
    injected = injected_into(str(tmp_path), 10)
    assert injected.sample().is_recovered.tolist() == injected.table["is_recovered"].to_pylist() == [True, False] * 5
    assert injected.sample(0.05).is_recovered.all()
    assert not injected.sample(0.95).is_recovered.any()
    at = float(np.float32(0.9))
    assert injected.sample(at).is_recovered.sum() == 5
    assert injected.sample(np.nextafter(at, 1)).is_recovered.sum() == 0


def readings(root, collection):
    """Return what each reader of the catalogue sees."""
    catalogue = Catalogue(root)
    published = publish(root, collection)
    return {
        "query": query(root).to_pylist(),
        "scores": sorted(catalogue.scores().to_arrow()["object_id"].to_pylist()),
        "sql": catalogue.sql("SELECT count(*) FROM scores").to_arrow().to_pylist(),
        "all files": sorted(duckdb.execute("SELECT object_id FROM read_parquet($1)", [f"{root}/**/*.parquet"]).fetchall()),
        "dataset": sorted(ds.dataset(root).to_table(columns=["object_id"])["object_id"].to_pylist()),
        "pandas": sorted(pq.read_table(root)["object_id"].to_pylist()),
        "plans": plan_ids(root),
        "faults": [verify_plan(plan_id, root, deep=True).faults for plan_id in plan_ids(root)],
        "strays": [*files_of_no_plan(root), *wrong_night_files(root, deep=True)],
        "published": published.n_leaves,
    }


def test_no_reader_sees_injected_lenses(tmp_path):
    root, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    finished(root, {"a": {1: 0.9, 2: 0.1, 3: None}, "b": {4: 0.8}})
    before = readings(root, collection)
    others = {file.uri: read_bytes(file.uri) for file in list_files(root)}
    uri = write_injected(injected_into(root), root)
    assert readings(root, collection) == before
    assert {file.uri: read_bytes(file.uri) for file in list_files(root) if file.uri != uri} == others
    assert len(list_files(root)) == len(others) + 1
    assert len(before["all files"]) == 2
    assert not any("10000000" in str(value) for value in before.values())


def test_a_night_that_was_scanned_anew_has_none(tmp_path):
    root = str(tmp_path)
    plan = finished(root, {"a": {1: 0.9, 2: 0.7}})
    write_injected(injected_into(root), root)
    show(plan, root, 0.8)
    with pytest.raises(InjectedError, match="shows other scans than those that lenses were injected into"):
        current_injected(root)
    assert read_injected(root, NIGHT) is not None


def test_nights_keep_their_own_lenses(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    with pytest.raises(InjectedError, match="no lenses were injected; `lensscan completeness` does it"):
        current_injected(root)
    finished(root, {"b": {2: 0.9}}, night=OTHER)
    finished(root, {"c": {3: 0.9}}, night=None)
    for night, label, n in ((NIGHT, NIGHT, 3), (OTHER, OTHER, 6), (None, "undated", 9)):
        write_injected(injected_into(root, n, night=night, label=label), root)
    assert nights_with_injected(root) == [NIGHT, OTHER, "undated"]
    assert [current_injected(root, label).table.num_rows for label in nights_with_injected(root)] == [3, 6, 9]
    with pytest.raises(InjectedError, match=f"name one of the nights that have injected lenses: {NIGHT}, {OTHER}, undated"):
        current_injected(root)
    with pytest.raises(InjectedError, match="no lenses were injected into night 2020-01-01"):
        current_injected(root, "2020-01-01")


def test_a_damaged_file_says_how_to_mend_it(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    uri = write_injected(injected_into(root), root)
    whole = read_bytes(uri)
    chunk = pq.read_metadata(pa.BufferReader(whole)).row_group(0).column(0)
    at = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 3
    for data in (b"no table", whole[:-5], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
        replace(uri, data)
        with pytest.raises(InjectedError, match="`lensscan completeness` writes it again"):
            read_injected(root, NIGHT)


def test_the_limit_of_realism_is_one_standard_deviation():
    assert pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.001) == MOST_AUROC
    low, high = (Realism(auroc=MOST_AUROC + d, low=0.5, high=0.9, n_injected=30, n_real=20) for d in (-0.01, 0.01))
    assert (low.is_low, high.is_low) == (False, True)
    assert str(high).startswith("WARNING: a classifier tells 30 injected lenses from 20 real candidates with an AUROC of 0.77")
    assert not str(low).startswith("WARNING")


def test_facts_say_why_realism_is_unknown():
    facts = {"units": (), "n_units": 0, "n_hosts": 0, "n_failed": 0, "hosts": "", "psf": ""}
    few = InjectionFacts(**facts, n_real=MIN_REAL - 1).realism_in_words
    assert few == "cannot be measured: 19 real candidates are likely lenses, and 20 are needed"
    assert "fewer than 20 injected single lenses" in InjectionFacts(**facts, n_real=MIN_REAL).realism_in_words


def test_rows_are_in_the_order_of_the_columns():
    assert list(injected_rows(1)[0]) == [column.name for column in INJECTED_COLUMNS]
