"""Names of files in a catalogue, against names written out, and ids read back from them."""

import pytest

from scanner.catalogue import paths

PLAN = "89c4d7aeac2748eb" + "0" * 48
ROOTS = ["/data/catalogue", "s3://bucket/catalogue", "/data/_scan/units/plan=x/seals", "/"]


@pytest.mark.parametrize("root", ROOTS)
def test_names_are_as_the_documentation_says(root):
    top = root.rstrip("/")
    assert paths.plan_uri(root, PLAN) == f"{top}/_scan/plans/{PLAN}.json"
    assert paths.seal_uri(root, PLAN) == f"{top}/_scan/seals/{PLAN}.json"
    assert paths.unit_uri(root, PLAN, "100000001") == f"{top}/_scan/units/plan={PLAN}/100000001.unit"
    assert paths.sealed_path(PLAN) == f"_scan/sealed/{PLAN}.candidates"
    assert paths.entry_uri(root, "2026-01-01", 7) == f"{top}/_scan/journal/2026-01-01/00000007.json"
    assert paths.night_uri(root, paths.night_label("2026-01-01")) == f"{top}/candidates/2026-01-01.parquet"
    assert paths.night_uri(root, paths.night_label(None)) == f"{top}/candidates/undated.parquet"
    assert paths.vote_uri(root, "ann", "0" * 32) == f"{top}/_votes/grader=ann/{'0' * 32}.json"
    assert paths.votes_uri(root) == f"{top}/_votes"


@pytest.mark.parametrize("root", ROOTS)
def test_ids_are_read_back_from_names(root):
    unit = paths.unit_uri(root, PLAN, "a+b.c")
    assert paths.unit_id_of(unit, PLAN) == "a+b.c"
    assert paths.plan_id_of_unit(unit) == PLAN
    assert paths.plan_id_of_sealed(f"{root}/{paths.sealed_path(PLAN)}") == PLAN
    assert paths.label_and_number(paths.entry_uri(root, "undated", 12)) == ("undated", 12)
    assert paths.label_of_night_file(paths.night_uri(root, "2026-01-01")) == "2026-01-01"
    assert paths.plan_id_of(paths.plan_uri(root, PLAN)) == paths.plan_id_of(paths.seal_uri(root, PLAN)) == PLAN


@pytest.mark.parametrize("name", ["deep/a.unit", "a.json", "a.unit.tmp", "a.parquet"])
def test_other_files_in_a_plans_folder_are_no_units(name):
    assert paths.unit_id_of(f"/c/_scan/units/plan={PLAN}/{name}", PLAN) is None


def test_quarantine_keeps_path_and_content_apart():
    uri, sha256 = f"/c/_scan/units/plan={PLAN}/a.unit", "f" * 64
    copy = paths.quarantine_uri("/c", uri, sha256, ".damaged")
    assert copy == f"/c/_scan/quarantine/units/plan={PLAN}/a.unit.{'f' * 16}.damaged"
    assert paths.path_below(copy, paths.QUARANTINE) == paths.quarantine_name("/c", uri, sha256) + ".damaged"
    assert paths.quarantine_uri("/c", uri, "e" * 64, ".damaged") != copy


@pytest.mark.parametrize("name", ["x.json", "1.parquet"])
def test_a_record_without_a_number_is_refused(name):
    with pytest.raises(ValueError, match="invalid literal"):
        paths.label_and_number(f"/c/_scan/journal/2026-01-01/{name}")
