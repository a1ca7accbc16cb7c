"""Circles on the sky against astropy, and tiles by number."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from pydantic import ValidationError

from scanner.catalogue.find_units import find_input, find_units
from scanner.catalogue.selection import Circle, Selection, tiles_in_file
from scanner.catalogue.units import PlanError
from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from tests.scanner.catalogue_parts import write_shard
from tests.tiles import write_tiles


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "radius_deg"),
    [(269.7, 66.1, 3.0), (0.01, -89.9, 1.0), (359.9, 0.0, 2.0), (-0.1, 5.0, 20.0), (100.0, 40.0, 1e-4), (5.0, 90.0, 120.0)],
)
def test_a_circle_holds_what_astropy_finds_within_its_radius(rng, ra_deg, dec_deg, radius_deg):
    middle = SkyCoord(ra_deg, dec_deg, unit="deg")
    near = middle.directional_offset_by(
        rng.uniform(0, 360, 500) * units.deg, radius_deg * np.sqrt(rng.uniform(0, 2, 500)) * units.deg
    )
    far = np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    ra, dec = np.concatenate([near.ra.deg, rng.uniform(0, 360, 200)]), np.concatenate([near.dec.deg, far])
    expected = middle.separation(SkyCoord(ra, dec, unit="deg")).deg <= radius_deg
    found = Circle(ra_deg=ra_deg, dec_deg=dec_deg, radius_deg=radius_deg).contains(ra, dec)
    assert 100 < expected.sum() < 650
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("change", [{"ra_deg": 361.0}, {"dec_deg": -90.5}, {"radius_deg": 0.0}, {"radius_deg": float("nan")}])
def test_a_circle_off_the_sky_is_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        Circle(**{"ra_deg": 1.0, "dec_deg": 2.0, "radius_deg": 3.0, **change})


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Four tiles; the first has no catalogue, the second no mosaic."""
    folder = tmp_path_factory.mktemp("survey")
    write_tiles(folder, 4, 3)
    next(folder.glob("*FINAL-CAT*TILE000000001*")).unlink()
    for path in folder.glob("*MOSAIC*TILE000000002*"):
        path.unlink()
    return folder


def named(found):
    return [unit.unit_id for unit in found.units], [tile.tile for tile in found.left_out]


def test_tiles_are_selected_by_number(survey):
    chosen = Selection(tiles=("000000003", "000000001"))
    assert named(find_input(str(survey), chosen)) == (["000000003"], ["000000001"])
    with pytest.raises(PlanError, match=r"^2 of the selected tiles are not in the input: 5, 7; it holds tiles such"):
        find_units(str(survey), Selection(tiles=("7", "000000003", "5")))
    with pytest.raises(PlanError, match=r"none of 2 tiles can be scanned, such as 0+1 \(no catalogue\), 0+2 \(no mosaic\)"):
        find_units(str(survey), Selection(tiles=("000000001", "000000002")))


def test_tiles_are_selected_by_a_circle(tmp_path):
    write_tiles(tmp_path, 4, 3)
    sources = {tile.tile_id: read_tile_catalogue(tile.catalogue) for tile in discover_tiles(str(tmp_path))}
    one = sources["000000002"]
    for radius_deg in (1e-5, 0.004, 1.0, 90.0):
        circle = Circle(ra_deg=float(one.ra[0]), dec_deg=float(one.dec[0]), radius_deg=radius_deg)
        middle = SkyCoord(circle.ra_deg, circle.dec_deg, unit="deg")
        near = [
            tile
            for tile, of in sources.items()
            if (middle.separation(SkyCoord(of.ra, of.dec, unit="deg")).deg <= radius_deg).any()
        ]
        units_found = find_units(str(tmp_path), Selection(circle=circle))
        assert [unit.unit_id for unit in units_found] == near
        # A tile is scanned whole.
        assert all(unit.n_rows == 3 for unit in units_found)
    with pytest.raises(PlanError, match=r"no tile has a source within 0\.1 deg of RA 10, Dec -80"):
        find_units(str(tmp_path), Selection(circle=Circle(ra_deg=10, dec_deg=-80, radius_deg=0.1)))


def test_catalogues_may_lie_apart(tmp_path):
    write_tiles(tmp_path / "all", 2, 3)
    (tmp_path / "catalogues").mkdir()
    expected = [unit.id_digest for unit in find_units(str(tmp_path / "all"))]
    for path in (tmp_path / "all").glob("*FINAL-CAT*"):
        path.rename(tmp_path / "catalogues" / path.name)
    with pytest.raises(PlanError, match=r"none of 2 tiles can be scanned, such as 000000001 \(no catalogue\)"):
        find_units(str(tmp_path / "all"))
    found = find_units(str(tmp_path / "all"), Selection(catalogues_uri=str(tmp_path / "catalogues")))
    assert [unit.id_digest for unit in found] == expected


def test_shards_cannot_be_selected(tmp_path):
    write_shard(tmp_path / "a.parquet", [1])
    assert len(find_units(str(tmp_path), Selection(catalogues_uri=str(tmp_path)))) == 1
    for chosen in (Selection(tiles=("1",)), Selection(circle=Circle(ra_deg=1, dec_deg=2, radius_deg=3))):
        with pytest.raises(PlanError, match="holds no Euclid MER tiles, so neither tiles nor sources of them can be selected"):
            find_units(str(tmp_path), chosen)
        with pytest.raises(PlanError, match="nowhere: does not exist"):
            find_units(str(tmp_path / "nowhere"), chosen)


@pytest.mark.parametrize(
    "text", ["102018211\n7\n", "tile,ra\n102018211,3.5\n7,1\n", "# tiles\n\n 102018211 first\n7\n7\n", "102018211\r\n7"]
)
def test_a_file_lists_tiles(tmp_path, text):
    (tmp_path / "list").write_text(text)
    assert tiles_in_file(tmp_path / "list") == ("102018211", "7")


@pytest.mark.parametrize(("text", "got"), [("", "nothing"), ("tile\n", "nothing"), ("7\nx9\n", "x9"), ("# 7\n", "nothing")])
def test_a_file_without_tiles_is_refused(tmp_path, text, got):
    (tmp_path / "list").write_text(text)
    with pytest.raises(PlanError, match=f"list: must hold the number of a tile in each line, such as 102018211, got {got}$"):
        tiles_in_file(tmp_path / "list")
    with pytest.raises(PlanError, match="absent: cannot be read"):
        tiles_in_file(tmp_path / "absent")
