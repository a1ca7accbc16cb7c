from pathlib import Path

import pytest

from infra.store.removal import remove
from infra.store.storage import StorageError, create_if_absent, info, list_files, read_bytes
from scanner.catalogue.audit import repair as module
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.repair import RepairError, repair_plan
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.ledger import pending
from scanner.catalogue.query import query
from scanner.catalogue.seal import load_seal
from scanner.catalogue.visible import VisibleError
from scanner.catalogue.wanted import Wanted
from tests.scanner.audited import flipped, replace


@pytest.fixture
def local(local):
    local.seal()
    return local


def run(night, **options):
    """Repair, and return the paths below the root of the files moved to quarantine."""
    return [done.uri.removeprefix(night.root)[1:] for done in repair_plan(night.plan.plan_id, night.root, **options)]


def in_quarantine(night):
    return {file.uri: read_bytes(file.uri) for file in list_files(f"{night.root}/_scan/quarantine")}


def test_a_night_without_damage_is_left_alone(night):
    before = night.contents()
    assert run(night) == []
    assert night.contents() == before
    assert in_quarantine(night) == {}


def test_a_damaged_unit_is_removed_with_seal_and_candidates(night):
    before = night.contents()
    damaged = flipped(read_bytes(night.uri("unit")), 40)
    replace(night.uri("unit"), damaged)
    gone = [night.parts[part] for part in ("seal", "candidates", "unit")]
    assert run(night, dry_run=True) == gone
    assert night.contents() == before | {gone[2]: damaged}
    assert run(night) == gone
    assert night.contents() == {name: data for name, data in before.items() if name not in gone}
    assert sorted(in_quarantine(night).values()) == sorted([damaged, before[gone[0]], before[gone[1]]])
    assert [unit.unit_id for unit in pending(night.plan, night.root)] == ["a"]
    assert run(night) == []
    night.scan()
    night.seal()
    assert night.contents() == before
    # The seal and the candidates are as they were before, and their copies in quarantine do not mark them as damaged.
    assert run(night) == []


@pytest.mark.parametrize(
    ("part", "goes"),
    [("seal", ["seal"]), ("candidates", ["seal", "candidates"]), ("plan", ["plan"])],
    ids=["seal", "candidates", "plan"],
)
def test_only_files_that_refer_to_the_damage_are_removed_too(night, part, goes):
    from scanner.catalogue.plan import freeze

    before = night.contents()
    replace(night.uri(part), read_bytes(night.uri(part))[:-5])
    assert run(night) == [night.parts[name] for name in goes]
    freeze(night.plan, night.root)
    night.seal()
    assert night.contents() == before


def test_a_unit_that_is_missing_unseals_the_night(local):
    Path(local.unit("d")).unlink()
    assert run(local) == [local.parts["seal"], local.parts["candidates"]]
    assert load_seal(local.root, local.plan.plan_id) is None


def test_extra_files_are_removed_and_the_seal_stays(local):
    replace(local.unit("e"), b"x")
    assert run(local) == [f"_scan/units/plan={local.plan.plan_id}/e.unit"]
    assert load_seal(local.root, local.plan.plan_id)
    assert verify_plan(local.plan.plan_id, local.root, deep=True).faults == []


