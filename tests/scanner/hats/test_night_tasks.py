"""Nights that a Ray cluster writes are the same files as those of one process, whatever happens to its workers."""

import os
import signal
from pathlib import Path

import pytest

from infra.errors import ClusterError
from scanner.hats import night_tasks
from scanner.hats.errors import PublishError
from scanner.hats.night_tasks import nights_on_ray
from scanner.hats.night_writers import write_shared
from scanner.hats.nights import nights_of
from scanner.hats.publish import Outcome, publish
from scanner.hats.versions import load_manifest
from tests.scanner.hats.published import NIGHTS, add_night, current, known_lenses

pytestmark = pytest.mark.ray


@pytest.fixture
def catalogue(tmp_path):
    root = str(tmp_path / "catalogue")
    for i, options in enumerate(({}, {"maps_per_unit": 5}, {"networks": ("OU-66", "OU-VIS")})):
        add_night(root, i, **options)
    return root


def files_of(collection):
    version = current(collection)
    names = ("dataset/**/*.parquet", "dataset/_common_metadata", "partition_info.csv", "moc.fits")
    return {str(path.relative_to(version)): path.read_bytes() for name in names for path in version.glob(name)}


@pytest.mark.parametrize("compact", [False, True])
def test_a_cluster_writes_the_files_of_one_process(ray_cluster, catalogue, tmp_path, monkeypatch, compact):
    options = {"known": known_lenses(tmp_path), "compact": compact}
    here, there = (str(tmp_path / name) for name in ("here", "there"))
    publish(catalogue, here, **options)
    monkeypatch.setattr("scanner.hats.night_writers.write_night", None)  # of this process, not of the cluster's
    done = publish(catalogue, there, ray_address="local", **options)
    assert files_of(there) == files_of(here)
    assert len(files_of(there)) == done.n_leaves + 3
    one, other = (load_manifest(root, current(root).name) for root in (here, there))
    of_its_time = {"version": "", "created": "", "others": {}}
    assert one.model_copy(update=of_its_time) == other.model_copy(update=of_its_time)
    assert [path.name for path in Path(there).iterdir() if path.is_dir()] == [done.version]
    assert publish(catalogue, there, **options).outcome == Outcome.UNCHANGED


def test_the_error_of_a_night_is_that_of_one_process(ray_cluster, catalogue, tmp_path):
    path = Path(catalogue, "candidates", f"{NIGHTS[1]}.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    for address in (None, "local"):
        with pytest.raises(PublishError, match=r"2026-11-25.parquet: cannot be read: .*lensscan verify"):
            publish(catalogue, str(tmp_path / "collection"), ray_address=address)
    assert [path.name for path in (tmp_path / "collection").iterdir() if path.is_dir()] == []


def test_a_night_is_begun_again_if_its_process_dies(ray_cluster, catalogue, tmp_path, monkeypatch):
    first, n_tries = tmp_path / "first", 2

    def dies_at_first(catalogue_uri, label, *rest):
        with first.open("a") as file:
            file.write(f"{label}\n")
        if first.read_text().count(label) < n_tries:
            os.kill(os.getpid(), signal.SIGKILL)
        return write_shared(catalogue_uri, label, *rest)

    monkeypatch.setattr(night_tasks, "write_shared", dies_at_first)
    nights = {label: plans for label, plans in nights_of(catalogue).items() if label in NIGHTS[:2]}
    (tmp_path / "shared").mkdir()
    written = list(nights_on_ray(catalogue, nights, str(tmp_path / "shared"), None))
    assert [night.label for night in written] == list(nights)
    assert sorted(first.read_text().split()) == sorted(2 * NIGHTS[:2])
    monkeypatch.setattr(night_tasks, "MOST_TRIES", 1)
    first.unlink()
    with pytest.raises(ClusterError, match=r"^night 2026-11-24: its worker died"):
        list(nights_on_ray(catalogue, nights, str(tmp_path / "shared"), None))
