import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from infra.provenance import sha256_bytes
from infra.store.storage import list_files, read_bytes
from scanner.catalogue import ledger
from scanner.catalogue.ledger import ConflictError, Outcome, PublishError, committed, pending, publish
from scanner.catalogue.outcomes import TransientError
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.unitfile import read_unit
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, plan_of, random_scores, scores, unit_of

IDS = [5, -2, 9, 4]
P_LENS = [0.1, 0.9, None, 0.95]


@pytest.fixture
def plan():
    return plan_of({"a": IDS, "b": [7]})


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def test_a_published_unit_holds_every_row(root, plan):
    a, b = plan.units
    assert pending(plan, root) == [a, b]
    receipt = publish(scores(IDS, P_LENS), a, plan, root, "try-1")
    assert pending(plan, root) == [b]
    assert (receipt.outcome, receipt.attempt, receipt.n_rows) == (Outcome.COMMITTED, "try-1", 4)
    assert (receipt.n_scored, receipt.n_rejected, receipt.n_candidates) == (3, 1, 2)
    found = read_unit(root, a, plan)
    assert found.sha256 == receipt.sha256
    assert found.table["object_id"].to_pylist() == [4, -2, 5, 9]
    assert found.table["p_lens"].to_pylist() == [np.float32(p) if p else None for p in (0.95, 0.9, 0.1, None)]


def test_a_unit_has_a_receipt_once_it_is_committed(tmp_path, plan):
    root, (a, b) = str(tmp_path), plan.units
    assert committed(a, plan, root) is None
    receipt = publish(scores(IDS, P_LENS), a, plan, root, "try-1")
    assert committed(b, plan, root) is None
    assert committed(a, plan, root) == dataclasses.replace(receipt, outcome=Outcome.ALREADY_COMMITTED)
    assert (receipt.unit_id, receipt.sha256) == ("a", sha256_bytes(read_bytes(unit_uri(root, plan.plan_id, "a"))))
    Path(unit_uri(root, plan.plan_id, "b")).write_bytes(b"x")
    with pytest.raises(ConflictError, match=r"b\.unit: not a readable unit file"):
        committed(b, plan, root)


def test_a_new_receipt_has_no_retries_and_no_seconds(tmp_path, plan):
    """The worker that asks for the receipt adds both."""
    unit = plan.units[0]
    receipts = [publish(scores(IDS, P_LENS), unit, plan, str(tmp_path), "try"), committed(unit, plan, str(tmp_path))]
    assert [(receipt.n_store_retries, receipt.seconds) for receipt in receipts] == [(0, {}), (0, {})]


def test_only_units_of_the_plan_are_published(tmp_path, plan):
    for stranger in (unit_of("c", IDS), unit_of("a", [5, -2, 9, 4, 3])):
        with pytest.raises(PublishError, match=f"unit {stranger.unit_id}: not a unit of plan {plan.plan_id[:12]}$"):
            publish(scores(IDS, P_LENS), stranger, plan, str(tmp_path), "try")
    assert list_files(str(tmp_path)) == []


def test_candidates_come_first_by_score_then_others_by_id(tmp_path):
    """A candidate has the threshold's probability or more; among equals, the smaller id comes first."""
    ids, p_lens = [7, 3, 9, 1, 5, 8, 2], [0.5, 0.75, 0.49, None, 0.75, 1.0, 0.0]
    plan = plan_of({"a": ids})
    receipt = publish(scores(ids, p_lens), plan.units[0], plan, str(tmp_path), "try")
    assert read_unit(str(tmp_path), plan.units[0], plan).table["object_id"].to_pylist() == [8, 3, 5, 7, 1, 2, 9]
    assert (receipt.n_rows, receipt.n_scored, receipt.n_rejected, receipt.n_candidates) == (7, 6, 1, 4)


def test_publishing_again_changes_nothing(root, plan):
    unit = plan.units[0]
    first = publish(scores(IDS, P_LENS), unit, plan, root, "try-1")
    before = read_bytes(unit_uri(root, plan.plan_id, "a"))
    again = publish(scores(IDS, [0.2, 0.2, 0.2, 0.2]), unit, plan, root, "try-2")
    assert (again.outcome, again.attempt, again.sha256) == (Outcome.LOST_RACE, "try-1", first.sha256)
    assert again.n_rejected == 1
    assert read_bytes(unit_uri(root, plan.plan_id, "a")) == before


@pytest.mark.fault(11)
def test_one_of_several_racing_attempts_commits(root, plan):
    start = threading.Barrier(4)

    def attempt(i):
        start.wait()
        return publish(scores(IDS, [0.1 * i, 0.9, None, 0.95]), plan.units[0], plan, root, f"try-{i}")

    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(attempt, range(4)))
    winners = [receipt for receipt in receipts if receipt.outcome is Outcome.COMMITTED]
    assert len(winners) == 1
    assert {(r.attempt, r.sha256) for r in receipts} == {(winners[0].attempt, winners[0].sha256)}
    assert len(list_files(root)) == 1


def test_stored_rows_do_not_depend_on_input_order(tmp_path, rng):
    ids = list(range(50))
    plan = plan_of({"a": ids})
    table = random_scores(rng, ids)
    shuffled = table.take(rng.permutation(50))
    one = publish(table, plan.units[0], plan, str(tmp_path / "1"), "try")
    two = publish(shuffled, plan.units[0], plan, str(tmp_path / "2"), "try")
    assert one == two


