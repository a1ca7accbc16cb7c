import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.provenance import sha256_bytes
from infra.store.storage import StorageError, list_files, read_bytes
from scanner.catalogue import seal as seals
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.columns import candidate_schema
from scanner.catalogue.ledger import publish
from scanner.catalogue.paths import seal_uri, unit_uri
from scanner.catalogue.plan import freeze
from scanner.catalogue.seal import SealError, load_seal, seal
from tests.scanner.catalogue_parts import NETWORKS, plan_of, random_scores, scores


def commit_all(plan, root, tables):
    for unit in plan.units:
        publish(tables[unit.unit_id], unit, plan, root, f"try-{unit.unit_id}")


@pytest.fixture
def plan():
    return plan_of({"a": [1, 2, 3], "b": [4, 5], "c": []}, candidate_threshold=0.5)


@pytest.fixture
def tables():
    return {"a": scores([1, 2, 3], [0.5, None, 0.7]), "b": scores([4, 5], [0.7, 0.4999]), "c": scores([], [])}


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def contents(root):
    return {file.uri: read_bytes(file.uri) for file in list_files(root)}


def test_a_seal_holds_the_candidates_and_the_totals(root, plan, tables):
    commit_all(plan, root, tables)
    report = seal(plan, root)
    assert (report.n_rows, report.n_candidates, report.n_units) == (5, 3, 3)
    assert report.rows_by_status == {"rejected:blank": 1, "scored": 4}
    assert report.candidates_uri == f"{root}/_scan/sealed/{plan.plan_id}.candidates"
    data = read_bytes(report.candidates_uri)
    assert sha256_bytes(data) == report.candidates_sha256
    assert report.units == {u: sha256_bytes(read_bytes(unit_uri(root, plan.plan_id, u))) for u in "abc"}
    assert load_seal(root, plan.plan_id) == report
    record = json.loads(read_bytes(f"{root}/_scan/seals/{plan.plan_id}.json"))
    origin = ("plan_id", "night", "ensemble_name", "ensemble_sha256", "code_version")
    assert {name: record[name] for name in origin} == {name: getattr(plan, name) for name in origin}
    assert report.model_dump() == record | {"candidates_uri": f"{root}/{record['candidates_path']}"}


def test_a_seal_names_units_without_a_scored_row(tmp_path, plan, tables):
    """An empty unit is none of them; a seal without the field is one of an earlier version of the program."""
    freeze(plan, str(tmp_path))
    commit_all(plan, str(tmp_path), tables | {"b": scores([4, 5], [None, None])})
    assert seal(plan, str(tmp_path)).units_unscored == ("b",)
    path = tmp_path / "_scan" / "seals" / f"{plan.plan_id}.json"
    record = json.loads(path.read_bytes())
    assert record.pop("units_unscored") == ["b"]
    path.write_text(json.dumps(record))
    assert load_seal(str(tmp_path), plan.plan_id).units_unscored == ()
    assert verify_plan(plan.plan_id, str(tmp_path), deep=True).faults == []


def test_the_candidate_file_is_sorted_and_annotated(tmp_path, plan, tables):
    commit_all(plan, str(tmp_path), tables)
    # Hive partitions are off because the night is already a column of the file.
    table = pq.read_table(seal(plan, str(tmp_path)).candidates_uri, partitioning=None)
    assert table.schema.equals(candidate_schema(NETWORKS))
    assert table["object_id"].to_pylist() == [3, 4, 1]
    assert set(table["plan_id"].to_pylist()) == {plan.plan_id}
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"
    assert table.schema.field("p_lens").metadata[b"ucd"] == b"stat.probability;meta.main"


def test_sealing_again_changes_nothing(root, plan, tables):
    commit_all(plan, root, tables)
    report = seal(plan, root)
    before = contents(root)
    assert seal(plan, root) == report
    assert contents(root) == before


@pytest.mark.fault(40)
def test_racing_sealers_agree(root, plan, tables):
    commit_all(plan, root, tables)
    start = threading.Barrier(3)

    def run(_):
        start.wait()
        return seal(plan, root)

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(run, range(3)))
    assert reports[0] == reports[1] == reports[2]


@pytest.mark.fault(40)
def test_a_sealing_cut_short_is_finished_to_the_same_bytes(tmp_path, plan, tables):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    seal(plan, root)
    before = contents(root)
    Path(seal_uri(root, plan.plan_id)).unlink()
    seal(plan, root)
    assert contents(root) == before


def test_an_unfinished_plan_is_not_sealed(root, plan, tables):
    publish(tables["a"], plan.units[0], plan, root, "try")
    with pytest.raises(SealError, match="2 of 3 units not committed, such as b, c"):
        seal(plan, root)
    assert load_seal(root, plan.plan_id) is None
    assert len(list_files(root)) == 1


