"""A publisher asks for a cluster only if there are several nights to write."""

from pathlib import Path

import pytest

from infra.store.folders import list_folders
from infra.store.storage import join, list_files, read_bytes
from scanner.hats.night_writers import NightWriter, write_shared
from scanner.hats.nights import nights_of
from scanner.hats.publish import publish
from tests.no_ray import RayStartedError
from tests.scanner.hats.published import NIGHTS, add_night, known_lenses


def test_one_new_night_is_written_without_a_cluster(tmp_path, no_ray):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    for i in range(2):
        add_night(catalogue, i)
        assert publish(catalogue, collection, ray_address="10.0.0.1:6379").n_leaves_written == 3
    assert no_ray == []
    with pytest.raises(RayStartedError):
        publish(catalogue, str(tmp_path / "other"), ray_address="10.0.0.1:6379")
    assert no_ray == ["10.0.0.1:6379"]
    assert list_folders(str(tmp_path / "other")) == []
    publish(catalogue, str(tmp_path / "other"))
    assert no_ray == ["10.0.0.1:6379"]


def test_each_try_of_a_night_has_its_place(root, tmp_path):
    """A node that is taken for dead may go on, and must not write into the files of the next try."""
    add_night(root, 0, maps_per_unit=5)
    ((label, plans),) = nights_of(root).items()
    shared = f"{root}-collection/.publishing-x"
    known = known_lenses(tmp_path)
    if not root.startswith("s3:"):
        with pytest.raises(FileNotFoundError):
            write_shared(root, label, plans, shared, known)
        Path(shared).mkdir(parents=True)
    one, other = (write_shared(root, label, plans, shared, known) for _ in range(2))
    assert one.uri != other.uri
    assert (one.label, one.entry, one.leaves) == (NIGHTS[0], other.entry, other.leaves)
    (tmp_path / "here").mkdir()
    (here,) = NightWriter(tmp_path / "here", shared).write(root, {label: plans}, known)
    assert (here.entry, here.leaves) == (one.entry, one.leaves)
    for night in (one, other, here):
        assert len(list_files(night.uri, ".parquet")) == len(night.leaves) == 3
        for leaf in night.leaves:
            assert read_bytes(join(night.uri, leaf.path)) == (tmp_path / "here" / leaf.path).read_bytes()
    NightWriter(tmp_path / "here", shared, "local").clear()
    assert list_folders(f"{root}-collection") == ([] if root.startswith("s3:") else [".publishing-x"])
