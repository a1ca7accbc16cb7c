"""Check that inputs become units, and that each id has one owner."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from infra.store.removal import remove
from infra.store.replacement import replace
from infra.store.storage import StorageError, create_if_absent, info, list_files
from scanner.catalogue import find_units as module
from scanner.catalogue.find_units import _owned, _UnitInput, find_input, find_units, list_tiles
from scanner.catalogue.plan import ScanConfig, build_plan, make_plan
from scanner.catalogue.unit_inputs import shard_file_objects
from scanner.catalogue.units import PlanError, id_digest
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, write_shard
from tests.tiles import write_tile, write_tiles

IDS = st.integers(-(2**63), 2**63 - 1)


def test_shards_become_units_with_their_rows(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "deep" / "b.parquet", [4])
    units = find_units(str(tmp_path))
    assert [(u.unit_id, u.kind, u.n_rows, u.id_digest) for u in units] == [
        ("a", "shard", 3, id_digest([1, 2, 3])),
        ("deep-b", "shard", 1, id_digest([4])),
    ]
    assert units[0].files["shard"].uri == str(tmp_path / "a.parquet")


def test_tiles_become_units_with_their_files(tmp_path):
    write_tiles(tmp_path, 2, 3)
    units = find_units(str(tmp_path))
    assert [u.kind for u in units] == ["tile", "tile"]
    assert set(units[0].files) == {"VIS", "Y", "J", "H", "catalogue"}
    sizes = {file.uri: file.size for unit in units for file in unit.files.values()}
    assert sizes == {file.uri: Path(file.uri).stat().st_size for file in list_files(str(tmp_path), ".fits")}


def test_an_object_in_two_files_belongs_to_the_first(tmp_path):
    write_shard(tmp_path / "b.parquet", [3, 4, 2])
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "c.parquet", [4])
    units = find_units(str(tmp_path))
    assert [u.owned_elsewhere for u in units] == [(), (2, 3), (4,)]
    assert [(u.n_rows, u.id_digest) for u in units] == [(3, id_digest([1, 2, 3])), (1, id_digest([4])), (0, id_digest([]))]


UNITS = st.tuples(st.integers(1, 4), st.dictionaries(st.integers(0, 30), st.booleans(), max_size=12))


@given(st.lists(UNITS, min_size=1, max_size=8))
def test_each_id_belongs_to_the_unit_that_fits_best(units):
    """A unit is its number of bands and `{id: whether it has a position}`."""
    expected = []
    for i, (n_bands, unit) in enumerate(units):
        is_own = []
        for object_id, has_position in unit.items():
            ranks = [(other[object_id], n, -k) for k, (n, other) in enumerate(units) if object_id in other]
            is_own.append(max(ranks) == (has_position, n_bands, -i))
        expected.append(is_own)
    inputs = [
        _UnitInput(
            *("", "tile", dict.fromkeys(["VIS", "Y", "J", "H"][:n_bands]), np.array([*unit], np.int64)),
            None if all(unit.values()) else np.array([*unit.values()]),
        )
        for n_bands, unit in units
    ]
    assert [mask.tolist() for mask in _owned(inputs)] == expected


def test_an_overlap_belongs_to_the_tile_with_all_bands(tmp_path):
    write_tiles(tmp_path, 2, 3)
    shutil.copy(catalogue_of(tmp_path, "000000001"), catalogue_of(tmp_path, "000000002"))
    whole = find_units(str(tmp_path))
    assert [unit.n_rows for unit in whole] == [3, 0]
    next(tmp_path.glob("*NIR-H*TILE000000001*")).unlink()
    assert [unit.n_rows for unit in find_units(str(tmp_path))] == [0, 3]
    # With equal bands, the first tile owns the objects.
    next(tmp_path.glob("*NIR-H*TILE000000002*")).unlink()
    assert [unit.n_rows for unit in find_units(str(tmp_path))] == [3, 0]


def test_plans_of_overlapping_complete_tiles_keep_their_ids(tmp_path, monkeypatch):
    """The id was written down before tiles with all bands came first."""
    monkeypatch.setattr("scanner.catalogue.plan.code_version", lambda: "0")
    write_tiles(tmp_path, 2, 3)
    shutil.copy(catalogue_of(tmp_path, "000000001"), catalogue_of(tmp_path, "000000002"))
    units = []
    for unit in find_units(str(tmp_path)):
        files = {role: f.model_copy(update={"uri": role, "etag": f"10000000000-{f.size:x}"}) for role, f in unit.files.items()}
        units.append(unit.model_copy(update={"files": files}))
    assert [len(unit.owned_elsewhere) for unit in units] == [0, 3]
    assert (
        make_plan(NIGHT, EnsembleName(), ScanConfig(), units).plan_id
        == "596f00a207e9bb7ac61fe66740a53dfaf206c67f80e33a2b93027014be47d88e"
    )


def test_an_object_twice_in_one_file_is_refused(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 7, 7])
    with pytest.raises(PlanError, match=r"a\.parquet: .*1 repeated object id\(s\), such as 7"):
        find_units(str(tmp_path))


@pytest.mark.fault(31)
def test_nothing_to_scan_and_no_shard_are_refused(tmp_path):
    with pytest.raises(PlanError, match=r"/euclid-q1: does not exist; did you mean --release q1\?$"):
        find_input(str(tmp_path / "euclid-q1"))
    with pytest.raises(PlanError, match=r"absent: does not exist$"):
        find_units(str(tmp_path / "absent"))
    with pytest.raises(PlanError, match="holds neither"):
        find_units(str(tmp_path))
    (tmp_path / "x.parquet").write_bytes(b"not Parquet")
    with pytest.raises(PlanError, match=r"x\.parquet: not a readable shard"):
        find_units(str(tmp_path))


def test_a_file_is_no_input_of_a_scan(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("object_id,VIS\n1,a.fits\n")
    with pytest.raises(PlanError, match=r"list\.csv: is a file, not a folder of tiles or shards; `lensscan score` takes"):
        find_units(str(path))


def test_an_absent_prefix_and_an_object_are_told_apart(s3, tmp_path):
    create_if_absent(f"{s3}/list.csv", b"object_id", "test")
    for uri, says in ((f"{s3}/absent", "does not exist"), (f"{s3}/list.csv", "is a file, not a folder of tiles")):
        with pytest.raises(PlanError, match=says):
            find_units(uri)


def test_a_tile_without_mosaics_is_left_out_and_named(tmp_path):
    """Objects that it shares with another tile belong to the other."""
    write_tiles(tmp_path, 3, 3)
    for path in tmp_path.glob("*MOSAIC*TILE000000002*"):
        path.unlink()
    first = next(tmp_path.glob("*FINAL-CAT*TILE000000001*"))
    shutil.copy(first, tmp_path / first.name.replace("TILE000000001", "TILE000000000"))
    next(tmp_path.glob("*NIR-H*TILE000000003*")).unlink()
    found = find_input(str(tmp_path))
    assert [(tile.tile, tile.reason) for tile in found.left_out] == [("000000000", "no_mosaic"), ("000000002", "no_mosaic")]
    assert [(unit.unit_id, unit.n_rows, unit.owned_elsewhere) for unit in found.units] == [
        ("000000001", 3, ()),
        ("000000003", 3, ()),
    ]
    assert build_plan(str(tmp_path), NIGHT, EnsembleName(), ScanConfig()).left_out == found.left_out


def catalogue_of(folder, tile):
    return next(folder.glob(f"*FINAL-CAT*TILE{tile}*"))


def test_tiles_without_a_usable_catalogue_are_left_out_with_reasons(tmp_path):
    """One catalogue is missing, one is cut short, and one holds an object twice."""
    write_tiles(tmp_path, 4, 3)
    catalogue_of(tmp_path, "000000001").unlink()
    path = catalogue_of(tmp_path, "000000002")
    path.write_bytes(path.read_bytes()[:3000])
    path = catalogue_of(tmp_path, "000000003")
    table = Table.read(path)
    table["OBJECT_ID"][1] = table["OBJECT_ID"][0]
    table.write(path, overwrite=True)
    found = find_input(str(tmp_path))
    assert [unit.unit_id for unit in found.units] == ["000000004"]
    assert [(tile.tile, tile.reason) for tile in found.left_out] == [
        ("000000001", "no_catalogue"),
        ("000000002", "unreadable_catalogue"),
        ("000000003", "unreadable_catalogue"),
    ]
    details = [tile.detail for tile in found.left_out]
    assert details[0] == "no catalogue named EUC_MER_FINAL-CAT_TILE000000001-..."
    assert "cannot be read" in details[1]
    assert "1 repeated object id(s), such as" in details[2]


@pytest.mark.fault(31)
def test_a_store_that_fails_leaves_no_tile_out(tmp_path, monkeypatch):
    """A tile that is left out for a failure that passes would be lost."""
    write_tiles(tmp_path, 2, 3)

    def fails(uri, *_):
        raise StorageError(f"{uri}: 503")

    monkeypatch.setattr(module, "read_tile_catalogue", fails)
    with pytest.raises(PlanError, match=r"tile 000000001: its catalogue cannot be read: .*503"):
        find_input(str(tmp_path))


@pytest.mark.parametrize("place", ["path", pytest.param("s3", marks=pytest.mark.server)])
@pytest.mark.parametrize("change", ["other ids", "no table", "gone"])
def test_a_catalogue_that_changes_after_its_listing_is_no_plan(tmp_path, request, place, change):
    """Units name the listed versions of their files, so ids of another version would make a wrong plan."""
    folder = tmp_path / "tiles"
    write_tiles(folder, 2, 3)
    root = str(folder)
    if place == "s3":
        root = f"{request.getfixturevalue('s3')}/tiles"
        for path in folder.iterdir():
            create_if_absent(f"{root}/{path.name}", path.read_bytes(), "1")
    listed = list_tiles(root)
    uri = listed.tiles[1].catalogue
    remove(info(uri))
    if change != "gone":
        write_tile(tmp_path / "other", 2, 4, seed=9)
        table = catalogue_of(tmp_path / "other", "000000002").read_bytes()
        replace(uri, table if change == "other ids" else b"no table")
    says = {"path": "was replaced|changed while|cannot be read", "s3": "changed while|cannot be read"}[place]
    with pytest.raises(PlanError, match=f"^tile 000000002: its catalogue .*({says})"):
        find_input(root, listed=listed)
    if change != "gone":
        assert {unit.unit_id: unit.n_rows for unit in find_input(root).units}["000000001"] == 3


def test_a_shard_that_changes_after_its_listing_is_no_plan(tmp_path, monkeypatch):
    write_shard(tmp_path / "a.parquet", [1, 2, 3])

    def read(uri):
        write_shard(tmp_path / "a.parquet", [4, 5])
        return shard_file_objects(uri)

    monkeypatch.setattr(module, "shard_file_objects", read)
    with pytest.raises(PlanError, match=r"a\.parquet: was replaced while the input was planned; plan again$"):
        find_units(str(tmp_path))


def test_tiles_that_all_lack_mosaics_are_refused(tmp_path):
    write_tiles(tmp_path, 2, 3)
    for path in tmp_path.glob("*MOSAIC*"):
        path.unlink()
    with pytest.raises(PlanError, match=r"none of 2 tiles can be scanned, such as 000000001 \(no mosaic\), 0+2 \(no mosaic\)$"):
        find_units(str(tmp_path))
