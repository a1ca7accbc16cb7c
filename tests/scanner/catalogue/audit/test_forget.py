"""A superseded plan is removed with all its files, at once or after a kill at any step; a shown plan never is."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.store.storage import StorageError, create_if_absent, info, list_files
from scanner.catalogue.audit import forget as module
from scanner.catalogue.audit.forget import ForgetError, forget_plan
from scanner.catalogue.audit.repair import repair_plan
from scanner.catalogue.audit.verify import files_of_no_plan, verify_plan
from scanner.catalogue.gate import is_waiting, was_shown
from scanner.catalogue.journal import Event, stored_entries
from scanner.catalogue.night_file import show, wrong_night_files
from scanner.catalogue.paths import entry_uri, night_uri, planned_input_uri, seal_uri, unit_uri
from scanner.catalogue.plan import freeze, plan_ids
from scanner.catalogue.query import query
from scanner.catalogue.shown import shown_plans
from scanner.catalogue.visible import VisibleError
from tests.scanner.catalogue_parts import NIGHT, finished, plan_of

TILES = {"a": {1: 0.9, 2: 0.6}, "b": {3: 0.7}}


def scanned_twice(root):
    """Return the old plan of tiles that another version has scanned again, and the new plan."""
    old = finished(root, TILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        return old, finished(root, TILES)


def files_of(root, plan):
    asked = [file for file, _, entry in stored_entries(root) if entry.plan_id == plan.plan_id and entry.event is Event.ASKED]
    return [file for file in list_files(root) if plan.plan_id in file.uri or file in asked]


def check_kept(root, new):
    """Check that the new plan is whole, that readers see it, and that nothing else is left but the records."""
    assert plan_ids(root) == [new.plan_id]
    assert query(root)["object_id"].to_pylist() == [1, 3, 2]
    assert verify_plan(new.plan_id, root, deep=True).faults == []
    assert files_of_no_plan(root) == []
    assert wrong_night_files(root, deep=True) == {}


def test_a_superseded_plan_is_removed_with_its_files(root):
    old, new = scanned_twice(root)
    files = files_of(root, old)
    assert len(files) == 6
    done = forget_plan(old.plan_id, root)
    assert (done.n_files, done.n_bytes) == (6, sum(file.size for file in files))
    assert files_of(root, old) == []
    check_kept(root, new)


@contextmanager
def killed_at(monkeypatch, i_call, when):
    """Stop what the `with` block removes before or after the removal of a number."""
    real, calls = module.remove, []

    def stopping(file):
        calls.append(file)
        if len(calls) <= i_call or when == "after":
            real(file)
        if len(calls) > i_call:
            raise StorageError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(module, "remove", stopping)
        with pytest.raises(StorageError, match="stopped"):
            yield


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("i_call", range(7))
def test_a_forgetting_killed_at_any_step_can_be_repeated(disk, monkeypatch, i_call, when):
    old, new = scanned_twice(disk)
    with killed_at(monkeypatch, i_call, when):
        forget_plan(old.plan_id, disk)
    assert query(disk)["object_id"].to_pylist() == [1, 3, 2]
    if plan_ids(disk) != [new.plan_id]:
        forget_plan(old.plan_id, disk, unfinished=not Path(seal_uri(disk, old.plan_id)).exists())
    check_kept(disk, new)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("i_call", range(8))
def test_the_only_plan_of_a_night_leaves_no_candidates(disk, monkeypatch, i_call, when):
    plan = finished(disk, TILES)
    with killed_at(monkeypatch, i_call, when):
        forget_plan(plan.plan_id, disk, shown=True)
    if plan_ids(disk):
        forget_plan(plan.plan_id, disk, shown=True, unfinished=True)
    assert list_files(disk) == []


@pytest.mark.parametrize("i_call", range(8))
def test_a_forgotten_plan_waits_for_its_gate(disk, monkeypatch, i_call):
    """Wherever the forgetting ends, the next scan behind a gate shows nothing, unless the plan is still shown."""
    plan = finished(disk, TILES)
    with killed_at(monkeypatch, i_call, "after"):
        forget_plan(plan.plan_id, disk, shown=True)
    assert finished(disk, TILES, gate=True) == plan
    assert is_waiting(plan, disk)
    assert shown_plans(disk) == {}


def test_a_scan_during_the_forgetting_leaves_no_record(disk, monkeypatch):
    plan = finished(disk, TILES)
    real, calls = module.remove, []

    def overtaken(file):
        if file.uri == seal_uri(disk, plan.plan_id) and not calls:
            calls.append(file)
            show(plan, disk)
        real(file)

    monkeypatch.setattr(module, "remove", overtaken)
    forget_plan(plan.plan_id, disk, shown=True)
    assert len(calls) == 1
    assert list_files(disk) == []


def test_the_file_of_a_night_under_repair_stays(disk):
    """A night whose plan is under repair keeps its file, whatever else of the night is forgotten."""
    plan = finished(disk, TILES)
    Path(seal_uri(disk, plan.plan_id)).unlink()
    other = plan_of({"c": [9]})
    freeze(other, disk)
    forget_plan(other.plan_id, disk, unfinished=True)
    assert Path(night_uri(disk, NIGHT)).exists()
    assert was_shown(plan, disk)


def test_a_night_without_its_file_is_no_obstacle(disk):
    plan = finished(disk, TILES)
    Path(night_uri(disk, NIGHT)).unlink()
    forget_plan(plan.plan_id, disk, shown=True)
    assert plan_ids(disk) == []


def test_a_shown_plan_is_not_removed(disk):
    old, new = scanned_twice(disk)
    says = f"plan {new.plan_id[:12]} is shown to readers; to take its objects away from them"
    with pytest.raises(ForgetError, match=says):
        forget_plan(new.plan_id, disk, unfinished=True)
    other = finished(disk, {"c": {9: 0.9}})
    before = list_files(disk)
    for plan in (new, other):
        with pytest.raises(ForgetError, match="is shown to readers"):
            forget_plan(plan.plan_id, disk)
    assert list_files(disk) == before
    removed = [*files_of(disk, old), info(entry_uri(disk, NIGHT, 2))]
    forget_plan(old.plan_id, disk)
    assert list_files(disk) == [file for file in before if file not in removed]


def test_a_plan_with_visible_units_is_not_removed(disk):
    """A newer plan lists each of its objects, but it hides rows of a still older plan."""
    finished(disk, {"z": {1: 0.8}})
    middle = finished(disk, TILES)
    finished(disk, {"x": {1: 0.9, 2: 0.6, 3: 0.7, 4: 0.8}})
    with pytest.raises(ForgetError, match="is shown to readers"):
        forget_plan(middle.plan_id, disk)
    assert query(disk)["object_id"].to_pylist() == [1, 4, 3, 2]


def test_shards_of_the_same_name_do_not_replace_each_other(disk):
    old = finished(disk, {"shard-00000": {1: 0.9}}, kind="shard")
    finished(disk, {"shard-00000": {2: 0.8}}, kind="shard")
    with pytest.raises(ForgetError, match="is shown to readers"):
        forget_plan(old.plan_id, disk)


@pytest.mark.parametrize("n_removed", range(2, 6))
def test_a_seal_that_comes_back_ends_the_forgetting(disk, monkeypatch, n_removed):
    old, new = scanned_twice(disk)
    seal, real, calls = Path(seal_uri(disk, old.plan_id)), module.remove, []
    content, files = seal.read_bytes(), files_of(disk, old)

    def overtaken(file):
        real(file)
        calls.append(file)
        if len(calls) == n_removed:
            seal.write_bytes(content)

    monkeypatch.setattr(module, "remove", overtaken)
    with pytest.raises(
        ForgetError, match=f"sealed plan {old.plan_id[:12]} while its files were removed, so the other files stay"
    ):
        forget_plan(old.plan_id, disk)
    assert len(calls) == n_removed
    assert len(files_of(disk, old)) == len(files) - (n_removed - 1) + 1
    assert query(disk)["plan_id"].to_pylist() == [new.plan_id] * 3


def test_a_night_file_is_mended_when_its_plan_is_forgotten(disk):
    finished(disk, {"c": {9: 0.8}})
    plan = finished(disk, TILES)
    Path(seal_uri(disk, plan.plan_id)).unlink()
    assert len(wrong_night_files(disk)) == 1
    forget_plan(plan.plan_id, disk, unfinished=True)
    assert wrong_night_files(disk, deep=True) == {}
    assert query(disk)["object_id"].to_pylist() == [9]


def test_a_forgotten_plan_that_is_scanned_again_counts_as_unfinished(disk):
    old, _ = scanned_twice(disk)
    forget_plan(old.plan_id, disk)
    freeze(old, disk)
    with pytest.raises(ForgetError, match="has no seal, so a scan may be running"):
        forget_plan(old.plan_id, disk)


def test_an_unfinished_plan_is_removed_only_if_asked(disk):
    plan = plan_of({"a": [1]})
    freeze(plan, disk)
    says = f"no seal, so a scan may be running; if none is: lensscan forget {disk} {plan.plan_id[:12]} --unfinished$"
    with pytest.raises(ForgetError, match=says):
        forget_plan(plan.plan_id, disk)
    assert forget_plan(plan.plan_id, disk, unfinished=True).n_files == 1
    assert plan_ids(disk) == []


def test_the_record_of_the_input_goes_with_its_plan(root):
    plans = [plan_of({name: [1]}).model_copy(update={"input_digest": digit * 64}) for name, digit in (("a", "1"), ("b", "2"))]
    for plan in plans:
        freeze(plan, root)
    create_if_absent(planned_input_uri(root, "3" * 64), b"damaged", "1")
    assert forget_plan(plans[0].plan_id, root, unfinished=True).n_files == 2
    left = [planned_input_uri(root, digit * 64) for digit in "23"]
    assert [file.uri for file in list_files(f"{root}/_scan/inputs")] == left
    assert plan_ids(root) == [plans[1].plan_id]


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


def test_a_shown_plan_is_removed_if_asked(root):
    old, new = scanned_twice(root)
    forget_plan(new.plan_id, root, shown=True)
    check_kept(root, old)
    forget_plan(old.plan_id, root, shown=True)
    assert [file.uri for file in list_files(root) if file.uri.endswith(".parquet")] == []
    assert wrong_night_files(root, deep=True) == {}
    with pytest.raises(VisibleError, match=r"no complete scan|does not exist"):
        query(root)
