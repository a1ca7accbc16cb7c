"""Files of another survey are found, read and checked as its description says."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from scanner.catalogue.find_units import find_input
from scanner.catalogue.selection import Selection
from scanner.catalogue.units import PlanError
from scanner.scan.scoring import CutoutScanner
from scanner.sources.cutouts import Cutout
from scanner.sources.survey import SurveyError, parse_survey, shipped_survey
from scanner.sources.tiles import TileError, discover_tiles, find_tiles, position_ids, read_tile_catalogue
from scanner.sources.tiles_at import tiles_at
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import RejectCode
from simulation.products.mer_files import Pointing, object_ids
from tests.other_survey import ATLAS, BANDS, N_PIXELS, TOML, write_survey, write_tile
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.scanner.tile_rows import tile_cutouts


def described(old, new):
    assert old in TOML
    return parse_survey(TOML.replace(old, new).encode(), "atlas")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    return folder, write_survey(folder)


def test_the_newest_files_of_each_tile_are_found(atlas):
    folder, written = atlas
    one, two = discover_tiles(str(folder)) or find_tiles(str(folder), survey=ATLAS).tiles
    assert [one.tile_id, two.tile_id] == ["N01-1", "N01-2"]
    assert {band: uri.rpartition("/")[2] for band, uri in one.mosaics.items()} == {
        band: f"atlas-N01,1-{of}-v2.fits" for band, of in BANDS.items()
    }
    ids, x, y = written["N01,1"]
    catalogue = read_tile_catalogue(one.catalogue, ATLAS)
    assert catalogue.object_ids.tolist() == ids.tolist()
    header = fits.getheader(one.mosaics["VIS"], "SCI")
    np.testing.assert_allclose(catalogue.positions(header, "x"), np.stack([x, y], axis=1), atol=0.02)


def test_candidates_are_not_named_after_euclid(atlas):
    unit = find_input(str(atlas[0]), survey=ATLAS).units[0]
    own = described('name = "sky-atlas"', 'name = "sky-atlas"\nacronym = "ATLAS"')
    for survey, word in ((ATLAS, "LENSSCAN"), (own, "ATLAS")):
        names = scanned(unit, CutoutScanner(MeanEnsemble()), survey=survey)["candidate_id"].to_pylist()
        assert {name.partition(" J")[0] for name in names} == {word}


def test_stamps_come_from_the_named_image_of_any_scale(atlas):
    """A band of 66 px of 0.3 arcsec on pixels of 0.2 arcsec keeps the flux of its field."""
    folder, written = atlas
    tile = find_tiles(str(folder), survey=ATLAS).tiles[0]
    rows = list(tile_cutouts(tile, read_tile_catalogue(tile.catalogue, ATLAS), CHALLENGE))
    _, x, y = written["N01,1"]
    for row, xi, yi in zip(rows, x, y, strict=True):
        assert isinstance(row, Cutout)
        for band in ("VIS", "H"):
            pixels = fits.getdata(tile.mosaics[band], "SCI").astype(float)
            window = pixels[yi - 50 : yi + 50, xi - 50 : xi + 50]
            if band == "H":
                # 19.8 arcsec of 20: half of the outer pixels.
                weights = np.ones(100)
                weights[[0, -1]] = 0.5
                window = window * weights * weights[:, None]
            assert row.stamps[band].sum(dtype=float) == pytest.approx(window.sum(), rel=1e-5)


def test_a_constant_pixel_scale_replaces_the_header(atlas):
    """With pixels of 0.25 arcsec, a stamp of 20 arcsec holds 80 of them."""
    folder, written = atlas
    wide = described('unit = "nJy"', "pixel_scale_arcsec = 0.25")
    tile = find_tiles(str(folder), survey=wide).tiles[0]
    _, x, y = written["N01,1"]
    pixels = fits.getdata(tile.mosaics["VIS"], "SCI").astype(float)
    for row, xi, yi in zip(tile_cutouts(tile, read_tile_catalogue(tile.catalogue, wide), CHALLENGE), x, y, strict=True):
        window = pixels[yi - 40 : yi + 40, xi - 40 : xi + 40]
        assert row.stamps["VIS"].sum(dtype=float) == pytest.approx(window.sum(), rel=1e-5)


def test_an_image_that_is_not_there_rejects_the_tile(atlas):
    folder, _ = atlas
    other = described('hdu = "SCI"', "hdu = 3")
    tile = find_tiles(str(folder), survey=other).tiles[0]
    rows = list(tile_cutouts(tile, read_tile_catalogue(tile.catalogue, other), CHALLENGE))
    assert {row.code for row in rows} == {RejectCode.MISSING_EXTENSION}
    assert rows[0].detail.endswith("no extension '3'; it has PRIMARY, SCI")


def test_positions_are_placed_by_the_named_image(atlas):
    folder, _ = atlas
    tiles = {tile.tile_id: tile.mosaics for tile in find_tiles(str(folder), survey=ATLAS).tiles}
    number, unread = tiles_at(tiles, np.array([10.0, 10.0, 10.0]), np.array([-20.0, -20.2, -30.0]), "SCI")
    assert (number.tolist(), unread) == ([0, 1, -1], {})


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_catalogues_may_be_other_tables(tmp_path, kind):
    folder = tmp_path / "tiles"
    ids, *_ = write_tile(folder, "A", -20.0, 3, first_id=2**60)
    path = next(folder.glob("*objects*"))
    wanted = read_tile_catalogue(str(path), ATLAS)
    table = fits.getdata(path)
    columns = {name: table[name].astype(table[name].dtype.newbyteorder("=")) for name in table.names}
    if kind == "parquet":
        pq.write_table(pa.table({name.upper(): array for name, array in columns.items()}), folder / "c.parquet")
    else:
        rows = zip(*(array.tolist() for array in columns.values()), strict=True)
        lines = [",".join(columns), *(",".join(map(repr, row)) for row in rows)]
        (folder / "c.csv").write_text("\n".join(lines))
    found = read_tile_catalogue(str(folder / f"c.{kind}"), ATLAS)
    assert found.object_ids.tolist() == ids.tolist()
    assert found.ra.tolist() == wanted.ra.tolist()
    assert found.dec.tolist() == wanted.dec.tolist()
    with pytest.raises(TileError, match=r"has no column objid; it has "):
        read_tile_catalogue(str(folder / f"c.{kind}"), described('id = "sourceId"', 'id = "objid"'))


@pytest.mark.parametrize(("described_unit", "needed"), [("rad", "radians"), ("deg", "degrees")])
@pytest.mark.parametrize("name", ["ra_rad", "dec_rad"])
def test_catalogues_of_another_unit_are_refused(tmp_path, described_unit, needed, name):
    write_tile(tmp_path, "A", -20.0, 3)
    (path,) = map(str, tmp_path.glob("*objects*"))
    survey = described('"dec_rad"\nunit = "rad"', f'"dec_rad"\nunit = "{described_unit}"')
    number = fits.getdata(path).names.index(name) + 1
    for unit in ("rad", "Radian", "DEG", "degrees", "hourangle", ""):
        fits.setval(path, f"TUNIT{number}", value=unit, ext=1)
        if unit[:3].lower() in {"", described_unit}:
            assert len(read_tile_catalogue(path, survey).ra) == 3
        else:
            says = f"column {name} has the unit {unit}; {needed} are needed, as .* catalogue.unit is {described_unit}"
            with pytest.raises(TileError, match=says):
                read_tile_catalogue(path, survey)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sourceId,ra_rad,dec_rad\n1.5,0,0\n", "sourceId must be one integer per row, got 0 nulls and type double"),
        ("sourceId,ra_rad,dec_rad\na,0,0\n", "sourceId must be one integer per row"),
        ("sourceId,ra_rad,dec_rad\n1,x,0\n", "ra_rad must be one number per row"),
        ("sourceId,ra_rad,dec_rad\n,0,0\n2,1,0\n", "sourceId must be one integer per row, got 1 nulls"),
        ("sourceId,ra_rad,dec_rad\n1,0,3\n", "in rad: 1 of 1 rows outside RA -360 to 360 and Dec -90 to 90 deg"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, says):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(TileError, match=says):
        read_tile_catalogue(str(tmp_path / "c.csv"), ATLAS)


def test_an_empty_coordinate_leaves_only_its_row_without_position(tmp_path):
    (tmp_path / "c.csv").write_text("sourceId,ra_rad,dec_rad\n1,,0\n2,1,0\n")
    found = read_tile_catalogue(str(tmp_path / "c.csv"), ATLAS)
    assert (found.object_ids.tolist(), found.has_position.tolist()) == ([1, 2], [False, True])


def test_a_condition_reads_the_columns_of_another_survey(atlas):
    folder, _ = atlas
    tiles = find_tiles(str(folder), survey=ATLAS).tiles
    dec_rad = [fits.getdata(tile.catalogue)["dec_rad"] for tile in tiles]
    middle = float(np.median(np.concatenate(dec_rad)))
    found = find_input(str(folder), Selection(where=f"dec_rad < {middle!r}"), ATLAS)
    assert [unit.n_selected for unit in found.units] == [int((dec < middle).sum()) for dec in dec_rad]


def test_ids_are_made_from_positions_as_euclid_makes_them(atlas):
    pointing = Pointing(269.7, -66.1, 500)
    x, y = np.random.default_rng(1).uniform(0, 500, (2, 50))
    assert position_ids(*pointing.sky(x, y)).tolist() == object_ids(pointing, x, y).tolist()
    assert position_ids(np.array([-1.0]), np.array([0.5])).tolist() == [3590000000 * 10**9 + 5000000]
    folder, _ = atlas
    without = described('id = "sourceId"\n', "")
    catalogue = read_tile_catalogue(find_tiles(str(folder), survey=without).tiles[0].catalogue, without)
    assert len(set(catalogue.object_ids.tolist())) == 3
    assert (catalogue.object_ids < 0).all()


def test_ids_made_from_positions_need_a_position_in_each_row(tmp_path):
    write_tile(tmp_path, "A", -20.0, 3)
    (path,) = tmp_path.glob("*objects*")
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["dec_rad"][1] = np.nan
    assert read_tile_catalogue(str(path), ATLAS).has_position.tolist() == [True, False, True]
    with pytest.raises(TileError, match=r"in rad: 1 of 3 rows without a finite position, the first row 2 \("):
        read_tile_catalogue(str(path), described('id = "sourceId"\n', ""))


def test_ids_within_a_tile_are_not_taken_for_overlaps(tmp_path):
    """The second of two tiles that number their objects would lose all of them."""
    write_tile(tmp_path, "A", -20.0, 3)
    write_tile(tmp_path, "B", -21.0, 3)
    with pytest.raises(
        SurveyError, match=r"atlas-A-objects-v2.fits and atlas-B-objects-v2.fits share the sourceId 0 of objects"
    ):
        find_input(str(tmp_path), survey=ATLAS)
    # Rows without a position tell nothing.
    (path,) = tmp_path.glob("atlas-A-objects*")
    with fits.open(path, mode="update") as hdus:
        dec_rad = hdus[1].data["dec_rad"].copy()
        hdus[1].data["dec_rad"][:2] = np.nan
    with pytest.raises(SurveyError, match="share the sourceId 2 of objects that lie apart"):
        find_input(str(tmp_path), survey=ATLAS)
    (other,) = tmp_path.glob("atlas-B-objects*")
    with fits.open(other, mode="update") as hdus:
        hdus[1].data["sourceId"][2] = 9
    units = find_input(str(tmp_path), survey=ATLAS).units
    assert [(unit.n_rows, unit.owned_elsewhere) for unit in units] == [(1, (0, 1)), (3, ())]
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["dec_rad"] = dec_rad
    found = find_input(str(tmp_path), survey=described('id = "sourceId"\n', ""))
    assert [unit.n_rows for unit in found.units] == [3, 3]
    write_tile(tmp_path, "B", -20.0 + N_PIXELS // 2 * 0.2 / 3600, 3)
    table = fits.getdata(tmp_path / "atlas-A-objects-v2.fits", 1)
    fits.BinTableHDU(table).writeto(tmp_path / "atlas-B-objects-v2.fits", overwrite=True)
    overlapping = find_input(str(tmp_path), survey=ATLAS)
    assert [(unit.n_rows, len(unit.owned_elsewhere)) for unit in overlapping.units] == [(3, 0), (0, 3)]


def test_files_of_other_bands_make_no_tile(tmp_path):
    for name in ("DES0001-0001_r4969p01_g.fits.fz", "DES0001-0001_r4969p01_r.fits.fz", "DES0002-0002_r4969p01_g.fits.fz"):
        (tmp_path / name).touch()
    found = find_tiles(str(tmp_path), survey=shipped_survey("des-dr2"))
    assert (found.tiles, found.without_catalogue) == ([], {"DES0001-0001": ("VIS",)})


def test_names_that_would_be_one_unit_are_refused(tmp_path):
    for name in ("A,1", "A-1"):
        (tmp_path / f"atlas-{name}-r-v1.fits").touch()
    with pytest.raises(TileError, match=r"would be named A-1"):
        find_tiles(str(tmp_path), survey=ATLAS)


def test_a_folder_without_such_names_says_what_it_holds(tmp_path):
    for name in ("b.fits", "a.fits", "d.fits", "c.fits"):
        (tmp_path / name).touch()
    says = (
        "no file of survey sky-atlas is named like atlas-{tile}-{band}-v{version}.fits with band r or i or z or y; "
        "it holds a.fits, b.fits, c.fits ..."
    )
    with pytest.raises(PlanError, match=re.escape(says)):
        find_input(str(tmp_path), survey=ATLAS)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "atlas-{tile}-{band}",
            "ATLAS-{tile}-{band}",
            "(no mosaic); no file of survey sky-atlas is named like ATLAS-{tile}-{band}-v{version}.fits with band r or i or z",
        ),
        ("-objects-", "-sources-", "no catalogue named atlas-N01-1-sources-v{version}.fits; it holds atlas-N01,1-objects-v"),
    ],
)
def test_a_wrong_pattern_is_shown_with_names_that_are_there(atlas, old, new, says):
    with pytest.raises(PlanError, match=re.escape(says)):
        find_input(str(atlas[0]), survey=described(old, new))
