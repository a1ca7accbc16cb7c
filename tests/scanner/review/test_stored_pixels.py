"""Pixels of chosen candidates against a read of all maps."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.query import query
from scanner.catalogue.seal import seal
from scanner.catalogue.visible import VisibleError
from scanner.catalogue.wanted import Wanted
from scanner.review.candidate import pixels_of
from scanner.review.stored_pixels import stored_pixels
from tests.scanner.catalogue_parts import finished


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue with maps of four of five candidates of a tile, and of two of another; the files have many groups."""
    root = str(tmp_path_factory.mktemp("pixels") / "catalogue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.candidates.ROWS_PER_GROUP", 2)
        finished(root, {"a": {i: 0.99 - i / 100 for i in range(5)}, "b": {10: 0.985, 11: 0.6}}, maps_per_unit=4)
        finished(root, {"c": {1: 0.9}}, night="2026-11-25", maps_per_unit=1)
    return root


def check(root, rows):
    """Check that each row with maps comes once with the pixels that its own plan stores."""
    stored = query(root, Wanted(all_plans=True), maps=True).to_pylist()
    expected = {(row["plan_id"], row["object_id"]): pixels_of(row) for row in stored}
    keys = list(zip(*(rows[name].to_pylist() for name in ("plan_id", "object_id")), strict=True))
    found = dict(stored_pixels(root, rows))
    assert {keys[i] for i in found} == {key for key in keys if expected[key] is not None}
    for i, pixels in found.items():
        for name in ("rgb", "guided", "occlusion"):
            assert np.array_equal(getattr(pixels, name), getattr(expected[keys[i]], name))
    return found


def test_all_rows_and_a_few_have_their_pixels(root):
    rows = query(root)
    assert len(check(root, rows)) == 7
    assert len(check(root, rows.take(pa.array([6, 0, 3])))) >= 2
    assert check(root, rows.filter(pc.equal(rows["object_id"], 4))) == {}
    assert check(root, rows.slice(0, 0)) == {}


def test_units_have_the_pixels_of_an_unsealed_plan(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.8}, "b": {3: 0.7}}, maps_per_unit=1)
    rows = query(root, Wanted(all_plans=True))
    expected = dict(stored_pixels(root, rows))
    for path in [*tmp_path.rglob("*.candidates"), *(tmp_path / "catalogue" / "_scan" / "seals").iterdir()]:
        path.unlink()
    found = dict(stored_pixels(root, rows))
    assert {i: pixels.guided.tolist() for i, pixels in found.items()} == {i: p.guided.tolist() for i, p in expected.items()}
    for path in tmp_path.rglob("b.unit"):
        path.unlink()
    assert len(dict(stored_pixels(root, rows))) == 1


def test_a_damaged_file_is_named(tmp_path):
    root = str(tmp_path / "catalogue")
    plan = finished(root, {"a": {1: 0.9}}, maps_per_unit=1)
    rows = query(root)
    assert seal(plan, root).n_candidates == 1
    (path,) = tmp_path.rglob("*.candidates")
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(VisibleError, match=r"\.candidates: cannot be read"):
        list(stored_pixels(root, rows))


def test_groups_without_a_wanted_row_are_not_read(tmp_path, monkeypatch):
    """The best row is read although the pixels of all other groups are damaged."""
    monkeypatch.setattr("scanner.catalogue.candidates.ROWS_PER_GROUP", 2)
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {i: 0.99 - i / 100 for i in range(6)}}, maps_per_unit=6)
    rows = query(root)
    (path,) = tmp_path.rglob("*.candidates")
    data = bytearray(path.read_bytes())
    footer = pq.read_metadata(path)
    for i in (1, 2):
        start = footer.row_group(i).column(0).data_page_offset
        data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    assert list(dict(stored_pixels(root, rows.slice(0, 2)))) == [0, 1]
    with pytest.raises(VisibleError):
        list(stored_pixels(root, rows.slice(0, 3)))
