import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from infra.store.storage import list_files
from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.plan import (
    Plan,
    PlanError,
    ScanConfig,
    Unit,
    build_plan,
    encode_plan,
    freeze,
    load_plan,
    make_plan,
    plan_uri,
)
from scanner.catalogue.source_choice import SourceSelection
from scanner.catalogue.units import InputFile, SelectedRows
from scanner.sources.survey import EUCLID_MER, shipped_survey
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, plan_of, unit_of, write_shard


def build(folder, **config):
    return build_plan(str(folder), NIGHT, EnsembleName(), ScanConfig(**config))


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


def test_equal_inputs_give_equal_plans(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2])
    plan = build(tmp_path)
    assert plan.n_rows == 2
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


OTHER_SETTINGS = {
    "candidate_threshold": 0.6,
    "batch_size": 65,
    "engine": "torch",
    "sweep": False,
    "maps_per_unit": 1,
    "reference_sha256": "a" * 64,
}
OTHER_PLANS = {
    "night": "2026-11-25",
    "ensemble_name": "c",
    "ensemble_sha256": "f" * 64,
    "code_version": "0",
    "config": ScanConfig(candidate_threshold=0.75),
    "units": (unit_of("a", [1, 2]), unit_of("b", [3])),
    "survey": shipped_survey("kids-dr4"),
    "sources": SourceSelection(where="a > 1"),
    "columns": (CarriedColumn(name="flux", type="float"),),
}
OTHER_UNITS = {
    "unit_id": "b",
    "kind": "shard",
    "files": {"shard": InputFile(uri="/data/a.parquet", size=1, etag="2")},
    "n_rows": 1,
    "id_digest": "0" * 64,
    "owned_elsewhere": (7,),
    "selected": SelectedRows.of(np.array([True, False]), np.array([1, 2])),
}


def remade(plan):
    """Return the id that follows from the content of a plan."""
    ensemble = EnsembleName(plan.ensemble_name, plan.ensemble_sha256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: plan.code_version)
        return make_plan(plan.night, ensemble, plan.config, plan.units, plan.described, (), plan.sources, plan.columns).plan_id


def test_the_plan_id_depends_on_every_field_of_a_plan():
    """Every field is tested: a field that is added later must be added here too."""
    plan = plan_of({"a": [1, 2]})
    assert remade(plan) == plan.plan_id
    for others, model in ((OTHER_SETTINGS, ScanConfig), (OTHER_UNITS, Unit)):
        assert others.keys() == model.model_fields.keys()
    # The bands that networks read follow from the ensemble.
    not_own = {"plan_id", "left_out", "unmatched", "input_digest", "bands_read"}
    assert OTHER_PLANS.keys() == Plan.model_fields.keys() - not_own
    configs = [ScanConfig(**{name: value}) for name, value in OTHER_SETTINGS.items()]
    units = [plan.units[0].model_copy(update={name: value}) for name, value in OTHER_UNITS.items()]
    changes = [{name: value} for name, value in OTHER_PLANS.items()]
    changes += [*({"config": config} for config in configs), *({"units": (unit,)} for unit in units)]
    ids = {remade(plan.model_copy(update=change)) for change in changes}
    assert len(ids | {plan.plan_id}) == len(changes) + 1


def test_plans_of_euclid_tiles_keep_their_ids(monkeypatch):
    """The id was written down before plans had surveys."""
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "0")
    units = [unit_of("102018211", [1, 2], (7,)), unit_of("shard-0", [3], kind="shard")]
    plan = make_plan(NIGHT, EnsembleName(), ScanConfig(), units, EUCLID_MER, ("VIS",))
    assert plan.plan_id == "8122ae6dab8099928318330709f6b80ad81701623c27fdac8dc9961fcec3e978"
    assert (plan.described, plan.bands) == (EUCLID_MER, {"VIS": "VIS", "Y": "NIR-Y", "J": "NIR-J", "H": "NIR-H"})


def test_a_plan_holds_the_description_of_its_survey(tmp_path):
    kids = shipped_survey("kids-dr4")
    plan = make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit_of("181.5_-2.5", [1])], kids, ("VIS", "J"))
    freeze(plan, str(tmp_path))
    found = load_plan(str(tmp_path), plan.plan_id)
    assert (found, found.described, found.bands) == (plan, kids, {"VIS": "r", "J": "i"})
    other = kids.model_copy(update={"bands": {"VIS": "r"}})
    assert make_plan(NIGHT, EnsembleName(), ScanConfig(), plan.units, other, ("VIS", "J")).plan_id != plan.plan_id


def test_a_plan_of_all_sources_stores_no_selection():
    """So its id is the one that it had before sources could be selected."""
    stored = json.loads(encode_plan(plan_of({"a": [1, 2]})))
    assert not {"sources", "columns"} & stored.keys()
    assert "selected" not in stored["units"][0]


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


def test_a_plan_may_have_no_night():
    plan = make_plan(None, EnsembleName(), ScanConfig(), [unit_of("a", [1])])
    assert plan.night is None
    assert b'"night":null' in encode_plan(plan)


def test_units_have_different_names_fit_for_files():
    with pytest.raises(PlanError, match="repeated: a"):
        make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit_of("a", [1]), unit_of("a", [2])])
    with pytest.raises(ValueError, match="unit_id must match"):
        unit_of("../a", [1])
