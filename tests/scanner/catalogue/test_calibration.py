"""Which catalogues hold scores that are not calibrated."""

import json
from pathlib import Path

from scanner.catalogue.calibration import calibration_warning
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.visible import selected_plans
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import finished


def warned(root):
    return calibration_warning(root, (shown.plan_id for shown in selected_plans(root)))


def test_only_tiles_of_another_survey_are_warned_of(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    finished(root, {"b": {2: 0.9}}, kind="shard", night="2026-11-25")
    assert warned(root) is None
    finished(root, {"c": {3: 0.9}}, survey=ATLAS, night="2026-11-26")
    assert warned(root).startswith(UNCALIBRATED)
    finished(root, {"d": {4: 0.9}}, survey=ATLAS.model_copy(update={"name": "more"}), night="2026-11-27")
    assert warned(root).startswith("more, sky-atlas: p_lens is calibrated for images like Euclid's only")


def test_a_damaged_plan_names_no_survey(tmp_path):
    root = str(tmp_path)
    plan = finished(root, {"a": {1: 0.9}}, survey=ATLAS)
    Path(plan_uri(root, plan.plan_id)).write_text("{}")
    assert warned(root) is None


def test_a_plan_of_another_version_names_its_survey(tmp_path):
    root = str(tmp_path)
    path = Path(plan_uri(root, finished(root, {"a": {1: 0.9}}, survey=ATLAS).plan_id))
    path.write_text(json.dumps({**json.loads(path.read_text()), "field_of_a_later_version": 1}))
    assert warned(root).startswith(UNCALIBRATED)
