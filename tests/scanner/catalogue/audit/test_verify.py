import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.provenance import sha256_bytes
from infra.store.storage import create_if_absent, read_bytes
from scanner.catalogue.audit.repair import repair_plan
from scanner.catalogue.audit.verify import Part, files_of_no_plan, verify_plan
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import PlanVersionError, freeze, load_plan
from scanner.catalogue.unitfile import encode_table
from scanner.catalogue.units import PlanError
from tests.scanner.audited import flipped, make_audited, replace
from tests.scanner.catalogue_parts import NETWORKS, NIGHT, plan_of, scores


def found(night, *, deep):
    return {(fault.part, fault.uri) for fault in verify_plan(night.plan.plan_id, night.root, deep=deep).faults}


@pytest.mark.parametrize("deep", [False, True])
def test_a_sealed_night_as_written_has_no_fault(night, deep):
    steps = []
    report = verify_plan(night.plan.plan_id, night.root, deep=deep, progress=lambda *step: steps.append(step))
    assert report.faults == []
    assert (report.n_files, report.n_bytes) == (7, sum(len(data) for data in night.contents().values()))
    assert steps == [(i, 4) for i in range(1, 5)]
    assert files_of_no_plan(night.root) == []


@pytest.mark.parametrize("committed", [(), ("a", "c"), ("a", "b", "c", "d")])
def test_an_unfinished_night_has_no_fault(tmp_path, committed):
    night = make_audited(tmp_path, str(tmp_path / "catalogue"))
    night.scan(only=committed)
    assert found(night, deep=True) == found(night, deep=False) == set()


def test_a_night_between_candidates_and_seal_has_no_fault(local):
    local.seal()
    Path(local.uri("seal")).unlink()
    assert found(local, deep=True) == found(local, deep=False) == set()


