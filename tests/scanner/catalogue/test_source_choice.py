"""Sources of tiles are chosen as brute force on the tables chooses them, and the plan keeps the choice."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from scanner.catalogue.find_units import find_input, find_units
from scanner.catalogue.plan import ScanConfig, build_plan, encode_plan, freeze, load_plan
from scanner.catalogue.selection import Circle, Selection
from scanner.catalogue.units import LeftOut, LeftOutReason, PlanError, id_digest
from scanner.sources.condition_words import ConditionError
from scanner.sources.object_tables import ManifestError
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, write_shard
from tests.scanner.healpix import cell_of
from tests.scanner.source_tables import add_columns, catalogue_of, write_mer_tile
from tests.tiles import write_tile

N = 40
CONDITION = "flux_vis_psf > 1 and spurious_flag = 0"


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two tiles that overlap: their last sources have the same ids."""
    folder = tmp_path_factory.mktemp("survey")
    for tile in (1, 2):
        write_mer_tile(folder, tile, N, n_pixels=210)
    with fits.open(catalogue_of(folder, 2), mode="update") as hdus:
        with fits.open(catalogue_of(folder, 1)) as others:
            for name in hdus[1].columns.names:
                hdus[1].data[name][-5:] = others[1].data[name][-5:]
        hdus[1].add_checksum()
    return folder


def tables(folder):
    return [fits.getdata(catalogue_of(folder, tile), 1) for tile in (1, 2)]


def selected_ids(folder, unit):
    """Return the ids that a plan selects, as a worker finds them."""
    table = fits.getdata(unit.files["catalogue"].uri, 1)
    own = table["OBJECT_ID"][~np.isin(table["OBJECT_ID"], unit.owned_elsewhere)]
    return own[unit.selected.mask(unit.n_rows)].tolist()


def test_a_condition_selects_what_numpy_selects(survey):
    first, second = find_units(str(survey), Selection(where=f" FLUX_VIS_PSF  >1 AND {CONDITION}"))
    assert (second.n_rows, len(second.owned_elsewhere)) == (N - 5, 5)
    for unit, table in zip((first, second), tables(survey), strict=True):
        meets = np.isfinite(table["FLUX_VIS_PSF"]) & (table["FLUX_VIS_PSF"] > 1) & (table["SPURIOUS_FLAG"] == 0)
        expected = table["OBJECT_ID"][meets & ~np.isin(table["OBJECT_ID"], unit.owned_elsewhere)]
        assert selected_ids(survey, unit) == expected.tolist()
        assert 0 < unit.n_selected == len(expected) < unit.n_rows == unit.n_selected + unit.n_skipped
        assert unit.selected.id_digest == id_digest(expected)