def test_a_damaged_unit_is_not_sealed(tmp_path, plan, tables):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    file = Path(unit_uri(root, plan.plan_id, "a"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SealError, match=r"a\.unit: not a readable unit file"):
        seal(plan, root)


def test_a_unit_with_other_rows_is_not_sealed(tmp_path, plan, tables):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    Path(unit_uri(root, plan.plan_id, "a")).write_bytes(Path(unit_uri(root, plan.plan_id, "b")).read_bytes())
    with pytest.raises(SealError, match="does not fit its rows or plan"):
        seal(plan, root)


def test_a_candidate_file_with_other_rows_is_refused(tmp_path, plan, tables):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    file = Path(root) / "_scan" / "sealed" / f"{plan.plan_id}.candidates"
    file.parent.mkdir(parents=True)
    pq.write_table(scores([1], [0.9]), file)
    with pytest.raises(SealError, match="does not hold the candidates of this plan"):
        seal(plan, root)
    assert not Path(seal_uri(root, plan.plan_id)).exists()


def test_many_missing_units_are_counted_and_five_of_them_named(tmp_path):
    plan = plan_of({name: [i] for i, name in enumerate("abcdefgh")})
    publish(scores([1], [0.1]), plan.units[1], plan, str(tmp_path), "try")
    with pytest.raises(SealError, match=f"plan {plan.plan_id[:12]}: 7 of 8 units not committed, such as a, c, d, e, f$"):
        seal(plan, str(tmp_path))


def test_units_of_different_networks_are_not_sealed(tmp_path, plan, tables):
    names = [name.replace("OU_66", "OU_67") for name in tables["b"].column_names]
    commit_all(plan, str(tmp_path), tables | {"b": tables["b"].rename_columns(names)})
    with pytest.raises(SealError, match=r"^unit b: the unit files of a plan must have the same columns$"):
        seal(plan, str(tmp_path))
    assert not (tmp_path / "_scan" / "seals").exists()


def test_a_unit_that_disappears_during_sealing_is_named(tmp_path, plan, tables, monkeypatch):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    listed = seals.unit_files(root, plan.plan_id)
    Path(unit_uri(root, plan.plan_id, "b")).unlink()
    monkeypatch.setattr(seals, "unit_files", lambda *_: listed)
    with pytest.raises(SealError, match=r"/b\.unit: disappeared while the plan was sealed$"):
        seal(plan, root)


def test_another_seal_that_was_written_meanwhile_is_kept(tmp_path, plan, tables, monkeypatch):
    root = str(tmp_path)
    commit_all(plan, root, tables)
    other = Path(seal_uri(root, plan.plan_id))
    other.parent.mkdir()
    other.write_text("{}")
    with pytest.raises(SealError, match=f"{plan.plan_id}\\.json: not a seal: Field required"):
        seal(plan, root)
    monkeypatch.setattr(seals, "load_seal", lambda *_: None)
    with pytest.raises(SealError, match=f"{plan.plan_id}\\.json: another seal with other content was written meanwhile"):
        seal(plan, root)
    assert other.read_text() == "{}"


def test_unit_folders_are_synced_before_the_seal_is_written(tmp_path, plan, tables, monkeypatch):
    root, synced = str(tmp_path / "root"), []
    commit_all(plan, root, tables)
    monkeypatch.setattr(
        seals, "sync_folder", lambda folder: synced.append((str(folder), Path(root, "_scan", "sealed").exists()))
    )
    seal(plan, root)
    below = [f"{root}/_scan/units/plan={plan.plan_id}", f"{root}/_scan/units", f"{root}/_scan", root]
    assert synced == [(folder, False) for folder in below]


def test_a_folder_that_cannot_be_synced_is_a_store_failure(tmp_path, plan, tables, monkeypatch):
    def fail(_folder):
        raise OSError(5, "Input/output error")

    commit_all(plan, str(tmp_path), tables)
    monkeypatch.setattr(seals, "sync_folder", fail)
    with pytest.raises(StorageError, match="cannot be synced to disk: Input/output error"):
        seal(plan, str(tmp_path))
    assert load_seal(str(tmp_path), plan.plan_id) is None


def test_equal_candidates_from_another_writer_are_kept(tmp_path, plan, tables):
    """The seal holds the digest of the existing file."""
    root = str(tmp_path)
    commit_all(plan, root, tables)
    uri = seal(plan, root).candidates_uri
    Path(seal_uri(root, plan.plan_id)).unlink()
    data = read_bytes(uri)
    pq.write_table(pq.read_table(uri, partitioning=None), uri, compression="none")
    assert read_bytes(uri) != data
    report = seal(plan, root)
    assert report.candidates_sha256 == sha256_bytes(read_bytes(uri)) != sha256_bytes(data)
    assert report.n_candidates == 3
    Path(seal_uri(root, plan.plan_id)).unlink()
    Path(uri).write_bytes(b"PAR1")
    with pytest.raises(SealError, match="exists and does not hold the candidates of this plan"):
        seal(plan, root)


def test_nothing_is_lost_between_plan_and_seal(tmp_path, rng):
    """The row counts of a few hundred random rows are conserved, as counted from the files by an independent route."""
    root = str(tmp_path)
    ids = {f"u{i}": list(range(100 * i, 100 * i + 60 + i)) for i in range(4)}
    plan = plan_of(ids, candidate_threshold=0.8)
    commit_all(plan, root, {name: random_scores(rng, unit_ids) for name, unit_ids in ids.items()})
    report = seal(plan, root)
    stored = pa.concat_tables(pq.read_table(path, partitioning=None) for path in Path(root).rglob("*.unit"))
    assert sorted(stored["object_id"].to_pylist()) == sorted(i for unit_ids in ids.values() for i in unit_ids)
    assert sum(report.rows_by_status.values()) == report.n_rows == plan.n_rows == stored.num_rows
    candidates = pq.read_table(report.candidates_uri, partitioning=None)["p_lens"].to_pylist()
    assert candidates == sorted((p for p in stored["p_lens"].to_pylist() if p is not None and p >= 0.8), reverse=True)
    record = json.loads(read_bytes(seal_uri(root, plan.plan_id)))
    assert str(tmp_path) not in json.dumps(record), "a seal must survive a move of the catalogue"
