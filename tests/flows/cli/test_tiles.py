"""Options that select tiles: what they mean, and that `scan` and `plan` use them."""

import json
import re
from pathlib import Path

import pytest

from flows.cli.tiles import TileOptions, TilesArgumentsError, input_uri, selection
from infra.errors import LensscanError
from infra.store.s3_access import ANONYMOUS_BUCKETS, access_variables
from scanner.catalogue.find_units import list_tiles
from scanner.catalogue.query import query
from scanner.catalogue.selection import Circle, Selection
from scanner.sources.survey import shipped_survey, shipped_text
from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from tests.scanner.healpix import cell_of
from tests.scanner.source_tables import write_mer_tile
from tests.tiles import write_tiles


def test_a_release_stands_for_its_two_prefixes():
    options = TileOptions(release="q1")
    assert input_uri(None, options) == "s3://nasa-irsa-euclid-q1/q1/MER"
    assert selection(options) == Selection(catalogues_uri="s3://nasa-irsa-euclid-q1/q1/catalogs/MER_FINAL_CATALOG")
    assert selection(TileOptions(release="q1", catalogues="mine")).catalogues_uri == "mine"


@pytest.mark.parametrize(("tiles", "release"), [(None, None), ("tiles", "q1")])
def test_one_input_is_needed(tiles, release):
    with pytest.raises(TilesArgumentsError, match="give either a folder or prefix of tiles, or --release"):
        input_uri(tiles, TileOptions(release=release))


def test_mosaics_and_catalogues_are_read_without_credentials(monkeypatch):
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "")
    assert input_uri("s3://a/x", TileOptions(catalogues="s3://b/y")) == "s3://a/x"
    assert access_variables() == {}
    input_uri("s3://a/x", TileOptions(catalogues="s3://b/y", anonymous=True))
    assert access_variables() == {ANONYMOUS_BUCKETS: "a,b"}


@pytest.mark.parametrize("written", ["s3://a/catalogue", "s3://b"])
def test_a_bucket_read_without_credentials_is_not_written(monkeypatch, written):
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "")
    options = TileOptions(catalogues="s3://b/y", anonymous=True)
    for places in ((written, None), ("catalogue", written)):
        with pytest.raises(TilesArgumentsError, match=f"without credentials, and {written} in it must be written with yours"):
            input_uri("s3://a/x", options, *places)
    assert access_variables() == {}
    assert input_uri("s3://a/x", options, "s3://c/catalogue", "collection") == "s3://a/x"
    assert input_uri("tiles", TileOptions(anonymous=True), "catalogue", None) == "tiles"


def test_numbers_come_from_the_command_and_a_file(tmp_path):
    (tmp_path / "list.csv").write_text("9,x\n7\n")
    options = TileOptions(tile=" 3, 7", tiles_from=tmp_path / "list.csv", region=(350.0, -4.0, 2.0))
    circle = Circle(ra_deg=350, dec_deg=-4, radius_deg=2)
    assert selection(options) == Selection(tiles=("3", "7", "9"), circle=circle)
    assert selection(TileOptions()) == Selection()


def test_a_patch_of_hsc_is_named_without_its_comma(lensscan, tmp_path):
    """The help says so, because an option splits its names at commas."""
    for name in ("calexp-HSC-I-9813-4,4", "meas-HSC-I-9813-4,4", "calexp-HSC-I-9813-4,5"):
        (tmp_path / f"{name}.fits").touch()
    chosen = selection(TileOptions(tile="9813-4-4", survey="hsc-pdr3"))
    assert [tile.tile_id for tile in list_tiles(str(tmp_path), chosen, shipped_survey("hsc-pdr3")).tiles] == ["9813-4-4"]
    assert "9813-4-4" in lensscan("scan", "--help").stdout
    assert "9813-4-4" in shipped_text("hsc-pdr3")


@pytest.mark.parametrize(("text", "columns"), [(None, None), ("none", ()), (' A, "b" ', ("a", "b"))])
def test_columns_are_a_list_of_names(text, columns):
    assert selection(TileOptions(columns=text)).columns == columns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": "3,x"}, "--tile: must be numbers of tiles such as 102018211, got x"),
        ({"tile": ""}, "--tile: must be numbers (or names) of tiles separated by commas, got ''"),
        ({"tile": " ,", "survey": "hsc-pdr3"}, "--tile: must be numbers (or names) of tiles separated by commas, got ' ,'"),
        ({"columns": "a,A"}, "--columns: must be different names separated by commas, or none, got 'a,A'"),
        ({"region": (0.0, 91.0, 1.0)}, "--region: dec_deg: Input should be less than or equal to 90, got 91"),
    ],
)
def test_options_off_the_sky_are_refused(options, message):
    with pytest.raises(LensscanError, match=re.escape(message)):
        selection(TileOptions(**options))


