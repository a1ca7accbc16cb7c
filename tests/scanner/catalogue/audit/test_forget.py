"""A superseded plan is removed with all its files, at once or after a kill at any step; a shown plan never is."""

from pathlib import Path

import pytest

from infra.store.storage import StorageError, list_files
from scanner.catalogue.audit import forget as module
from scanner.catalogue.audit.forget import ForgetError, forget_plan
from scanner.catalogue.audit.repair import repair_plan
from scanner.catalogue.audit.verify import files_of_no_plan, verify_plan
from scanner.catalogue.night_file import wrong_night_files
from scanner.catalogue.paths import seal_uri, unit_uri
from scanner.catalogue.plan import freeze, plan_ids
from scanner.catalogue.query import query
from tests.scanner.catalogue_parts import NIGHT, finished, plan_of

TILES = {"a": {1: 0.9, 2: 0.6}, "b": {3: 0.7}}


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "catalogue")


@pytest.fixture
def disk(tmp_path):
    return str(tmp_path / "catalogue")


def scanned_twice(root):
    """Return the old plan of tiles that another version has scanned again, and the new plan."""
    old = finished(root, TILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        return old, finished(root, TILES)


def files_of(root, plan):
    return [file for file in list_files(root) if plan.plan_id in file.uri]


def check_kept(root, new):
    """Check that the new plan is whole, that readers see it, and that nothing else is left but the records."""
    assert plan_ids(root) == [new.plan_id]
    assert query(root)["object_id"].to_pylist() == [1, 3, 2]
    assert verify_plan(new.plan_id, root, deep=True).faults == []
    assert files_of_no_plan(root) == wrong_night_files(root, deep=True) == []


def test_a_superseded_plan_is_removed_with_its_files(root):
    old, new = scanned_twice(root)
    files = files_of(root, old)
    assert len(files) == 5
    done = forget_plan(old.plan_id, root)
    assert (done.n_files, done.n_bytes) == (5, sum(file.size for file in files))
    assert files_of(root, old) == []
    check_kept(root, new)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("i_call", range(5))
def test_a_forgetting_killed_at_any_step_can_be_repeated(disk, monkeypatch, i_call, when):
    old, new = scanned_twice(disk)
    real, calls = module.remove, []

    def stopping(file):
        calls.append(file)
        if len(calls) <= i_call or when == "after":
            real(file)
        if len(calls) > i_call:
            raise StorageError("stopped")

    monkeypatch.setattr(module, "remove", stopping)
    with pytest.raises(StorageError, match="stopped"):
        forget_plan(old.plan_id, disk)
    monkeypatch.undo()
    assert query(disk)["object_id"].to_pylist() == [1, 3, 2]
    if plan_ids(disk) != [new.plan_id]:
        forget_plan(old.plan_id, disk)
    check_kept(disk, new)


def test_a_shown_plan_is_not_removed(disk):
    old, new = scanned_twice(disk)
    before = list_files(disk)
    command = f"lensscan scan TILES --out {disk} --night {NIGHT}"
    with pytest.raises(ForgetError, match=f"plan {new.plan_id[:12]} is shown to readers.*: {command}$"):
        forget_plan(new.plan_id, disk, unfinished=True)
    finished(disk, {"c": {9: 0.9}})
    with pytest.raises(ForgetError, match="is shown to readers"):
        forget_plan(new.plan_id, disk)
    forget_plan(old.plan_id, disk)
    assert [file for file in before if old.plan_id in file.uri] not in list_files(disk)


def test_a_plan_whose_objects_are_all_newer_elsewhere_is_removed(disk):
    """The units have other names, but a newer plan lists every object of theirs."""
    old = finished(disk, TILES)
    finished(disk, {"x": {1: 0.9, 2: 0.6, 3: 0.7, 4: 0.8}})
    forget_plan(old.plan_id, disk)
    assert query(disk)["object_id"].to_pylist() == [1, 4, 3, 2]


def test_an_unfinished_plan_is_removed_only_if_asked(disk):
    plan = plan_of({"a": [1]})
    freeze(plan, disk)
    says = f"no seal, so a scan may be running; if none is: lensscan forget {disk} {plan.plan_id[:12]} --unfinished$"
    with pytest.raises(ForgetError, match=says):
        forget_plan(plan.plan_id, disk)
    assert forget_plan(plan.plan_id, disk, unfinished=True).n_files == 1
    assert plan_ids(disk) == []


def test_a_plan_under_repair_counts_as_unfinished(disk):
    plan = finished(disk, TILES)
    unit = Path(unit_uri(disk, plan.plan_id, "a"))
    unit.write_bytes(unit.read_bytes()[:-5])
    repair_plan(plan.plan_id, disk)
    assert not Path(seal_uri(disk, plan.plan_id)).exists()
    with pytest.raises(ForgetError, match="has no seal"):
        forget_plan(plan.plan_id, disk)


def test_a_forgotten_plan_can_be_scanned_again(disk):
    old, new = scanned_twice(disk)
    forget_plan(old.plan_id, disk)
    finished(disk, TILES)
    assert set(query(disk)["plan_id"].to_pylist()) == {old.plan_id}
    forget_plan(new.plan_id, disk)
    check_kept(disk, old)


@pytest.mark.parametrize("n_removed", range(5))
def test_a_half_forgotten_plan_can_be_scanned_again(disk, monkeypatch, n_removed):
    """Without the seal, missing units are pending, so a new scan of the plan is complete."""
    old, _ = scanned_twice(disk)
    real, calls = module.remove, []

    def stopping(file):
        if len(calls) == n_removed:
            raise StorageError("stopped")
        calls.append(file)
        real(file)

    monkeypatch.setattr(module, "remove", stopping)
    with pytest.raises(StorageError, match="stopped"):
        forget_plan(old.plan_id, disk)
    finished(disk, TILES)
    assert verify_plan(old.plan_id, disk, deep=True).faults == []
    assert set(query(disk)["plan_id"].to_pylist()) == {old.plan_id}
