"""The maps of a night's file are those of its rows, whichever plans they come from."""

import pyarrow.parquet as pq

from scanner.catalogue import night_file
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.night_file import wrong_night_files
from tests.scanner.catalogue_parts import NIGHT, finished


def test_maps_of_several_plans_belong_to_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(night_file, "ROWS_PER_GROUP", 2)
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9, 2: 0.6, 3: 0.95}, "b": {4: 0.7, 5: 0.65}}, maps_per_unit=2)
    finished(root, {"c": {6: 0.8, 7: 0.92}})
    finished(root, {"a": {1: 0.55, 2: 0.99, 3: 0.3}}, maps_per_unit=1)
    assert wrong_night_files(root, deep=True) == {}
    table = pq.read_table(f"{root}/candidates/{NIGHT}.parquet")
    assert table["object_id"].to_pylist() == [2, 7, 6, 4, 5, 1]
    has_map = {2: True, 7: False, 6: False, 4: True, 5: True, 1: False}
    for column in MAP_COLUMNS:
        for object_id, cells in zip(table["object_id"].to_pylist(), table[column.name].to_pylist(), strict=True):
            expected = [(object_id + k) % 100 for k in range(column.n_values)] if has_map[object_id] else None
            assert cells == expected


def test_a_night_without_maps_has_no_such_columns(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}})
    assert "map_guided" not in pq.read_schema(tmp_path / "candidates" / f"{NIGHT}.parquet").names