def test_no_reader_sees_what_is_in_quarantine(local):
    replace(local.unit("a"), read_bytes(local.unit("a"))[:-1])
    replace(local.uri("candidates"), b"PAR1")
    run(local)
    assert query(local.root, Wanted(all_plans=True), sql="SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 4}]
    with pytest.raises(VisibleError, match="no complete scan"):
        query(local.root)
    assert len(list(Path(local.root).glob("_scan/quarantine/**/*.damaged"))) == 2
    assert len(list(Path(local.root).glob("_scan/quarantine/**/*.superseded"))) == 1


STEPS = ("create_if_absent", "info", "read_bytes", "remove")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_second_repair_finishes_an_interrupted_one(local, monkeypatch, step, when):
    before = local.contents()
    n_stops = 0
    for i_call in range(30):
        replace(local.uri("unit"), flipped(before[local.parts["unit"]], 40))
        calls = stop_at(monkeypatch, step, i_call, when)
        try:
            run(local)
        except StorageError:
            n_stops += 1
        stopped = len(calls) > i_call
        monkeypatch.undo()
        if Path(local.uri("seal")).exists():
            assert len(list(Path(local.root).glob("_scan/units/*/*.unit"))) == 4
            assert Path(local.uri("candidates")).exists()
        run(local)
        assert not Path(local.uri("unit")).exists()
        local.scan()
        local.seal()
        assert local.contents() == before
        if not stopped:
            break
    assert n_stops == i_call >= 3


@pytest.mark.parametrize("part", ["unit", "candidates"])
def test_damage_known_only_from_the_seal_survives_an_interrupted_repair(local, monkeypatch, part):
    """Only the digest in the seal reveals flipped statistics in a file that another version of the program wrote."""
    monkeypatch.setattr("scanner.catalogue.unitfile.code_version", lambda: "another")
    before, uri = local.contents(), local.uri(part)
    replace(uri, flipped(before[local.parts[part]], unnoticed_bit(local, uri)))
    calls = stop_at(monkeypatch, "remove", 0, "after")
    with pytest.raises(StorageError, match="stopped"):
        run(local)
    monkeypatch.setattr(module, "remove", remove)
    assert [file.uri for (file,) in calls] == [local.uri("seal")]
    assert (verify_plan(local.plan.plan_id, local.root).faults[0].uri, Path(uri).exists()) == (uri, True)
    run(local)
    assert not Path(uri).exists()
    local.scan()
    local.seal()
    assert verify_plan(local.plan.plan_id, local.root, deep=True).faults == []
    assert local.contents() == before


def unnoticed_bit(night, uri):
    """Return an offset in a file at which a flipped bit is not detected without a seal; all files are restored."""
    seal, good = read_bytes(night.uri("seal")), read_bytes(uri)
    remove(info(night.uri("seal")))
    for at in range(len(good) // 2, len(good)):
        replace(uri, flipped(good, at))
        if not verify_plan(night.plan.plan_id, night.root, deep=True).faults:
            break
    replace(uri, good)
    replace(night.uri("seal"), seal)
    assert verify_plan(night.plan.plan_id, night.root, deep=True).faults == []
    return at


def stop_at(monkeypatch, step, i_call, when):
    """Fail at the call with number `i_call` to one of the steps, before or after the call is done."""
    real, calls = getattr(module, step), []

    def stopping(*args):
        calls.append(args)
        if len(calls) == i_call + 1 and when == "before":
            raise StorageError("stopped")
        result = real(*args)
        if len(calls) == i_call + 1:
            raise StorageError("stopped")
        return result

    monkeypatch.setattr(module, step, stopping)
    return calls


def test_a_file_that_was_mended_meanwhile_is_kept(local, monkeypatch):
    good = read_bytes(local.uri("unit"))
    replace(local.uri("unit"), good[:-1])
    real = module.verify_plan

    def mended_meanwhile(*args, **kwargs):
        found = real(*args, **kwargs)
        replace(local.uri("unit"), good)
        return found

    monkeypatch.setattr(module, "verify_plan", mended_meanwhile)
    with pytest.raises(RepairError, match="changed while it was repaired"):
        run(local)
    assert read_bytes(local.uri("unit")) == good


def test_nothing_is_removed_without_a_copy(local, monkeypatch):
    replace(local.uri("unit"), read_bytes(local.uri("unit"))[:-1])
    real = module.create_if_absent
    # The store reports success but keeps other bytes.
    monkeypatch.setattr(module, "create_if_absent", lambda uri, data, attempt: real(uri, data[:-1], attempt))
    before = local.contents()
    with pytest.raises(RepairError, match="is not a copy of"):
        run(local)
    assert local.contents() == before
    assert not reconcile(local.plan, local.root).is_equal


def test_removal_removes_one_file_and_may_be_repeated(night):
    before, file = night.contents(), info(night.uri("unit"))
    remove(file)
    remove(file)
    assert night.contents().keys() == before.keys() - {night.parts["unit"]}


def test_a_removal_that_fails_names_the_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder: cannot be removed"):
        remove(info(str(tmp_path / "folder")))


def test_a_new_file_with_the_same_name_is_not_removed(night):
    """A scan may commit a unit again between a repair's check and its removal."""
    file, data = info(night.uri("unit")), read_bytes(night.uri("unit"))
    remove(file)
    create_if_absent(file.uri, data + b"2", "other")
    with pytest.raises(StorageError, match="changed while it was read"):
        remove(file)
    assert read_bytes(file.uri) == data + b"2"
