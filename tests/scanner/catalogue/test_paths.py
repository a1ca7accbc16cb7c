"""Names of files in a catalogue, against names written out, and ids read back from them."""

import pytest

from scanner.catalogue import paths

PLAN = "89c4d7aeac2748eb" + "0" * 48
ROOTS = ["/data/catalogue", "s3://bucket/catalogue", "/data/units/plan=x/seals", "/"]


@pytest.mark.parametrize("root", ROOTS)
def test_names_are_as_the_documentation_says(root):
    top = root.rstrip("/")
    assert paths.plan_uri(root, PLAN) == f"{top}/plans/{PLAN}.json"
    assert paths.seal_uri(root, PLAN) == f"{top}/seals/{PLAN}.json"
    assert paths.unit_uri(root, PLAN, "100000001") == f"{top}/units/plan={PLAN}/100000001.parquet"
    assert paths.candidates_path("2026-01-01", PLAN) == "candidates/night=2026-01-01/89c4d7aeac2748eb.parquet"


@pytest.mark.parametrize("root", ROOTS)
def test_ids_are_read_back_from_names(root):
    unit = paths.unit_uri(root, PLAN, "a+b.c")
    assert paths.unit_id_of(unit, PLAN) == "a+b.c"
    assert paths.plan_id_of_unit(unit) == PLAN
    assert paths.plan_id_of(paths.plan_uri(root, PLAN)) == paths.plan_id_of(paths.seal_uri(root, PLAN)) == PLAN


@pytest.mark.parametrize("name", ["deep/a.parquet", "a.json", "a.parquet.tmp"])
def test_other_files_in_a_plans_folder_are_no_units(name):
    assert paths.unit_id_of(f"/c/units/plan={PLAN}/{name}", PLAN) is None


def test_quarantine_keeps_path_and_content_apart():
    uri, sha256 = f"/c/units/plan={PLAN}/a.parquet", "f" * 64
    copy = paths.quarantine_uri("/c", uri, sha256, ".damaged")
    assert copy == f"/c/quarantine/units/plan={PLAN}/a.parquet.{'f' * 16}.damaged"
    assert paths.path_below(copy, paths.QUARANTINE) == paths.quarantine_name("/c", uri, sha256) + ".damaged"
    assert paths.quarantine_uri("/c", uri, "e" * 64, ".damaged") != copy
