"""The requests of astronomy-commons/lsdb#1536 for a catalogue that grows every night, with #1297: the same batch twice is safe.

1. Promotion is unattended: see also `tests/flows/commands/test_scan.py`, where a scan publishes.
2. Readers never see a part of an update.
3. Versions are identifiable and retained.
4. A roll-back is documented (docs/howto/publish.md) and tested.
5. Increments equal a fresh import.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.store.storage import list_files, read_bytes
from scanner.hats.publish import Outcome, publish
from scanner.hats.versions import roll_back, versions_of
from tests.scanner.hats.published import NIGHTS, add_night, current, ids_by_night, in_order, known_lenses, properties, read
from tests.scanner.hats.publisher import state_after
from tests.sources import ROOT


@pytest.fixture
def places(tmp_path):
    return str(tmp_path / "catalogue"), str(tmp_path / "collection")


def contents(collection):
    return {file.uri: (file.etag, read_bytes(file.uri)) for file in list_files(collection)}


@pytest.mark.parametrize("n_rounds", [4, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_readers_see_whole_nights_while_writers_are_killed(places, n_rounds):
    """A reader polls while another process seals, publishes and rolls back nights, and kills its children that do."""
    catalogue, collection = places
    expected = [state_after(number) for number in range(n_rounds)]
    seen, contents_of = Counter(), {}
    command = [sys.executable, "-W", "ignore", "-m", "tests.scanner.hats.publisher", catalogue, collection, "7", f"{n_rounds}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            if Path(collection, "collection.properties").exists():
                version = current(collection)
                found = ids_by_night(read(version, ["night", "object_id"]))
                assert found in expected, version
                assert contents_of.setdefault(version.name, found) == found
                assert int(properties(version / "hats.properties")["hats_nrows"]) == sum(map(len, found.values()))
                seen[expected.index(found)] += 1
            time.sleep(0.005)
        counts = json.loads(process.stdout.read())
    assert process.returncode == 0
    figures = {"reads": seen.total(), "versions_seen": len(contents_of), "states_seen": len(seen), **counts}
    sys.stdout.write(f"{n_rounds} rounds: {figures}\n")
    assert counts["writers"] == counts["rollbacks"] == n_rounds
    assert counts["writers_killed"] > n_rounds / 2
    assert seen.total() > 3 * n_rounds
    assert len(seen) > n_rounds / 2, "the reader sees most of the states"
    assert ids_by_night(read(current(collection))) == expected[-1]
    assert publish(catalogue, collection, keep=1).outcome == Outcome.UNCHANGED
    assert [path.name for path in Path(collection).iterdir() if path.is_dir()] == [current(collection).name]
    assert ids_by_night(read(current(collection))) == expected[-1] == ids_by_night(pq.read_table(f"{catalogue}/candidates"))


def test_versions_are_identifiable_and_retained(places):
    catalogue, collection = places
    plans = [add_night(catalogue, 0)]
    first = publish(catalogue, collection)
    rows = read(Path(collection, first.version))
    plans.append(add_night(catalogue, 1))
    second = publish(catalogue, collection)
    old, new = versions_of(collection)
    assert (old.version, new.version) == (first.version, second.version)
    assert [old.is_current, new.is_current] == [False, True]
    assert old.nights == {NIGHTS[0]: (plans[0].plan_id,)}
    assert new.nights == {night: (plan.plan_id,) for night, plan in zip(NIGHTS, plans, strict=False)}
    assert old.n_rows == rows.num_rows == read(Path(collection, old.version)).num_rows
    assert first.version.endswith(f"Z_{old.content[:8]}")
    assert old.created < new.created
    assert read(Path(collection, old.version)).equals(rows)


def test_a_roll_back_shows_the_older_version_at_once(places):
    catalogue, collection = places
    shown = []
    for i in range(3):
        add_night(catalogue, i)
        shown.append((publish(catalogue, collection).version, ids_by_night(read(current(collection)))))
    for name, ids in reversed(shown[:2]):
        assert roll_back(collection).version == name == current(collection).name
        assert ids_by_night(read(current(collection))) == ids
    assert roll_back(collection, shown[2][0].removeprefix("lens_candidates_")).version == shown[2][0]
    roll_back(collection, shown[0][0])
    again = publish(catalogue, collection)
    assert (again.outcome, again.version) == (Outcome.SHOWN_AGAIN, shown[2][0])
    assert len(versions_of(collection)) == 3


@pytest.mark.parametrize("compact", [False, True])
def test_increments_equal_a_fresh_import(tmp_path, compact):
    catalogue, grown, fresh = (str(tmp_path / name) for name in ("catalogue", "grown", "fresh"))
    known = known_lenses(tmp_path)
    for i, maps in ((1, {}), (0, {"maps_per_unit": 3}), (2, {})):
        add_night(catalogue, i, **maps)
        publish(catalogue, grown, compact=compact and i == 0, known=known)
    add_night(catalogue, 1, n=3)
    publish(catalogue, grown, compact=compact, known=known)
    publish(catalogue, fresh, known=known)
    one, other = current(grown), current(fresh)
    assert in_order(read(one)).equals(in_order(read(other)))
    assert set(read(one, ["known_name"])["known_name"].to_pylist()) == {"Nearest", "Edge", ""}
    assert one.name.rpartition("_")[2] == other.name.rpartition("_")[2]
    names = ["dataset/_common_metadata", "partition_info.csv", "moc.fits"]
    assert [(one / name).read_bytes() for name in names] == [(other / name).read_bytes() for name in names]
    leaves = [{str(path.relative_to(v)): path.read_bytes() for path in v.rglob("*.parquet")} for v in (one, other)]
    assert (leaves[0] == leaves[1]) is not compact


def test_the_same_batch_twice_is_safe(root, tmp_path):
    collection = f"{root}-collection"
    add_night(root, 0)
    first = publish(root, collection, known=known_lenses(tmp_path))
    before = contents(collection)
    again = publish(root, collection, known=known_lenses(tmp_path))
    assert (again.outcome, again.version, again.n_leaves_written) == (Outcome.UNCHANGED, first.version, 0)
    assert contents(collection) == before
    add_night(root, 0)
    assert publish(root, collection, known=known_lenses(tmp_path)).outcome == Outcome.UNCHANGED
    assert contents(collection) == before
