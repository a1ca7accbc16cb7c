import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.store.storage import list_files
from scanner.catalogue.find_units import _first_among
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import Plan, ScanConfig, SecondEnsemble, build_plan, freeze, load_plan, make_plan
from scanner.catalogue.units import InputFile, PlanError, Unit, id_digest
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, plan_of, unit_of
from tests.tiles import write_tiles

IDS = st.integers(-(2**63), 2**63 - 1)


def write_shard(path, ids):
    stamps = {band: np.zeros((len(ids), grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_shard(shard_table(np.array(ids, np.int64), stamps, {}, CHALLENGE)))


def build(folder, **config):
    return build_plan(str(folder), NIGHT, EnsembleName(), ScanConfig(**config))


@given(st.lists(IDS, max_size=20), st.randoms(use_true_random=False))
def test_id_digest_ignores_order(ids, random):
    assert id_digest(random.sample(ids, len(ids))) == id_digest(ids)


@given(st.lists(IDS, min_size=1, max_size=20))
def test_id_digest_sees_a_row_twice_and_a_row_missing(ids):
    assert len({id_digest(ids), id_digest([*ids, ids[0]]), id_digest(ids[1:])}) == 3


def test_id_digest_is_the_sha256_of_sorted_bytes():
    expected = hashlib.sha256(b"".join(i.to_bytes(8, "little", signed=True) for i in (-7, 3))).hexdigest()
    assert id_digest([3, -7]) == expected
    assert id_digest(np.array([3, -7], np.int32)) == expected


def test_shards_become_units_with_their_rows(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "deep" / "b.parquet", [4])
    plan = build(tmp_path)
    assert [(u.unit_id, u.kind, u.n_rows, u.id_digest) for u in plan.units] == [
        ("a", "shard", 3, id_digest([1, 2, 3])),
        ("deep-b", "shard", 1, id_digest([4])),
    ]
    assert plan.units[0].files["shard"].uri == str(tmp_path / "a.parquet")
    assert plan.n_rows == 4


def test_tiles_become_units_with_their_files(tmp_path):
    write_tiles(tmp_path, 2, 3)
    plan = build(tmp_path)
    assert [u.kind for u in plan.units] == ["tile", "tile"]
    assert set(plan.units[0].files) == {"VIS", "Y", "J", "H", "catalogue"}
    sizes = {file.uri: file.size for unit in plan.units for file in unit.files.values()}
    assert sizes == {file.uri: Path(file.uri).stat().st_size for file in list_files(str(tmp_path), ".fits")}


@pytest.mark.server
def test_a_plan_of_objects_on_s3(tmp_path, s3):
    from infra.store.storage import create_if_absent

    write_shard(tmp_path / "a.parquet", [1, 2])
    data = (tmp_path / "a.parquet").read_bytes()
    create_if_absent(f"{s3}/in/a.parquet", data, "1")
    plan = build(f"{s3}/in")
    assert plan.units[0].unit_id == "a"
    assert plan.units[0].files["shard"].etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    freeze(plan, s3)
    assert load_plan(s3, plan.plan_id) == plan


def test_an_object_in_two_files_belongs_to_the_first(tmp_path):
    write_shard(tmp_path / "b.parquet", [3, 4, 2])
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "c.parquet", [4])
    units = build(tmp_path).units
    assert [u.owned_elsewhere for u in units] == [(), (2, 3), (4,)]
    assert [(u.n_rows, u.id_digest) for u in units] == [(3, id_digest([1, 2, 3])), (1, id_digest([4])), (0, id_digest([]))]


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), min_size=1, max_size=8))
def test_each_id_is_owned_by_the_first_unit(ids):
    seen: set[int] = set()
    expected = []
    for some in ids:
        expected.append([value not in seen for value in some])
        seen |= set(some)
    assert [mask.tolist() for mask in _first_among([np.array(some, np.int64) for some in ids])] == expected


def test_an_object_twice_in_one_file_is_refused(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 7, 7])
    with pytest.raises(PlanError, match=r"unit a: 1 repeated object id\(s\), such as 7"):
        build(tmp_path)


@pytest.mark.fault(31)
def test_nothing_to_scan_and_no_shard_are_refused(tmp_path):
    with pytest.raises(PlanError, match="holds neither"):
        build(tmp_path / "absent")
    (tmp_path / "x.parquet").write_bytes(b"not Parquet")
    with pytest.raises(PlanError, match=r"x\.parquet: not a readable shard"):
        build(tmp_path)