def test_rows_of_another_unit_are_refused(tmp_path):
    unit = unit_of("a", [1, 2], owned_elsewhere=(8, 9))
    plan = make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit])
    with pytest.raises(PublishError, match="the 2 planned rows, got 4"):
        publish(scores([8, 1, 9, 2], [0.9, 0.8, 0.7, 0.6]), unit, plan, str(tmp_path), "try")
    assert list_files(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (scores(IDS, P_LENS).slice(0, 3), "the 4 planned rows, got 3"),
        (pa.concat_tables([scores(IDS, P_LENS), scores([5], [0.1])]), "the 4 planned rows, got 5"),
        (scores([5, -2, 9, 3], P_LENS), "not the planned ones"),
        (scores([5, 5, 9, 4], P_LENS), "not the planned ones"),
        (scores(IDS, P_LENS).drop_columns("dec"), "columns must be"),
        (scores(IDS, P_LENS, night=["2026-11-23"] * 4), "night must be 2026-11-24"),
        (scores(IDS, P_LENS, status=["scored", "scored", "rejected:because", "scored"]), "status must be one of"),
    ],
)
def test_an_incomplete_or_wrong_table_is_refused(tmp_path, plan, table, message):
    with pytest.raises(PublishError, match=message):
        publish(table, plan.units[0], plan, str(tmp_path), "try")
    assert list_files(str(tmp_path)) == []


def test_impossible_embeddings_are_not_committed(tmp_path):
    config = ScanConfig(reference_sha256="a" * 64)
    plan = make_plan(NIGHT, EnsembleName(), config, [unit_of("a", [1, 2])])
    whole = [0.25] * 32
    tables = {
        "asks for embeddings": scores([1, 2], [0.9, 0.8]),
        "must be finite": scores([1, 2], [0.9, 0.8], embedding=[[*whole[1:], float("nan")], whole], anomaly=[0.5, 0.5]),
    }
    for message, table in tables.items():
        with pytest.raises(PublishError, match=f"unit a: .*{message}"):
            publish(table, plan.units[0], plan, str(tmp_path), "try")
    assert list_files(str(tmp_path)) == []
    publish(scores([1, 2], [0.9, 0.8], embedding=[whole, None], anomaly=[0.5, None]), plan.units[0], plan, str(tmp_path), "try")
    assert read_unit(str(tmp_path), plan.units[0], plan).table["embedding"].to_pylist() == [whole, None]


def test_a_file_in_a_subfolder_commits_no_unit(tmp_path, plan):
    publish(scores(IDS, P_LENS), plan.units[0], plan, str(tmp_path), "try")
    committed = Path(unit_uri(str(tmp_path), plan.plan_id, plan.units[0].unit_id))
    (committed.parent / "deep").mkdir()
    committed.rename(committed.parent / "deep" / committed.name)
    assert plan.units[0] in pending(plan, str(tmp_path))


def test_rows_that_failed_in_the_store_are_not_committed(tmp_path, plan):
    table = scores(IDS, P_LENS, status=["scored", "scored", "rejected:io_error", "scored"])
    with pytest.raises(TransientError, match="1 of 4 rows cannot be read now"):
        publish(table, plan.units[0], plan, str(tmp_path), "try")
    assert list_files(str(tmp_path)) == []


def test_a_file_with_other_rows_is_a_conflict_and_stays(root, plan):
    other = plan_of({"a": [1, 2, 3]})
    unit = unit_of("a", [1, 2, 3])
    forged = other.model_copy(update={"plan_id": plan.plan_id})
    publish(scores([1, 2, 3], [0.1, 0.2, 0.3]), unit, forged, root, "other")
    before = read_bytes(unit_uri(root, plan.plan_id, "a"))
    with pytest.raises(ConflictError, match="holds other rows than the plan: 3 against 4"):
        publish(scores(IDS, P_LENS), plan.units[0], plan, root, "try")
    assert read_bytes(unit_uri(root, plan.plan_id, "a")) == before


def test_a_unit_file_cut_short_is_a_conflict(tmp_path, plan):
    root, unit = str(tmp_path), plan.units[0]
    publish(scores(IDS, P_LENS), unit, plan, root, "try")
    file = Path(unit_uri(root, plan.plan_id, "a"))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ConflictError, match="not a readable unit file"):
        publish(scores(IDS, P_LENS), unit, plan, root, "try-2")


def test_rows_that_parquet_does_not_keep_are_refused(tmp_path, monkeypatch):
    """The encoder of this test stores other rows, or another footer, than it was given."""
    plan = plan_of({"a": IDS})
    root, unit, encode = str(tmp_path), plan.units[0], ledger.encode_unit
    others = {
        "rows": lambda rows, footer: encode(rows.slice(1), footer),
        "footer": lambda rows, footer: encode(rows, footer.model_copy(update={"n_scored": 0})),
        "bytes": lambda rows, footer: encode(rows, footer)[:-9],
    }
    for name, encode_otherwise in others.items():
        monkeypatch.setattr(ledger, "encode_unit", encode_otherwise)
        with pytest.raises(PublishError, match="read back"):
            publish(scores(IDS, P_LENS), unit, plan, root, name)
    assert list_files(root) == []
