"""Find plans at a root by the beginning of their id or by night, and units of a plan by their id."""

import json
import re
from pathlib import Path

import pytest

from infra.provenance import sha256_bytes
from infra.store.storage import create_if_absent
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import ScanConfig, check_night, find_plans, freeze, load_plan, make_plan, plan_ids
from scanner.catalogue.units import PlanError
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, plan_of, unit_of

OTHER_NIGHT = "2026-11-25"


def store(root, *ids):
    """Write files with the names of plans that do not hold a plan."""
    for plan_id in ids:
        path = Path(root) / "_scan" / "plans" / f"{plan_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def test_plans_are_found_by_the_beginning_of_their_ids(tmp_path):
    store(tmp_path, "ab12", "ab34", "cd56")
    (tmp_path / "_scan" / "plans" / "ab78.txt").write_text("")
    root = str(tmp_path)
    assert plan_ids(root) == find_plans(root) == ["ab12", "ab34", "cd56"]
    assert find_plans(root, "c") == find_plans(root, "cd56") == ["cd56"]
    assert find_plans(root, "ab3") == ["ab34"]
    with pytest.raises(PlanError, match=re.escape(f"{root}: no plan begins with 'b12'")):
        find_plans(root, "b12")


def test_a_prefix_must_match_one_plan(tmp_path):
    ids = [f"ab{i}{'0' * 61}" for i in range(6)]
    store(tmp_path, *ids)
    shown = ", ".join(f"ab{i}{'0' * 11}" for i in range(5))
    with pytest.raises(PlanError, match=f"6 plans begin with 'ab', such as {shown}; give more characters$"):
        find_plans(str(tmp_path), "ab")


@pytest.mark.parametrize("prefix", ["", " "])
def test_an_empty_id_selects_no_plan(tmp_path, prefix):
    store(tmp_path, "ab12")
    with pytest.raises(PlanError, match=f"the id of a plan must have at least one character, got '{prefix}'"):
        find_plans(str(tmp_path), prefix)


def test_plans_of_a_night_include_unreadable_ones(tmp_path):
    root = str(tmp_path)
    mine = plan_of({"a": [1]})
    other = make_plan(OTHER_NIGHT, EnsembleName(), ScanConfig(), [unit_of("a", [1])])
    for plan in (mine, other):
        freeze(plan, root)
    store(tmp_path, "damaged")
    assert find_plans(root, night=NIGHT) == sorted([mine.plan_id, "damaged"])
    assert find_plans(root, night=OTHER_NIGHT) == sorted([other.plan_id, "damaged"])
    (tmp_path / "_scan" / "plans" / "damaged.json").unlink()
    with pytest.raises(PlanError, match=f"{root}: no plan of 2026-01-01$"):
        find_plans(root, night="2026-01-01")


def test_a_root_without_plans_and_two_filters_are_refused(tmp_path):
    with pytest.raises(PlanError, match=f"{tmp_path}: holds no plans; is it the folder"):
        find_plans(str(tmp_path))
    with pytest.raises(PlanError, match="either a plan or a night, not both"):
        find_plans(str(tmp_path), "a", NIGHT)


def test_a_file_that_is_not_a_plan_is_refused(tmp_path):
    data = b'{"night": "2026-01-02"}'
    plan_id = sha256_bytes(data)
    create_if_absent(plan_uri(str(tmp_path), plan_id), data, "1")
    with pytest.raises(PlanError, match=rf"plans/{plan_id}\.json: no plan of this version of lensscan: Field required"):
        load_plan(str(tmp_path), plan_id)


def test_a_plan_of_another_version_keeps_its_id(tmp_path):
    """The digest is over the stored bytes: another version may have written fewer fields, and spaces."""
    plan = plan_of({"a": [1]})
    content = plan.model_dump(mode="json")
    del content["config"]["maps_per_unit"]
    data = json.dumps(content).encode()
    plan_id = sha256_bytes(data)
    create_if_absent(plan_uri(str(tmp_path), plan_id), data, "1")
    assert load_plan(str(tmp_path), plan_id) == plan.model_copy(update={"plan_id": plan_id})


def test_a_plan_returns_units_by_id_or_none():
    plan = plan_of({"b": [1], "d": [2, 3], "f": []})
    assert [plan.unit(name) for name in "bdf"] == list(plan.units)
    assert [plan.unit(name) for name in "aceg"] == [None] * 4
    assert plan.n_rows == 3


def test_a_plan_needs_units_with_different_names():
    with pytest.raises(PlanError, match="at least one unit"):
        make_plan(NIGHT, EnsembleName(), ScanConfig(), [])
    units = [unit_of(name, [i]) for i, name in enumerate("gfedcbaabcdefgh")]
    with pytest.raises(PlanError, match=r"different names, repeated: a, b, c, d, e$"):
        make_plan(NIGHT, EnsembleName(), ScanConfig(), units)


def test_units_are_sorted_by_name():
    units = [unit_of("b", [1]), unit_of("a", [2])]
    forward, backward = (make_plan(NIGHT, EnsembleName(), ScanConfig(), some) for some in (units, units[::-1]))
    assert forward == backward
    assert [unit.unit_id for unit in forward.units] == ["a", "b"]


@pytest.mark.parametrize("night", ["2026-2-3", "02026-02-03", "2026-02-03 ", "2026-02-30"])
def test_a_night_in_another_format_is_refused(night):
    assert check_night("2026-02-03") == "2026-02-03"
    with pytest.raises(ValueError, match=r"must be a date YYYY-MM-DD|day is out of range"):
        check_night(night)


@pytest.mark.parametrize("threshold", [-0.01, 1.01])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="candidate_threshold"):
        ScanConfig(candidate_threshold=threshold)


def test_settings_have_defaults():
    assert (ScanConfig().batch_size, ScanConfig().candidate_threshold, ScanConfig().sweep) == (64, 0.5, True)
    assert ScanConfig().maps_per_unit == 0