def write_targets(path, ra, dec):
    lines = [f"{name},{x:.9f},{y:.9f}" for name, x, y in zip("abcdefgh", ra, dec, strict=False)]
    path.write_text("\n".join(["name,ra,dec", *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize("where", [None, CONDITION])
def test_targets_select_their_nearest_sources(survey, tmp_path, where):
    one, two = tables(survey)
    rows = [0, 7, N - 1]
    ra = [*one["RIGHT_ASCENSION"][rows] + 2e-4, two["RIGHT_ASCENSION"][3], 100.0, 10.0]
    dec = [*one["DECLINATION"][rows], two["DECLINATION"][3] - 2e-4, 2.0, 80.0]
    chosen = Selection(where=where, targets_uri=write_targets(tmp_path / "t.csv", ra, dec), match_radius_arcsec=1.5)
    found = find_input(str(survey), chosen)
    expected = set()
    whole = np.concatenate([one, two])
    meets = np.isfinite(whole["FLUX_VIS_PSF"]) & (whole["FLUX_VIS_PSF"] > 1) & (whole["SPURIOUS_FLAG"] == 0)
    table = whole[meets] if where else whole
    sky = SkyCoord(table["RIGHT_ASCENSION"], table["DECLINATION"], unit="deg")
    for x, y in zip(ra, dec, strict=True):
        separations = sky.separation(SkyCoord(x, y, unit="deg")).arcsec
        if separations.min() <= 1.5:
            expected.add(int(table["OBJECT_ID"][separations.argmin()]))
    ids = [object_id for unit in found.units for object_id in selected_ids(survey, unit)]
    assert sorted(ids) == sorted(expected)
    assert len(ids) > 1
    assert (found.unmatched.n_targets, found.unmatched.n) == (6, 6 - len(expected))
    assert found.unmatched.examples[-2:] == ("e", "f")


def test_a_tile_without_a_target_is_not_planned(survey, tmp_path):
    two = tables(survey)[1]
    uri = write_targets(tmp_path / "t.csv", two["RIGHT_ASCENSION"][:2], two["DECLINATION"][:2])
    (unit,) = find_units(str(survey), Selection(targets_uri=uri))
    assert (unit.unit_id, unit.n_rows, unit.n_selected, unit.owned_elsewhere) == ("000000002", N, 2, ())
    away = write_targets(tmp_path / "away.csv", [100.0], [0.0])
    with pytest.raises(PlanError, match=r"--targets: no source lies within 1 arcsec of any of 1 targets$"):
        find_units(str(survey), Selection(targets_uri=away))


def test_a_target_in_an_overlap_needs_one_tile(survey, tmp_path):
    one = tables(survey)[0]
    uri = write_targets(tmp_path / "t.csv", one["RIGHT_ASCENSION"][-1:], one["DECLINATION"][-1:])
    (unit,) = find_units(str(survey), Selection(targets_uri=uri))
    assert (unit.unit_id, selected_ids(survey, unit)) == ("000000001", [int(one["OBJECT_ID"][-1])])


def test_a_source_measured_twice_is_selected_where_it_is_owned(survey, tmp_path):
    """The second tile puts the source closer to its target, but the first tile owns it, and has another target."""
    folder = shutil.copytree(survey, tmp_path / "tiles")
    with fits.open(catalogue_of(folder, 2), mode="update") as hdus:
        hdus[1].data["DECLINATION"][-1] += 0.01 / 3600
        hdus[1].add_checksum()
    one, two = tables(folder)
    ra, dec = ([one[name][0], two[name][-1]] for name in ("RIGHT_ASCENSION", "DECLINATION"))
    found = find_input(str(folder), Selection(targets_uri=write_targets(tmp_path / "t.csv", ra, dec)))
    ids = [object_id for unit in found.units for object_id in selected_ids(folder, unit)]
    assert sorted(ids) == sorted(int(one["OBJECT_ID"][row]) for row in (0, -1))
    assert found.unmatched.n == 0


def inside(table, order, cells):
    """Return which sources lie in cells of one order, one by one."""
    places = zip(table["RIGHT_ASCENSION"], table["DECLINATION"], strict=True)
    return np.array([cell_of(*place, order) in cells for place in places])


def write_area(folder, table, order, n_of_row=1):
    """Write the cells that hold every `n_of_row`-th source of a table; return the path and the cells."""
    cells = {cell_of(*place, order) for place in zip(table["RIGHT_ASCENSION"], table["DECLINATION"], strict=True)}
    cells = set(sorted(cells)[::n_of_row])
    path = folder / "area.moc"
    path.write_text(f"{order}/" + " ".join(map(str, cells)))
    return str(path), cells


@pytest.mark.parametrize("where", [None, CONDITION])
def test_an_area_selects_the_sources_inside_it(survey, tmp_path, where):
    """Every other cell of 1.6 arcsec with sources of the first tile, five of which are sources of the second, too."""
    one, two = tables(survey)
    uri, cells = write_area(tmp_path, one, 17, 2)
    found = find_input(str(survey), Selection(where=where, moc_uri=uri))
    assert [unit.n_rows for unit in found.units] == [N, N - 5]
    for unit, table in zip(found.units, (one, two), strict=True):
        chosen = inside(table, 17, cells)
        if where:
            chosen &= np.isfinite(table["FLUX_VIS_PSF"]) & (table["FLUX_VIS_PSF"] > 1) & (table["SPURIOUS_FLAG"] == 0)
        expected = table["OBJECT_ID"][chosen & ~np.isin(table["OBJECT_ID"], unit.owned_elsewhere)]
        assert selected_ids(survey, unit) == expected.tolist()
        assert unit.n_selected == len(expected) == unit.n_rows - unit.n_skipped
    assert 0 < found.units[0].n_selected < N
    assert found.units[1].n_selected == 0


@pytest.mark.parametrize("by", ["targets", "area"])
def test_a_source_without_a_position_is_not_selected(survey, tmp_path, by):
    folder = shutil.copytree(survey, tmp_path / "tiles")
    one = tables(survey)[0]
    with fits.open(catalogue_of(folder, 1), mode="update") as hdus:
        hdus[1].data["RIGHT_ASCENSION"][2] = np.nan
        hdus[1].add_checksum()
    if by == "area":
        chosen = Selection(moc_uri=write_area(tmp_path, one, 17)[0])
        expected = np.delete(one["OBJECT_ID"], 2)
    else:
        places = [one[name][1:4] for name in ("RIGHT_ASCENSION", "DECLINATION")]
        chosen = Selection(targets_uri=write_targets(tmp_path / "t.csv", *places), match_radius_arcsec=0.01)
        expected = one["OBJECT_ID"][[1, 3]]
    unit = find_units(str(folder), chosen)[0]
    assert (unit.n_rows, selected_ids(folder, unit)) == (N, expected.tolist())


@pytest.mark.parametrize("everywhere", [False, True])
def test_an_object_belongs_to_the_tile_that_has_its_position(survey, tmp_path, everywhere):
    folder = shutil.copytree(survey, tmp_path / "tiles")
    for tile in (1, 2) if everywhere else (1,):
        with fits.open(catalogue_of(folder, tile), mode="update") as hdus:
            hdus[1].data["DECLINATION"][-3] = np.nan
            hdus[1].add_checksum()
    shared = tables(folder)[0]["OBJECT_ID"][-5:].tolist()
    first, second = find_units(str(folder))
    owned_by_second = [] if everywhere else [shared[2]]
    assert list(first.owned_elsewhere) == owned_by_second
    assert set(second.owned_elsewhere) == {*shared} - {*owned_by_second}
    assert first.n_rows + second.n_rows == 2 * N - 5


def test_a_tile_outside_the_area_is_not_planned(survey, tmp_path):
    two = tables(survey)[1][:-5]
    uri, cells = write_area(tmp_path, two, 13)
    assert not inside(tables(survey)[0], 13, cells).any()
    (unit,) = find_units(str(survey), Selection(moc_uri=uri))
    assert (unit.unit_id, unit.owned_elsewhere) == ("000000002", ())
    assert unit.n_selected == inside(tables(survey)[1], 13, cells).sum() >= N - 5
    (tmp_path / "far.moc").write_text("3/0")
    far = str(tmp_path / "far.moc")
    with pytest.raises(PlanError, match=rf"no tile has a source inside the MOC {far}$"):
        find_units(str(survey), Selection(moc_uri=far))
    circle = Circle(ra_deg=10, dec_deg=-80, radius_deg=0.1)
    with pytest.raises(PlanError, match=rf"no tile has a source within 0\.1 deg of .* and one inside the MOC {uri}$"):
        find_units(str(survey), Selection(circle=circle, moc_uri=uri))


def test_a_target_has_the_nearest_source_inside_the_area(survey, tmp_path):
    one = tables(survey)[0]
    sky = SkyCoord(one["RIGHT_ASCENSION"], one["DECLINATION"], unit="deg")
    nearest, separation, _ = sky.match_to_catalog_sky(sky, nthneighbor=2)
    row = int(separation.argmin())
    uri, cells = write_area(tmp_path, one[nearest[row] : nearest[row] + 1], 24)
    assert not inside(one, 24, cells)[row]
    targets = write_targets(tmp_path / "t.csv", one["RIGHT_ASCENSION"][[row]], one["DECLINATION"][[row]])
    chosen = Selection(targets_uri=targets, moc_uri=uri, match_radius_arcsec=30)
    (unit,) = find_units(str(survey), chosen)
    assert selected_ids(survey, unit) == [int(one["OBJECT_ID"][nearest[row]])]
    with pytest.raises(PlanError, match=r"--targets: no source inside the MOC lies within 0\.001 arcsec of any of 1 targets$"):
        find_units(str(survey), chosen.model_copy(update={"match_radius_arcsec": 0.001}))


def test_the_plan_changes_with_the_area_not_with_its_file(survey, tmp_path):
    uri, cells = write_area(tmp_path, tables(survey)[0], 13)
    again = tmp_path / "elsewhere.json"
    again.write_text(json.dumps({"13": sorted(cells), "17": [min(cells) << 8]}))
    larger = [tmp_path / "larger.moc", tmp_path / "as_large.moc"]
    for i, path in enumerate(larger):
        path.write_text(f"13/{' '.join(map(str, cells))} 3/{i}")
    without, plan, same, other, third = (plan_with(survey, moc_uri=path) for path in (None, uri, str(again), *map(str, larger)))
    assert plan == same
    assert len({found.plan_id for found in (without, plan, other, third)}) == 4
    # The larger areas have the same sources: the plan says what was asked for.
    assert plan.units == other.units == third.units
    assert str(plan.sources) == f"inside a MOC of {len(cells) * 41252.96125 / (12 << 26):.3g} square degrees"
    assert str(other.sources) == "inside a MOC of 53.7 square degrees"
    area = plan_with(survey, where="true", moc_uri=uri).sources
    assert str(area) == f"true, {plan.sources}"
    Path(uri).unlink()
    freeze(plan, str(tmp_path))
    loaded = load_plan(str(tmp_path), plan.plan_id)
    assert (loaded.units, loaded.sources) == (plan.units, plan.sources)


def test_plans_without_an_area_keep_their_bytes(survey):
    """Plans of earlier versions had no such field."""
    stored = json.loads(encode_plan(plan_with(survey, where="true")))
    assert stored["sources"] == {"where": "true", "targets": None}


def plan_with(folder, **selection):
    return build_plan(str(folder), NIGHT, EnsembleName(), ScanConfig(), Selection(**selection))


def test_the_plan_freezes_the_condition_and_the_targets(survey, tmp_path):
    two = tables(survey)[1]
    uri = write_targets(tmp_path / "t.csv", two["RIGHT_ASCENSION"][:2], two["DECLINATION"][:2])
    plans = [
        plan_with(survey),
        plan_with(survey, where=CONDITION),
        plan_with(survey, where="true"),
        plan_with(survey, where=CONDITION.upper().replace(" AND ", "\n and  ")),
        plan_with(survey, targets_uri=uri),
        plan_with(survey, targets_uri=uri, match_radius_arcsec=2.0),
        plan_with(survey, columns=("name",)),
        plan_with(survey, columns=()),
    ]
    assert plans[3] == plans[1]
    assert len({plan.plan_id for plan in plans}) == 7
    assert str(plans[1].sources) == CONDITION
    digest = hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest()
    assert plans[4].sources.targets.model_dump() == {"sha256": digest, "n_targets": 2, "radius_arcsec": 1.0}
    (tmp_path / "t.csv").unlink()
    freeze(plans[4], str(tmp_path))
    assert load_plan(str(tmp_path), plans[4].plan_id).units == plans[4].units


def test_columns_have_one_type_in_all_tiles(tmp_path):
    for tile, kind in ((1, np.float32), (2, np.float64), (3, None)):
        write_tile(tmp_path, tile, 3, n_pixels=210)
        if kind is not None:
            add_columns(catalogue_of(tmp_path, tile), {"Flux": np.arange(3).astype(kind)}, units={"Flux": "uJy"})
    add_columns(catalogue_of(tmp_path, 3), {"KRON_RADIUS": np.arange(3, dtype=np.int16)})
    asked, default = plan_with(tmp_path, columns=("kron_radius", "flux")), plan_with(tmp_path)
    assert [(c.name, c.type, c.unit) for c in asked.columns] == [("kron_radius", "int16", ""), ("flux", "double", "uJy")]
    assert [column.name for column in default.columns] == ["kron_radius"]
    add_columns(catalogue_of(tmp_path, 3), {"FLUX": np.array(["a", "b", "c"])})
    with pytest.raises(PlanError, match=r"--columns: the catalogues of the tiles do not fit together: .*flux"):
        plan_with(tmp_path, columns=("flux",))


def test_a_column_of_arrays_is_not_carried(tmp_path):
    write_tile(tmp_path, 1, 3, n_pixels=210)
    path = catalogue_of(tmp_path, 1)
    with fits.open(path) as hdus:
        arrays = fits.Column("KRON_RADIUS", "2E", array=np.zeros((3, 2)))
        table = fits.BinTableHDU.from_columns([*hdus[1].columns, arrays])
    table.writeto(path, overwrite=True)
    assert plan_with(tmp_path).columns == ()
    with pytest.raises(PlanError, match="no tile's catalogue has a column kron_radius with one value a row"):
        plan_with(tmp_path, columns=("kron_radius",))


def test_a_tile_that_lacks_a_column_is_left_out(tmp_path):
    write_mer_tile(tmp_path, 1, 5, n_pixels=210)
    write_tile(tmp_path, 2, 5, n_pixels=210)
    add_columns(catalogue_of(tmp_path, 2), {"FLUX_VIS_PSFX": np.arange(5.0)})
    found = find_input(str(tmp_path), Selection(where="flux_vis_psf > 0"))
    assert [unit.unit_id for unit in found.units] == ["000000001"]
    detail = "no column flux_vis_psf (did you mean flux_vis_psfx?)"
    assert found.left_out == (LeftOut(tile="000000002", reason=LeftOutReason.LACKS_COLUMNS, detail=detail),)
    for path in tmp_path.glob("*TILE000000001*"):
        path.unlink()
    with pytest.raises(PlanError, match=r"--where: the catalogue of tile 000000002 has no column flux_vis_psf \(did you"):
        find_input(str(tmp_path), Selection(where="flux_vis_psf > 0"))


@pytest.mark.parametrize(
    ("selection", "error", "says"),
    [
        ({"where": "flux_vis_psf"}, ConditionError, "must be true or false for each source"),
        ({"where": "name > 1"}, ConditionError, "compares two numbers or two texts"),
        ({"where": "flux >"}, ConditionError, "does not expect its end"),
        ({"where": "lens-hosts"}, PlanError, "has no column vis_det"),
        ({"columns": ("nam",)}, PlanError, r"--columns: no tile's catalogue has a column nam \(did you mean name"),
        ({"targets_uri": "nosuch.csv"}, ManifestError, "positions nosuch.csv"),
        ({"moc_uri": "nosuch.moc"}, ManifestError, "MOC nosuch.moc: no such file"),
    ],
)
def test_a_selection_that_cannot_be_used_is_explained(survey, selection, error, says):
    with pytest.raises(error, match=says) as found:
        find_units(str(survey), Selection(**selection))
    assert "\n" not in str(found.value)


def test_shards_have_no_columns_to_select_by(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2])
    for chosen in ({"where": "a > 1"}, {"columns": ("a",)}):
        with pytest.raises(PlanError, match="holds no Euclid MER tiles, so neither tiles nor sources"):
            find_units(str(tmp_path), Selection(**chosen))
    (unit,) = find_units(str(tmp_path), Selection(columns=()))
    assert (unit.selected, unit.n_selected) == (None, 2)
