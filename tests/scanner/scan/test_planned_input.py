"""The description of a plan's input."""

from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig, build_plan
from scanner.scan.planned_input import planned_input, unit_size
from scanner.vocabulary.geometry import MER_10
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, write_shard
from tests.tiles import write_tiles


def described(folder):
    return planned_input(build_plan(str(folder), NIGHT, EnsembleName(), ScanConfig()), MER_10)


def test_incomplete_tiles_are_named(tmp_path):
    write_tiles(tmp_path, 3, 4, n_pixels=220)
    for pattern in ("*MOSAIC*TILE000000001*", "*NIR-[YH]*TILE000000003*"):
        for path in tmp_path.glob(pattern):
            path.unlink()
    found = described(tmp_path)
    assert (found.unit_kind, found.units, found.rows, found.rows_in_overlaps) == ("tile", 2, 8, 0)
    assert [(tile.tile, tile.reason) for tile in found.tiles_left_out] == [("000000001", "no_mosaic")]
    assert (found.tiles_without_bands, found.rows_without_bands) == ({"000000003": ("Y", "H")}, 4)
    kept = [path for path in tmp_path.iterdir() if "TILE000000001" not in path.name]
    assert found.input_bytes == sum(path.stat().st_size for path in kept)


def test_objects_in_overlaps_count_once(tmp_path):
    write_shard(tmp_path / "a.parquet", [1, 2, 3])
    write_shard(tmp_path / "b.parquet", [3, 4])
    found = described(tmp_path)
    assert (found.unit_kind, found.units, found.rows, found.rows_in_overlaps) == ("shard", 2, 4, 1)
    assert (found.tiles_left_out, found.tiles_without_bands) == ((), {})


def test_a_catalogue_is_read_twice(tmp_path):
    write_tiles(tmp_path, 1, 4, n_pixels=220)
    (unit,) = find_units(str(tmp_path))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    catalogue = next(size for name, size in sizes.items() if "FINAL-CAT" in name)
    assert unit_size(unit) == (4, sum(sizes.values()) + catalogue, 0)
