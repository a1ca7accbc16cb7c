import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from pydantic import ValidationError

from scanner.vocabulary.bands import EUCLID
from simulation.optics.observation import Conditions
from simulation.population.draw import draw_system
from simulation.products.mer_files import Pointing
from simulation.products.mosaic import SimulatedMosaic
from simulation.products.render import SimulationError, render
from simulation.products.survey_tile import TileSpec, _paint_system, largest_side_pixels, simulate_tile
from simulation.systems import ARCLESS_LENS

SPEC = TileSpec(tile_id="100000001", n_galaxies=12, n_single=1, n_compound=2, side_pixels=420, seed=3)
MER_NAME = re.compile(
    r"^EUC_MER_(BGSUB-MOSAIC-(VIS|NIR-[YJH])|FINAL-CAT)_TILE100000001-[0-9A-F]{6}_\d{8}T\d{6}\.\d{6}Z_\d\d\.\d\d\.fits$"
)


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """Simulate the tile, and return `(folder, {product: path})`."""
    root = tmp_path_factory.mktemp("tiles")
    uris = simulate_tile(SPEC, str(root))
    folder = root / SPEC.tile_id
    assert sorted(uris) == sorted(str(path) for path in folder.iterdir())
    return root, {path.name.split("_TILE")[0].removeprefix("EUC_MER_"): path for path in folder.iterdir()}


def read(path, hdu=0):
    """Read header and data and verify checksums: a mismatch is a warning, hence an error."""
    with fits.open(path, checksum=True, memmap=False) as hdus:
        return hdus[hdu].header, hdus[hdu].data


def test_files_are_named_as_mer_does(tile):
    _, files = tile
    assert len(files) == 6
    assert all(MER_NAME.match(path.name) for name, path in files.items() if name != "truth.parquet")


@pytest.mark.parametrize(("product", "zero_point"), [("VIS", 24.6), ("NIR-Y", 29.8), ("NIR-J", 30.0), ("NIR-H", 29.9)])
def test_mosaics_share_one_field_and_state_their_units(tile, product, zero_point):
    header, pixels = read(tile[1][f"BGSUB-MOSAIC-{product}"])
    assert pixels.shape == (420, 420)
    assert pixels.dtype == np.dtype(">f4")
    assert (header["BUNIT"], header["MAGZERO"]) == ("ADU/s", zero_point)
    assert {"CHECKSUM", "DATASUM", "CD1_1", "CD2_2"} <= set(header)
    assert WCS(header).proj_plane_pixel_area().to_value("arcsec2") == pytest.approx(0.01)
    assert abs(np.median(pixels)) < 0.5 * np.std(pixels)


def test_catalogue_positions_are_where_the_light_is(tile):
    _, files = tile
    header, pixels = read(files["BGSUB-MOSAIC-VIS"])
    _, catalogue = read(files["FINAL-CAT"], 1)
    x, y = WCS(header).all_world2pix(catalogue["RIGHT_ASCENSION"], catalogue["DECLINATION"], 0)
    bright = np.flatnonzero(catalogue["FLUX_DETECTION_TOTAL"] > 5)
    assert bright.size >= 5
    for i in bright:
        row, column = round(float(y[i])), round(float(x[i]))
        box = pixels[row - 3 : row + 4, column - 3 : column + 4]
        peak_y, peak_x = np.unravel_index(np.argmax(box), box.shape)
        assert np.hypot(peak_x - 3, peak_y - 3) < 1.6
        assert box.max() > 10 * 0.0025


def test_catalogue_and_truth_list_the_same_objects_in_order(tile):
    _, files = tile
    _, catalogue = read(files["FINAL-CAT"], 1)
    truth = pq.read_table(files["truth.parquet"]).to_pydict()
    assert catalogue["OBJECT_ID"].tolist() == truth["object_id"]
    assert truth["kind"] == ["single", "compound_arc", "double_ring", *["nonlens"] * 12]
    assert truth["index"] == list(range(15))
    assert all(i < 0 for i in truth["object_id"]), "the tile lies in the south"
    assert len(set(truth["object_id"])) == 15
    assert all((r is None) == (k == "nonlens") for r, k in zip(truth["einstein_radius1_arcsec"], truth["kind"], strict=True))
    assert len(set(truth["detector_angle_deg"])) == 1, "one detector took the tile"


def test_lenses_keep_from_the_edges(tile):
    _, files = tile
    header, _ = read(files["BGSUB-MOSAIC-VIS"])
    _, catalogue = read(files["FINAL-CAT"], 1)
    positions = WCS(header).all_world2pix(catalogue["RIGHT_ASCENSION"], catalogue["DECLINATION"], 0)
    lenses = np.array(positions)[:, :3]
    assert lenses.min() > 115
    assert lenses.max() < 420 - 115


def test_total_flux_is_that_of_the_catalogue(tile):
    _, files = tile
    header, pixels = read(files["BGSUB-MOSAIC-VIS"])
    _, catalogue = read(files["FINAL-CAT"], 1)
    in_pixels = pixels.sum(dtype=float) * 10 ** (-0.4 * (header["MAGZERO"] - 23.9))
    assert in_pixels == pytest.approx(catalogue["FLUX_DETECTION_TOTAL"].sum(dtype=float), rel=0.1)


