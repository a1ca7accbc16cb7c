"""`lensscan publish`, `versions` and `rollback`, as a user types them."""

import json

import pytest

from infra.store.folders import list_folders
from infra.store.storage import list_files, read_bytes
from tests.scanner.hats.published import NIGHTS, add_night, current, known_lenses


@pytest.mark.server
def test_a_catalogue_is_published_listed_and_rolled_back(lensscan, tmp_path, monkeypatch):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    plans, names = [], []
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    # A pipe of any width gets all columns.
    monkeypatch.delenv("COLUMNS", raising=False)
    for i in range(2):
        plans.append(add_night(catalogue, i))
        done = json.loads(lensscan("publish", catalogue, collection, "--json").stdout)
        assert (done["outcome"], done["n_nights"], done["collection_uri"]) == ("promoted", i + 1, collection)
        names.append(done["version"])
    said = lensscan("publish", catalogue, collection).stdout
    assert [line.split(maxsplit=1) for line in said.splitlines()[:2]] == [
        ["unchanged", names[1]],
        ["candidates", "28 of 2 nights"],
    ]
    listed = json.loads(lensscan("versions", collection, "--json").stdout)
    assert [(version["version"], version["is_current"], version["n_rows"]) for version in listed] == [
        (names[0], False, 14),
        (names[1], True, 28),
    ]
    assert listed[1]["nights"] == {night: [plan.plan_id] for night, plan in zip(NIGHTS, plans, strict=False)}
    assert f"readers see {names[0]}: 14 candidates of 1 night\n" == lensscan("rollback", collection).stdout
    assert current(collection).name == names[0]
    table = lensscan("versions", collection).stdout
    assert [name in table for name in (*names, *NIGHTS[:2], plans[0].plan_id[:8])] == [True] * 5
    assert json.loads(lensscan("rollback", collection, names[1], "--json").stdout)["version"] == names[1]
    assert lensscan("verify", collection, "--deep").stdout == "2 versions: 0 files damaged or missing\n"
    leaf = next(current(collection).glob("dataset/**/*.parquet"))
    leaf.unlink()
    path = leaf.relative_to(current(collection))
    told = lensscan("verify", collection)
    assert told.returncode == 1
    assert told.stdout.startswith(f"file {leaf}: is missing\ndelete those that are damaged; then `lensscan publish ")
    found = json.loads(lensscan("verify", collection, "--json").stdout)
    assert found == {"is_intact": False, "versions": {names[0]: {}, names[1]: {str(path): "is missing"}}}
    refused = lensscan("rollback", collection, names[1])
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert f"a file is missing or damaged: {path} is missing; `lensscan publish`" in refused.stderr
    mended = lensscan("publish", catalogue, collection).stdout
    assert [line.split() for line in mended.splitlines() if line.startswith("mended")] == [["mended", str(path)]]
    names.append(current(collection).name)
    compact = json.loads(lensscan("publish", catalogue, collection, "--compact", "--keep", "1", "--json").stdout)
    assert (compact["outcome"], compact["n_leaves"], sorted(compact["removed"])) == ("promoted", 3, sorted(names))
    wrong = lensscan("rollback", collection)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "holds no version before" in wrong.stderr


@pytest.mark.server
def test_known_lenses_come_from_option_or_setting(lensscan, tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    add_night(catalogue, 0)
    table = known_lenses(tmp_path).table

    def said(*options, **variables):
        done = lensscan("publish", catalogue, collection, *options, **variables)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("known lenses")]
        return done.stdout.split(maxsplit=1)[0], line.removeprefix("known lenses").strip()

    matched = f"9 candidates within 3 arcsec of one in lenses.csv {table.version}"
    file = str(tmp_path / "lenses.csv")
    assert said("--known", file) == ("published", matched)
    assert said(LENSSCAN_KNOWN_LENSES=file) == ("unchanged", matched)
    absent = (
        "published",
        "not matched; `--known FILE` names a table of them, and `pip install --no-deps lenscat` installs one",
    )
    assert said("--no-known", LENSSCAN_KNOWN_LENSES=file) == absent
    assert said("--known", file, LENSSCAN_KNOWN_LENSES="none") == ("shown", matched)
    assert said(LENSSCAN_KNOWN_LENSES="none") == ("shown", absent[1])
    wrong = lensscan("publish", catalogue, collection, "--known", file, "--no-known")
    assert (wrong.returncode, wrong.stderr) == (2, f"lensscan: give --known {file} or --no-known, not both\n")
    missing = lensscan("publish", catalogue, collection, "--known", "nowhere.csv")
    assert (missing.returncode, missing.stderr) == (2, "lensscan: positions nowhere.csv: no such file\n")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.server
def test_a_private_ray_publishes_into_a_store(lensscan, s3, tmp_path):
    catalogue = f"{s3}/catalogue"
    for i in range(2):
        add_night(catalogue, i, maps_per_unit=2)
    options = ("--no-known", "--json")
    done = [
        lensscan("publish", catalogue, f"{s3}/{name}", *options, *more)
        for name, more in (("here", ()), ("there", ("--ray-address", "local")))
    ]
    assert [each.returncode for each in done] == [0, 0], done[1].stderr
    versions = [json.loads(each.stdout)["version"] for each in done]
    leaves = [
        {file.uri.rpartition("dataset/")[2]: read_bytes(file.uri) for file in list_files(f"{s3}/{name}/{version}", ".parquet")}
        for name, version in zip(("here", "there"), versions, strict=True)
    ]
    assert len(leaves[0]) == 6
    assert leaves[0] == leaves[1]
    assert list_folders(f"{s3}/there") == [versions[1]]
