"""Options that select tiles: what they mean, and that `scan` and `plan` use them."""

import json
import re
from pathlib import Path

import pytest

from flows.cli.tiles import TileOptions, TilesArgumentsError, input_uri, selection
from infra.errors import LensscanError
from infra.store.s3_access import ANONYMOUS_BUCKETS, access_variables
from scanner.catalogue.selection import Circle, Selection
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


def test_numbers_come_from_the_command_and_a_file(tmp_path):
    (tmp_path / "list.csv").write_text("9,x\n7\n")
    options = TileOptions(tile=" 3, 7", tiles_from=tmp_path / "list.csv", region=(350.0, -4.0, 2.0))
    circle = Circle(ra_deg=350, dec_deg=-4, radius_deg=2)
    assert selection(options) == Selection(tiles=("3", "7", "9"), circle=circle)
    assert selection(TileOptions()) == Selection()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": "3,x"}, "--tile: must be numbers of tiles such as 102018211, got x"),
        ({"region": (0.0, 91.0, 1.0)}, "--region: dec_deg: Input should be less than or equal to 90, got 91"),
    ],
)
def test_options_off_the_sky_are_refused(options, message):
    with pytest.raises(LensscanError, match=re.escape(message)):
        selection(TileOptions(**options))


@pytest.mark.server
def test_plan_and_scan_take_the_selected_tiles(lensscan, tmp_path):
    write_tiles(tmp_path / "tiles", 3, 3)
    tiles, out = str(tmp_path / "tiles"), str(tmp_path / "catalogue")
    Path(tmp_path / "list").write_text("000000002\n")
    planned = json.loads(lensscan("plan", tiles, "--tile", "000000001,000000003", "--json").stdout)
    assert planned["units"] == 2
    far = lensscan("plan", tiles, "--region", "10", "-80", "0.1", "--json")
    assert (far.returncode, "no tile has a source within 0.1 deg of RA 10, Dec -80" in far.stderr) == (2, True)
    for flow in ((), ("--flow",)):
        done = lensscan("scan", tiles, "--tiles-from", str(tmp_path / "list"), "--out", out, "--maps", "0", "--json", *flow)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["n_units"] == 1