def test_plan_says_what_is_selected(lensscan, tmp_path):
    ids, columns = write_mer_tile(tmp_path / "tiles", 1, 20, n_pixels=210)
    n = int((columns["SPURIOUS_FLAG"] == 0).sum())
    tiles = str(tmp_path / "tiles")
    assert f"selected  {n} objects: spurious_flag = 0\n" in lensscan("plan", tiles, "--where", "SPURIOUS_FLAG=0").stdout
    (tmp_path / "t.csv").write_text("ra,dec\n10.0,-44.0\n99,9\n")
    near = ("--targets", str(tmp_path / "t.csv"), "--match-radius-arcsec", "30")
    planned = json.loads(lensscan("plan", tiles, *near, "--json").stdout)
    assert (planned["rows"], planned["rows_selected"]) == (len(ids), 1)
    assert planned["targets_unmatched"] == {"n_targets": 2, "n": 1, "examples": ["2"]}
    assert planned["columns"] == ["flux_vis_psf", "det_quality_flag", "spurious_flag", "point_like_prob"]
    assert "unmatched  1 target of 2 without a source: 2\n" in lensscan("plan", tiles, *near).stdout
    wrong = lensscan("plan", tiles, "--where", "flux_vis > 1")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "has no column flux_vis (did you mean flux_vis_psf?)" in wrong.stderr


def test_an_area_says_which_sources_are_scored(lensscan, tmp_path):
    """The second tile lies outside; the catalogue has each source of the first, scored or skipped."""
    write_tiles(tmp_path / "tiles", 2, 4)
    sources = [read_tile_catalogue(tile.catalogue) for tile in discover_tiles(str(tmp_path / "tiles"))]
    inside = sources[0].object_ids[:2].tolist()
    cells = {cell_of(*place, 24) for place in zip(sources[0].ra[:2], sources[0].dec[:2], strict=True)}
    (tmp_path / "area.json").write_text(json.dumps({"24": sorted(cells)}))
    chosen = (str(tmp_path / "tiles"), "--moc", str(tmp_path / "area.json"))
    planned = json.loads(lensscan("plan", *chosen, "--json").stdout)
    assert (planned["units"], planned["rows"], planned["rows_selected"]) == (1, 4, 2)
    assert "selected  2 objects: inside a MOC of 2.44e-11 square degrees\n" in lensscan("plan", *chosen).stdout
    root = str(tmp_path / "catalogue")
    done = lensscan("scan", *chosen, "--out", root, "--maps", "0", "--json")
    assert done.returncode == 0, done.stderr
    rows = query(root, sql="select object_id, status from scores").to_pylist()
    expected = {name: "scored" if name in inside else "skipped:selection" for name in sources[0].object_ids.tolist()}
    assert {row["object_id"]: row["status"] for row in rows} == expected
    assert lensscan("reconcile", root).returncode == 0
    (tmp_path / "far.moc").write_text("3/0")
    far = lensscan("scan", str(tmp_path / "tiles"), "--moc", "far.moc", "--out", "x", cwd=tmp_path)
    assert (far.returncode, far.stderr) == (2, f"lensscan: {tmp_path}/tiles: no tile has a source inside the MOC far.moc\n")


def test_a_plan_takes_the_selected_tiles(lensscan, tmp_path):
    write_tiles(tmp_path / "tiles", 3, 3)
    tiles = str(tmp_path / "tiles")
    Path(tmp_path / "list").write_text("000000002\n")
    planned = json.loads(lensscan("plan", tiles, "--tile", "000000001,000000003", "--json").stdout)
    assert planned["units"] == 2
    listed = ("--tiles-from", str(tmp_path / "list"))
    assert json.loads(lensscan("plan", tiles, *listed, "--json").stdout)["units"] == 1
    far = lensscan("plan", tiles, "--region", "10", "-80", "0.1", "--json")
    assert (far.returncode, "no tile has a source within 0.1 deg of RA 10, Dec -80" in far.stderr) == (2, True)
