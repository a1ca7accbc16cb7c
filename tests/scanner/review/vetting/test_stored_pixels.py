"""Pixels on demand: those of the right object, from the row groups that hold it alone."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.store.storage import join
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.paths import sealed_path
from scanner.catalogue.wanted import EVERY_CANDIDATE
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.stored_pixels import StoredPixels
from tests.scanner.catalogue_parts import finished


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr("scanner.catalogue.candidates.ROWS_PER_GROUP", 3)


def made(root, n=9):
    """Return the stored pixels of a catalogue with several row groups, and its plan."""
    plan = finished(root, {"t": {i: 0.99 - i / 10_000 for i in range(1, n)}}, maps_per_unit=1000)
    return StoredPixels(root, gradable_rows(root, EVERY_CANDIDATE)), plan


def expected(object_id):
    """Return the first pixels of an object of `catalogue_parts.with_maps`."""
    return [(object_id + k) % 100 for k in range(5)]


@pytest.mark.parametrize("place", ["sealed", "unit"])
def test_each_object_has_its_own_pixels(root, place):
    stored, plan = made(root)
    if place == "unit":
        # A plan is read before its seal, too.
        Path(root, sealed_path(plan.plan_id)).unlink()
    ids = [8, 1, 5, 2]
    for object_id, image in zip(ids, stored.images(ids), strict=True):
        assert image.values.ravel()[:5].tolist() == expected(object_id)
        assert image.step == pytest.approx(object_id % 100 / 100)
    pixels = stored.maps(5)
    assert (pixels.guided.ravel()[:5] * 255).round().tolist() == expected(5)


def test_only_the_row_groups_of_the_objects_are_read(root, monkeypatch):
    stored, plan = made(root)
    n_groups = pq.ParquetFile(join(root, sealed_path(plan.plan_id))).num_row_groups
    assert n_groups == 3
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, columns: (read.append((i, tuple(columns))), original(self, i, columns))[1],
    )
    stored.images([1])
    assert read == [(0, ("object_id",)), (0, ("cutout_sigma", "cutout_step"))]
    stored.images([2, 1, 3])
    assert len(read) == 2, "neighbours in a row group are kept"


def test_few_images_are_kept(root, monkeypatch):
    monkeypatch.setattr("scanner.review.vetting.stored_pixels.MOST_KEPT", 4)
    stored, _ = made(root)
    for i in (1, 8, 5):
        assert stored.images([i])[0].values[0, 0, 0] == i
        assert len(stored._images) <= 4
    assert [image.values[0, 0, 0] for image in stored.images(list(range(1, 9)))] == list(range(1, 9))


def test_colours_stand_in_for_bands(root):
    stored, plan = made(root, 5)
    path = join(root, sealed_path(plan.plan_id))
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["cutout_sigma", "cutout_step"]), path)
    (image,) = stored.images([3])
    assert image.values.shape == (80, 80, 3)
    assert image.values.ravel()[:5].tolist() == expected(3)
    assert MAP_COLUMNS[0].name == "cutout_rgb"


def test_damage_and_absence_are_errors_in_one_line(root, tmp_path):
    stored, plan = made(root, 5)
    path = tmp_path / "catalogue" / sealed_path(plan.plan_id)
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(VettingError, match="cannot be read"):
        stored.images([1])
    pq.write_table(pq.read_table(tmp_path / "catalogue" / "candidates").slice(0, 1), path)
    with pytest.raises(VettingError, match="no longer holds object 4; start `lensscan vet` again"):
        StoredPixels(root, [{"object_id": 4, "plan_id": plan.plan_id, "tile": "t"}]).images([4])
    path.unlink()
    (unit,) = (tmp_path / "catalogue").rglob("*.unit")
    unit.unlink()
    with pytest.raises(VettingError, match="is gone; was the plan forgotten"):
        StoredPixels(root, [{"object_id": 1, "plan_id": plan.plan_id, "tile": "t"}]).images([1])