def test_bytes_depend_on_the_spec_alone(tile, tmp_path):
    _, files = tile
    simulate_tile(SPEC, str(tmp_path))
    for path in files.values():
        assert (tmp_path / SPEC.tile_id / path.name).read_bytes() == path.read_bytes()


def test_galaxies_like_those_of_lenses_follow_the_lenses(tmp_path):
    spec = TileSpec(tile_id="000000003", n_galaxies=1, n_single=1, n_arcless=6, side_pixels=420, preset="broad", seed=5)
    *_, truth_uri = simulate_tile(spec, str(tmp_path))
    truth = pq.read_table(truth_uri).to_pydict()
    assert truth["kind"] == ["single", *["nonlens"] * 7]
    assert truth["morphology"][1:7] == [ARCLESS_LENS] * 6
    assert all(mag < 23 for mag in truth["lens_mag_vis"][1:7])


def test_galaxies_without_arcs_keep_their_cluster():
    """A lens of a cluster is painted with the cluster's light: without arcs, the light is the same."""
    rng, conditions = np.random.default_rng(0), Conditions.nominal(20.0)
    drawn = (draw_system("broad", ARCLESS_LENS, rng, 20.0) for _ in range(200))
    system = next(system for system in drawn if system.neighbours)
    painted, as_lens = (SimulatedMosaic(240, conditions) for _ in range(2))
    found = _paint_system(painted, system, 120, 120)
    for band, stamp in render(system, as_lens.optics, None).clean.items():
        as_lens.add(band, stamp, 120, 120)
        light = painted.images[band].sum(dtype=float)
        assert np.abs(painted.images[band] - as_lens.images[band]).max() < 1e-3 * as_lens.images[band].max()
        assert light == pytest.approx(as_lens.images[band].sum(dtype=float), rel=0.01)
        assert EUCLID[band].flux_ujy(light) == pytest.approx(found.flux_ujy[band], rel=0.15)


def test_a_tile_without_them_is_described_as_before():
    assert not {"n_arcless", "preset"} & TileSpec(tile_id="000000003", n_galaxies=1).model_dump().keys()


def test_a_complete_tile_is_kept_and_another_spec_refused(tile):
    root, files = tile
    before = files["BGSUB-MOSAIC-VIS"].stat().st_mtime_ns
    simulate_tile(SPEC, str(root))
    assert files["BGSUB-MOSAIC-VIS"].stat().st_mtime_ns == before
    with pytest.raises(SimulationError, match="belongs to a tile with another spec"):
        simulate_tile(SPEC.model_copy(update={"seed": 4}), str(root))


def test_a_damaged_leftover_file_is_an_error(tmp_path):
    spec = TileSpec(tile_id="000000007", n_galaxies=1, side_pixels=300)
    folder = tmp_path / "000000007"
    names = [uri.rsplit("/", 1)[1] for uri in simulate_tile(spec, str(tmp_path / "good"))]
    folder.mkdir()
    (folder / names[0]).write_bytes(b"half a file")
    with pytest.raises(SimulationError, match="exists with other content"):
        simulate_tile(spec, str(tmp_path))


def test_too_many_objects_are_refused(tmp_path):
    with pytest.raises(SimulationError, match="no room for object"):
        simulate_tile(TileSpec(tile_id="000000001", n_galaxies=0, n_single=9, side_pixels=300), str(tmp_path))


@pytest.mark.parametrize("change", [{"tile_id": "12"}, {"side_pixels": 100}, {"n_single": -1}])
def test_impossible_tiles_are_refused(change):
    with pytest.raises(ValidationError):
        TileSpec(**{"tile_id": "000000001", "n_galaxies": 1, **change})


def test_tiles_of_consecutive_numbers_do_not_touch():
    a, b = (TileSpec(tile_id=f"{n:09d}", n_galaxies=1).pointing for n in (700, 701))
    apart = np.hypot((a.ra_deg - b.ra_deg) * np.cos(np.radians(a.dec_deg)), a.dec_deg - b.dec_deg)
    assert apart > 1800 * 0.1 / 3600


@pytest.mark.parametrize("dec_deg", [-60.0, -30.0, 0.0, 59.94])
def test_largest_tiles_of_consecutive_numbers_just_do_not_touch(dec_deg):
    largest = largest_side_pixels(dec_deg)
    assert _widest_deg(dec_deg, largest) <= 0.6 < _widest_deg(dec_deg, largest + 2)


def _widest_deg(dec_deg, side):
    """Return the extent in right ascension of a tile whose edges are half a pixel outside its outer pixels."""
    edges = [-0.5, side - 0.5]
    ra, _ = Pointing(180.0, dec_deg, side).sky([x for x in edges for _ in edges], edges * 2)
    return np.ptp(ra)


@pytest.mark.parametrize(("tile_id", "side"), [("000000001", 10_751), ("000600000", 19_200)])
def test_tiles_of_any_size_that_fits_are_allowed(tile_id, side):
    assert TileSpec(tile_id=tile_id, n_galaxies=1, side_pixels=side).pointing.side_pixels == side


def test_tiles_that_would_overlap_are_refused():
    with pytest.raises(ValidationError, match=r"<= 10751 at the declination of tile 000000001, -60\.00 degrees.*got 10752"):
        TileSpec(tile_id="000000001", n_galaxies=1, side_pixels=10_752)