def test_equal_inputs_give_equal_plans(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2])
    plan = build(tmp_path)
    assert build(tmp_path) == plan
    write_shard(tmp_path / "a.parquet", [1, 3])
    assert build(tmp_path).plan_id != plan.plan_id


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("candidate_threshold", (0, 1), (-0.01, 1.01)),
        ("batch_size", (1,), (0,)),
        ("maps_per_unit", (0, 1000), (-1, 1001)),
    ],
)
def test_settings_have_bounds(name, allowed, refused):
    for value in allowed:
        assert getattr(ScanConfig(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError, match=f"(?s){name}.*should be (less|greater) than or equal to"):
            ScanConfig(**{name: value})


SECOND = SecondEnsemble(ensemble_name="b", ensemble_sha256="f" * 64, above=0.25)
OTHER_SETTINGS = {
    "candidate_threshold": 0.6,
    "batch_size": 65,
    "engine": "torch",
    "sweep": False,
    "second": SECOND,
    "maps_per_unit": 1,
}
OTHER_SECONDS = {"ensemble_name": "c", "ensemble_sha256": "0" * 64, "above": 0.375}
OTHER_PLANS = {
    "night": "2026-11-25",
    "ensemble_name": "c",
    "ensemble_sha256": "f" * 64,
    "code_version": "0",
    "config": ScanConfig(candidate_threshold=0.75),
    "units": (unit_of("a", [1, 2]), unit_of("b", [3])),
}
OTHER_UNITS = {
    "unit_id": "b",
    "kind": "tile",
    "files": {"shard": InputFile(uri="/data/a.parquet", size=1, etag="2")},
    "n_rows": 1,
    "id_digest": "0" * 64,
    "owned_elsewhere": (7,),
}


def remade(plan):
    """Return the id that follows from the content of a plan."""
    ensemble = EnsembleName(plan.ensemble_name, plan.ensemble_sha256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: plan.code_version)
        return make_plan(plan.night, ensemble, plan.config, plan.units).plan_id


def test_the_plan_id_depends_on_every_field_of_a_plan():
    """Every field is tested: a field that is added later must be added here too."""
    plan = plan_of({"a": [1, 2]})
    assert remade(plan) == plan.plan_id
    for others, model in ((OTHER_SETTINGS, ScanConfig), (OTHER_SECONDS, SecondEnsemble), (OTHER_UNITS, Unit)):
        assert others.keys() == model.model_fields.keys()
    assert OTHER_PLANS.keys() == Plan.model_fields.keys() - {"plan_id"}
    seconds = [SECOND.model_copy(update={name: value}) for name, value in OTHER_SECONDS.items()]
    configs = [ScanConfig(**{name: value}) for name, value in OTHER_SETTINGS.items()]
    configs += [ScanConfig(second=second) for second in seconds]
    units = [plan.units[0].model_copy(update={name: value}) for name, value in OTHER_UNITS.items()]
    changes = [{name: value} for name, value in OTHER_PLANS.items()]
    changes += [*({"config": config} for config in configs), *({"units": (unit,)} for unit in units)]
    ids = {remade(plan.model_copy(update=change)) for change in changes}
    assert len(ids | {plan.plan_id}) == len(changes) + 1


def test_freezing_is_repeatable_and_edited_plans_are_detected(tmp_path):
    plan = plan_of({"a": [1, 2], "b": [3]})
    root = str(tmp_path)
    freeze(plan, root)
    before = list_files(root)
    freeze(plan, root)
    assert list_files(root) == before
    assert load_plan(root, plan.plan_id) == plan
    file = Path(plan_uri(root, plan.plan_id))
    file.write_text(file.read_text().replace('"n_rows":2', '"n_rows":1'))
    with pytest.raises(PlanError, match="was it edited"):
        load_plan(root, plan.plan_id)
    with pytest.raises(PlanError, match="was it edited"):
        freeze(plan, root)
    assert "plan_id" not in json.loads(file.read_bytes())
    shutil.copy(file, plan_uri(root, "0" * 64))
    with pytest.raises(PlanError, match="was it edited"):
        load_plan(root, "0" * 64)
    with pytest.raises(PlanError, match="no such plan"):
        load_plan(root, "1" * 64)


@pytest.mark.parametrize("night", ["2026-02-30", "20261124", "2026-11-24T00:00", "tonight"])
def test_a_night_is_a_date(night):
    with pytest.raises(PlanError, match=r"night|day"):
        make_plan(night, EnsembleName(), ScanConfig(), [unit_of("a", [1])])


def test_units_have_different_names_fit_for_files():
    with pytest.raises(PlanError, match="repeated: a"):
        make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit_of("a", [1]), unit_of("a", [2])])
    with pytest.raises(ValueError, match="unit_id must match"):
        unit_of("../a", [1])
