"""A survey that is not Euclid's goes through the commands: its scores are those of the same pixels in a manifest."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from tests.docs.pages import ONE_WORKER
from tests.other_survey import TOML, write_manifest, write_survey
from tests.scanner.ensembles import SPECS, write_test_package

NETWORKS = ("p_OU_H", "p_OU_66", "p_lens")
OPTIONS = ("--survey", "atlas.toml", "--ensemble", "small")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Return a folder with tiles, their description, cutouts of the same pixels, positions and a small ensemble."""
    folder = tmp_path_factory.mktemp("survey")
    tiles = write_survey(folder / "tiles")
    write_manifest(folder / "tiles", tiles, folder / "cutouts")
    (folder / "atlas.toml").write_text(TOML)
    write_test_package(folder / "small", SPECS[:2])
    return folder


@pytest.fixture(scope="module")
def run(lensscan, survey):
    def run(*words, code=0):
        done = lensscan(*words, cwd=survey, **ONE_WORKER)
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def by_manifest(run, survey):
    said = run("score", "cutouts/manifest.csv", "--ensemble", "small", "--out", "m.parquet")
    assert "VIS pixels of 0.2 arcsec: p_lens is calibrated for images like Euclid's only" in " ".join(said.split())
    rows = pq.read_table(survey / "m.parquet").to_pylist()
    assert {row["status"] for row in rows} == {"scored"}
    return {row["object_id"]: [row[name] for name in NETWORKS] for row in rows}


@pytest.fixture(scope="module")
def scanned(run):
    """Scan the tiles, and return what the command says."""
    return run("scan", "tiles", *OPTIONS, "--out", "catalogue", "--maps", "0", "--exact")


@pytest.mark.server
def test_a_scan_scores_the_pixels_of_the_manifest(run, survey, scanned, by_manifest):
    assert "sky-atlas: VIS from r, Y from i, J from z, H from y; p_lens is calibrated for images like Euclid's only" in scanned
    # Workers and audits read the description from the plan, not from the file.
    (survey / "atlas.toml").rename(survey / "moved.toml")
    (status,) = json.loads(run("status", "catalogue", "--json"))
    assert (status["survey"], status["state"], list(status["bands"])) == ("sky-atlas", "shown", ["VIS", "Y", "J", "H"])
    assert "survey sky-atlas: VIS from r" in run("status", "catalogue")
    assert json.loads(run("reconcile", "catalogue", "--json"))["is_equal"]
    (survey / "moved.toml").rename(survey / "atlas.toml")
    rows = [row for unit in (survey / "catalogue").rglob("*.unit") for row in pq.read_table(unit).to_pylist()]
    assert {row["object_id"]: [row[name] for name in NETWORKS] for row in rows} == by_manifest
    assert {(row["tile"], row["detail"]) for row in rows} == {("N01-1", ""), ("N01-2", "")}


@pytest.mark.server
def test_positions_and_objects_are_found_in_the_tiles(run, survey, by_manifest):
    tables = [fits.getdata(path) for path in (survey / "tiles").glob("*objects-v2.fits")]
    ids, ra, dec = (np.concatenate([table[name] for table in tables]) for name in ("sourceId", "ra_rad", "dec_rad"))
    places = zip(ids, np.degrees(ra), np.degrees(dec), strict=True)
    (survey / "p.csv").write_text("\n".join(["object_id,ra,dec", *(",".join(map(str, place)) for place in places)]))
    found = json.loads(run("score", "p.csv", "--tiles", "tiles", *OPTIONS, "--json"))
    assert found["bands"] == {"VIS": "r", "Y": "i", "J": "z", "H": "y"}
    assert {row["object_id"]: [row[name] for name in NETWORKS] for row in found["objects"]} == by_manifest
    chosen = ("--objects", "100", "--networks", "OU-66", "--out", "why.png", "--json")
    explained = json.loads(run("explain", "tiles", *OPTIONS, *chosen))
    assert explained["objects"]["100"]["p_lens"] == pytest.approx(by_manifest[100][2], rel=1e-5)


@pytest.mark.server
def test_a_survey_that_lacks_a_band_says_so(run, survey):
    (survey / "three.toml").write_text(TOML.replace('H = "y"\n', ""))
    options = ("tiles", "--survey", "three.toml", "--ensemble", "small", "--tile", "N01-2")
    assert "1 tile lacks a mosaic: N01-2 (H); a scan rejects its 3 objects" in run("plan", *options)
    done = json.loads(run("scan", *options, "--out", "three", "--maps", "0", "--json", code=1))
    assert done["rows_by_status"] == {"rejected:missing_band": 3}
    assert done["bands"] == {"VIS": "r", "Y": "i", "J": "z"}