@pytest.mark.parametrize("part", ["plan", "seal", "candidates", "unit"])
@pytest.mark.parametrize("deep", [False, True])
def test_only_the_truncated_file_is_named(night, part, deep):
    data = read_bytes(night.uri(part))
    replace(night.uri(part), data[: len(data) // 2])
    assert found(night, deep=deep) == {(Part(part), night.uri(part))}


def test_a_wrong_unsealed_unit_is_named_without_reading_rows(local):
    data = read_bytes(local.uri("unit"))
    swapped = read_bytes(local.unit("b"))
    for wrong in (b"", data[: len(data) // 2], data[:-1], swapped):
        replace(local.uri("unit"), wrong)
        (fault,) = verify_plan(local.plan.plan_id, local.root).faults
        assert (fault.part, fault.uri) == (Part.UNIT, local.uri("unit"))
        assert fault.sha256 == sha256_bytes(wrong)
        assert fault.why.startswith("holds 2 rows, 4 are planned" if wrong == swapped else "not a readable unit file: ")


def test_every_flipped_bit_of_a_plan_is_found(tmp_path):
    plan = plan_of({"a": [1]}, candidate_threshold=1e-5)
    freeze(plan, str(tmp_path))
    uri = plan_uri(str(tmp_path), plan.plan_id)
    good = read_bytes(uri)
    assert b"1e-05" in good
    for at in range(len(good)):
        for bit in (1, 32):
            Path(uri).write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
            assert {fault.part for fault in verify_plan(plan.plan_id, str(tmp_path)).faults} == {Part.PLAN}, (at, bit)
    Path(uri).write_bytes(good.replace(b"1e-05", b"1E-05"))
    with pytest.raises(PlanError, match="was it edited"):
        freeze(plan, str(tmp_path))
    assert [done.uri for done in repair_plan(plan.plan_id, str(tmp_path))] == [uri]
    freeze(plan, str(tmp_path))


def test_a_missing_unit_of_a_sealed_night_is_named(local):
    local.seal()
    Path(local.unit("d")).unlink()
    report = verify_plan(local.plan.plan_id, local.root)
    missing = (local.unit("d"), None, "is missing, though the plan was sealed")
    assert [(fault.uri, fault.sha256, fault.why) for fault in report.faults] == [missing]
    # The plan, the seal, the candidates and three of four units.
    assert report.n_files == 6
    Path(local.uri("candidates")).unlink()
    assert found(local, deep=True) == {(Part.UNIT, local.unit("d")), (Part.CANDIDATES, local.uri("candidates"))}


def test_flipped_bits_of_an_unsealed_unit_are_found(local):
    """Page checksums do not cover the statistics, by which readers skip rows, nor the metadata of the columns."""
    data = read_bytes(local.uri("unit"))
    writer = data.index(b"parquet-cpp-arrow version")
    name = data.index(b"p_OU_66") + 6
    for at in (*range(0, writer, 299), name, *range(writer + 40, len(data), 9)):
        replace(local.uri("unit"), flipped(data, at))
        assert found(local, deep=True) == {(Part.UNIT, local.uri("unit"))}, at


def test_a_flipped_column_name_is_found_for_another_code_version(local, monkeypatch):
    monkeypatch.setattr("scanner.catalogue.unitfile.code_version", lambda: "other")
    data = read_bytes(local.uri("unit"))
    replace(local.uri("unit"), flipped(data, data.index(b"p_OU_66") + 6))
    assert found(local, deep=True) == {(Part.UNIT, local.uri("unit"))}


TOLD_BY_THE_PLAN = {
    "plan_id": "0" * 64,
    "night": "2026-11-25",
    "ensemble_name": "other",
    "ensemble_sha256": "0" * 64,
    "code_version": "0",
    "n_units": 3,
    "candidates_path": "_scan/sealed/other.candidates",
    # Their sum is not the number of rows.
    "rows_by_status": {"rejected:blank": 1, "scored": 8},
}
TOLD_BY_THE_FILES = {
    "n_candidates": 5,
    "rows_by_status": {"rejected:blank": 2, "scored": 6},
    "units_unscored": ["a"],
}


def edit_seal(night, changes):
    seal = json.loads(read_bytes(night.uri("seal")))
    replace(night.uri("seal"), json.dumps(seal | changes).encode())
    return seal


@pytest.mark.parametrize(("name", "value"), TOLD_BY_THE_PLAN.items(), ids=TOLD_BY_THE_PLAN)
def test_a_seal_that_contradicts_the_plan_is_the_fault(local, name, value):
    local.seal()
    edit_seal(local, {name: value})
    for deep in (False, True):
        (fault,) = verify_plan(local.plan.plan_id, local.root, deep=deep).faults
        assert (fault.part, fault.uri) == (Part.SEAL, local.uri("seal"))
        assert fault.why == f"does not fit the plan or its files: {name}"
        assert fault.sha256 == sha256_bytes(read_bytes(local.uri("seal")))


@pytest.mark.parametrize(("name", "value"), TOLD_BY_THE_FILES.items(), ids=TOLD_BY_THE_FILES)
def test_a_seal_that_contradicts_good_files_is_the_fault(local, name, value):
    local.seal()
    edit_seal(local, {name: value})
    assert found(local, deep=False) == set()
    (fault,) = verify_plan(local.plan.plan_id, local.root, deep=True).faults
    assert (fault.part, fault.why) == (Part.SEAL, f"does not fit the plan or its files: {name}")


def test_a_seal_with_a_wrong_row_count_is_the_fault(local):
    local.seal()
    edit_seal(local, {"n_rows": 9})
    for deep in (False, True):
        (fault,) = verify_plan(local.plan.plan_id, local.root, deep=deep).faults
        assert (fault.part, fault.why) == (Part.SEAL, "does not fit the plan or its files: n_rows, rows_by_status")


@pytest.mark.parametrize("change", ["one less", "one more", "another"])
def test_a_seal_with_other_units_is_the_fault(local, change):
    local.seal()
    units = edit_seal(local, {})["units"]
    kept = {name: sha256 for name, sha256 in units.items() if name != "d"}
    edit_seal(
        local, {"units": {"one less": kept, "one more": units | {"e": "0" * 64}, "another": kept | {"e": "0" * 64}}[change]}
    )
    for deep in (False, True):
        (fault,) = verify_plan(local.plan.plan_id, local.root, deep=deep).faults
        assert (fault.part, fault.why) == (Part.SEAL, "does not fit the plan or its files: units")


def test_only_a_deep_check_finds_a_wrong_candidate_digest(local):
    local.seal()
    edit_seal(local, {"candidates_sha256": "0" * 64})
    assert found(local, deep=False) == {(Part.CANDIDATES, local.uri("candidates"))}
    assert found(local, deep=True) == {(Part.SEAL, local.uri("seal"))}


def test_only_a_deep_check_finds_a_wrong_unit_digest(local):
    local.seal()
    data = read_bytes(local.uri("seal"))
    at = data.index(sha256_bytes(read_bytes(local.uri("unit"))).encode())
    replace(local.uri("seal"), data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :])
    assert found(local, deep=False) == {(Part.UNIT, local.uri("unit"))}
    assert found(local, deep=True) == {(Part.SEAL, local.uri("seal"))}


def test_without_a_plan_units_are_checked_against_the_seal(local):
    local.seal()
    replace(local.uri("plan"), b"{}")
    replace(local.uri("unit"), flipped(read_bytes(local.uri("unit")), 100))
    assert found(local, deep=True) == {(Part.PLAN, local.uri("plan")), (Part.UNIT, local.uri("unit"))}


def test_candidates_that_differ_from_the_units_are_named(local):
    local.seal()
    Path(local.uri("seal")).unlink()
    table = pq.read_table(pa.BufferReader(read_bytes(local.uri("candidates"))))
    replace(local.uri("candidates"), encode_table(table.slice(1)))
    assert found(local, deep=True) == {(Part.CANDIDATES, local.uri("candidates"))}


@pytest.mark.parametrize("change", ["one more", "renamed"])
def test_candidates_with_other_columns_and_a_damaged_unit_are_named(local, change):
    local.seal()
    table = pq.read_table(pa.BufferReader(read_bytes(local.uri("candidates"))))
    changed = {
        "one more": lambda: table.append_column("__index_level_0__", pa.array(range(table.num_rows))),
        "renamed": lambda: table.rename_columns(["objectid", *table.column_names[1:]]),
    }[change]()
    replace(local.uri("candidates"), encode_table(changed))
    replace(local.uri("unit"), read_bytes(local.uri("unit"))[:-9])
    assert found(local, deep=True) == {(Part.CANDIDATES, local.uri("candidates")), (Part.UNIT, local.uri("unit"))}


def test_a_quoted_reason_has_at_most_200_characters(local, monkeypatch):
    def fail(_data):
        raise OSError("ab\n " * 300)

    local.seal()
    monkeypatch.setattr("scanner.catalogue.audit.verify.open_candidates", fail)
    (fault,) = verify_plan(local.plan.plan_id, local.root, deep=True).faults
    assert (fault.part, fault.why) == (Part.CANDIDATES, f"cannot be read: {('ab ' * 67)[:200]}")


def test_files_that_are_no_units_of_the_plan_are_named(night):
    for name in ("e.unit", "deep/a.unit", "a.unit.bak"):
        replace(f"{night.root}/_scan/units/plan={night.plan.plan_id}/{name}", b"x")
    expected = {
        f"{night.root}/_scan/units/plan={night.plan.plan_id}/{name}" for name in ("e.unit", "deep/a.unit", "a.unit.bak")
    }
    assert found(night, deep=False) == {(Part.STRAY, uri) for uri in expected}


def test_files_of_no_plan_are_named(local):
    local.show()
    assert files_of_no_plan(local.root) == []
    names = ("_scan/sealed/x.candidates", "_scan/seals/x.json", "_scan/units/x.unit")
    # Readers would see what is in the last two.
    strays = [f"{local.root}/{name}" for name in (*names, "candidates/2026-01-01.parquet", f"candidates/x/{NIGHT}.parquet")]
    for uri in strays:
        replace(uri, b"x")
    assert sorted(files_of_no_plan(local.root)) == sorted(strays)


def test_a_unit_of_other_networks_is_named(local):
    table = scores([7, 8], [0.1, 0.2]).rename_columns([n.replace("OU_66", "OU_67") for n in scores([], []).column_names])
    assert "OU_67" not in NETWORKS
    from scanner.catalogue.ledger import publish

    Path(local.unit("d")).unlink()
    publish(table, local.plan.units[3], local.plan, local.root, "try")
    assert found(local, deep=True) == {(Part.UNIT, local.unit("d"))}


def test_a_plan_of_another_version_is_not_damaged(night):
    """Its name is the digest of its bytes; only its fields are unknown here."""
    data = json.dumps(json.loads(read_bytes(night.uri("plan"))) | {"field_of_another_version": 1}).encode()
    plan_id = sha256_bytes(data)
    create_if_absent(plan_uri(night.root, plan_id), data, "1")
    with pytest.raises(PlanVersionError, match=rf"{plan_id}\.json: no plan of this version of lensscan"):
        load_plan(night.root, plan_id)
    assert verify_plan(plan_id, night.root, deep=True).faults == []
    assert repair_plan(plan_id, night.root) == []
    assert read_bytes(plan_uri(night.root, plan_id)) == data
