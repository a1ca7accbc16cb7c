"""Positions in tiles get the scores that a scan of the tiles gives the same sources."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from scanner.catalogue.find_units import find_units
from scanner.scan.positions_in_tiles import score_positions
from scanner.scan.scoring import CutoutScanner
from scanner.sources.positions import SkyPositions
from scanner.sources.tiles import TileError, discover_tiles, read_tile_catalogue
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.tiles import write_tile


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    for number in (1, 2):
        write_tile(folder, number, 4)
    return folder


def listed(folder):
    catalogues = [read_tile_catalogue(tile.catalogue) for tile in discover_tiles(str(folder))]
    ra, dec = (np.concatenate([getattr(c, name) for c in catalogues] + [[200.0]]) for name in ("ra", "dec"))
    ids = pa.array([*np.concatenate([c.object_ids for c in catalogues]).tolist(), 9])
    order = np.random.default_rng(1).permutation(len(ids))
    return SkyPositions(ids.take(pa.array(order)), ra[order], np.minimum(dec, 89)[order], {"mag": pa.chunked_array([order])})


def test_scores_are_those_of_a_scan(folder):
    positions = listed(folder)
    table = score_positions(positions, str(folder), CutoutScanner(MeanEnsemble(), 2))
    scans = [scanned(unit, CutoutScanner(MeanEnsemble(), 3)).to_pylist() for unit in find_units(str(folder))]
    by_id = {row["object_id"]: row for rows in scans for row in rows}
    found = table.to_pylist()
    assert [row["object_id"] for row in found] == positions.object_ids.to_pylist()
    assert [row["mag"] for row in found] == positions.others["mag"].to_pylist()
    assert sum(row["status"] == "scored" for row in found) == 8
    for row in found:
        if row["object_id"] != 9:
            assert {row[name] == by_id[row["object_id"]][name] for name in ("p_A", "p_B", "p_lens", "ra", "dec", "tile")} == {
                True
            }


def test_an_input_column_never_replaces_the_tile(folder):
    others = {name: pa.chunked_array([[name]]) for name in ("tile", "Tile", "mag")}
    positions = SkyPositions(pa.array([1]), np.array([200.0]), np.array([89.0]), others)
    table = score_positions(positions, str(folder), CutoutScanner(MeanEnsemble()))
    assert table.column_names[-4:] == ["tile", "input_tile", "input_input_Tile", "mag"]
    assert [table[name][0].as_py() for name in table.column_names[-4:]] == [None, "tile", "Tile", "mag"]


def test_positions_outside_all_tiles_are_rejected(folder):
    table = score_positions(listed(folder), str(folder), CutoutScanner(MeanEnsemble()))
    (outside,) = (row for row in table.to_pylist() if row["object_id"] == 9)
    assert outside["status"] == "rejected:outside_tile"
    assert outside["detail"] == "ra=200.000000, dec=89.000000 lies in none of 2 tiles"
    assert outside["tile"] is None


@pytest.mark.parametrize(
    ("ra", "dec", "detail"),
    [
        (np.nan, 2.0, "has no RA"),
        (10.0, np.nan, "has no Dec"),
        (np.nan, np.nan, "has no RA and no Dec"),
        (510.0, 2.0, "ra=510, dec=2 must be in RA -360 to 360 and Dec -90 to 90 deg"),
        (10.0, 95.0, "ra=10, dec=95 must be in RA -360 to 360 and Dec -90 to 90 deg"),
        (-350.0, 89.0, "ra=-350.000000, dec=89.000000 lies in none of 2 tiles"),
    ],
)
def test_a_missing_or_impossible_position_is_said_to_be_one(folder, ra, dec, detail):
    positions = SkyPositions(pa.array([1]), np.array([ra]), np.array([dec]), {})
    (row,) = score_positions(positions, str(folder), CutoutScanner(MeanEnsemble())).to_pylist()
    assert (row["status"], row["detail"]) == ("rejected:outside_tile", detail)


@pytest.mark.parametrize("is_wcs", [True, False])
def test_the_only_tile_that_has_no_place_is_named(tmp_path, is_wcs):
    write_tile(tmp_path, 1, 2)
    for path in tmp_path.glob("*MOSAIC*"):
        if is_wcs:
            fits.setval(path, "CTYPE1", value="GLON-TAN")
        else:
            path.write_bytes(b"<html>")
    positions = SkyPositions(pa.array([1]), np.array([10.0]), np.array([2.0]), {})
    (row,) = score_positions(positions, str(tmp_path), CutoutScanner(MeanEnsemble())).to_pylist()
    why = "has no usable WCS: " if is_wcs else "cannot be read: fits_unreadable: "
    assert row["detail"].startswith(f"ra=10.000000, dec=2.000000 is not in the only tile (tile 000000001 {why}")


def test_damage_rejects_the_positions_of_a_tile(tmp_path):
    for number in (1, 2):
        write_tile(tmp_path, number, 2)
    (path,) = tmp_path.glob("*NIR-J*TILE000000002*")
    path.write_bytes(path.read_bytes()[:-3000])
    table = score_positions(listed(tmp_path), str(tmp_path), CutoutScanner(MeanEnsemble()))
    by_tile = {(row["tile"], row["status"]) for row in table.to_pylist()}
    assert by_tile == {("000000001", "scored"), ("000000002", "rejected:fits_truncated"), (None, "rejected:outside_tile")}


def test_a_folder_without_tiles_is_refused(tmp_path):
    positions = SkyPositions(pa.array([1]), np.array([1.0]), np.array([1.0]), {})
    with pytest.raises(TileError, match="no Euclid MER tile under"):
        score_positions(positions, str(tmp_path), CutoutScanner(MeanEnsemble()))
