"""A publication: which leaves it writes and shares, what it refuses, and what two publishers do to each other."""

import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store import s3 as objects
from infra.store.files import PlaceError
from infra.store.folders import list_folders, remove_folder
from infra.store.storage import StorageError, join, list_files, read_bytes
from scanner.catalogue.visible import VisibleError
from scanner.hats import publish as module
from scanner.hats.errors import PublishError
from scanner.hats.manifest import content_of, load_manifest
from scanner.hats.paths import MERGED
from scanner.hats.properties import decode_properties
from scanner.hats.publish import Outcome, checked_roots, publish
from scanner.hats.versions import faults_by_version, roll_back, versions_of
from tests.infra.stores import BadStore, SwappingStore, serving
from tests.scanner.catalogue_parts import finished
from tests.scanner.hats.published import NIGHTS, add_night, current, ids_by_night, in_order, known_lenses, read

SHORT = pa.schema([("night", pa.string()), ("object_id", pa.int64())])


@pytest.fixture
def collection(root):
    return f"{root}-collection"


def leaves_of(collection, version):
    return {file.uri.rpartition(f"{version}/")[2] for file in list_files(join(collection, version), ".parquet")}


def test_unchanged_leaves_are_shared_not_written(root, collection):
    add_night(root, 0)
    first = publish(root, collection)
    add_night(root, 1)
    second = publish(root, collection)
    assert (first.n_leaves_written, second.n_leaves_written, second.n_leaves) == (3, 3, 6)
    old, new = (leaves_of(collection, version.version) for version in (first, second))
    assert old < new
    for path in old:
        one, other = (join(collection, version.version, path) for version in (first, second))
        assert Path(one).samefile(other) if not root.startswith("s3:") else read_bytes(one) == read_bytes(other)
    assert list_folders(collection) == [first.version, second.version]


def test_a_night_that_is_scanned_again_replaces_its_leaves(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    for i in range(2):
        add_night(catalogue, i)
    publish(catalogue, collection, compact=True)
    assert {path.stem for path in current(collection).glob("dataset/**/*.parquet")} == {MERGED}
    add_night(catalogue, 1, n=2)
    done = publish(catalogue, collection)
    assert {path.stem for path in current(collection).glob("dataset/**/*.parquet")} == {NIGHTS[0], NIGHTS[1]}
    assert done.n_leaves_written == 6
    assert ids_by_night(read(current(collection))) == ids_by_night(pq.read_table(f"{catalogue}/candidates"))


def test_compaction_keeps_the_rows_and_their_digest(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    for i, options in enumerate(({"maps_per_unit": 2}, {}, {"networks": ("OU-66", "OU-VIS")})):
        add_night(catalogue, i, **options)
    publish(catalogue, collection)
    before, old = in_order(read(current(collection))), versions_of(collection)[0]
    done = publish(catalogue, collection, compact=True)
    assert (done.outcome, done.n_leaves) == (Outcome.PROMOTED, 3)
    assert in_order(read(current(collection))).equals(before)
    new = versions_of(collection)[-1]
    assert (new.content, new.n_rows, new.n_leaves) == (old.content, old.n_rows, 3)
    assert publish(catalogue, collection).outcome == publish(catalogue, collection, compact=True).outcome == Outcome.UNCHANGED
    add_night(catalogue, 0, n=5)
    publish(catalogue, collection)
    names = {path.stem for path in current(collection).glob("dataset/**/*.parquet")}
    assert names == {NIGHTS[0], MERGED}
    assert ids_by_night(read(current(collection))) == ids_by_night(pq.read_table(f"{catalogue}/candidates", schema=SHORT))


def test_leaves_are_sorted_and_lie_in_their_pixel(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    add_night(catalogue, 0, n=9)
    publish(catalogue, collection, compact=True)
    paths = list(current(collection).glob("dataset/**/*.parquet"))
    for path in paths:
        table = pq.read_table(path, partitioning=None)
        healpix = table["_healpix_29"].to_pylist()
        assert table.column_names[0] == "_healpix_29"
        assert healpix == sorted(healpix)
        assert {f"Npix={value >> 48}" for value in healpix} == {path.parent.name}
    assert len(paths) == 3


def test_an_object_of_two_tiles_comes_once_a_night(tmp_path):
    """The first unit of a plan owns it; a newer plan hides it in older ones; each night has a row of its own."""
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    finished(catalogue, {"7": {1: 0.9, 2: 0.8}, "8": {3: 0.7}}, night=NIGHTS[0])
    newer = finished(catalogue, {"9": {2: 0.6, 4: 0.9}}, night=NIGHTS[0])
    finished(catalogue, {"7": {1: 0.55, 2: 0.65}}, night=NIGHTS[1])
    publish(catalogue, collection)
    rows = read(current(collection), ["night", "object_id", "plan_id", "tile"])
    assert ids_by_night(rows) == {NIGHTS[0]: [1, 2, 3, 4], NIGHTS[1]: [1, 2]}
    of_two = [row for row in rows.to_pylist() if row["object_id"] == 2 and row["night"] == NIGHTS[0]]
    assert [(row["plan_id"], row["tile"]) for row in of_two] == [(newer.plan_id, "9")]


def test_another_table_of_known_lenses_makes_another_version(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    for i in range(2):
        add_night(catalogue, i)
    done = [publish(catalogue, collection, known=known_lenses(tmp_path, name)) for name in ("One", "Other", "Other", "One")]
    outcomes = [Outcome.PROMOTED, Outcome.PROMOTED, Outcome.UNCHANGED, Outcome.SHOWN_AGAIN]
    assert [each.outcome for each in done] == outcomes
    assert [each.n_leaves_written for each in done] == [6, 6, 0, 0]
    assert done[3].version == done[0].version
    assert [each.n_known for each in done] == [18] * 4
    without = publish(catalogue, collection)
    assert (without.outcome, without.known, without.n_known) == (Outcome.PROMOTED, None, 0)
    manifests = [load_manifest(collection, each.version) for each in (*done[:2], without)]
    assert [manifest.known for manifest in manifests] == [done[0].known, done[1].known, None]
    assert len({manifest.content for manifest in manifests}) == 3
    versions = [(version.known, version.n_known) for version in versions_of(collection)]
    assert versions == [(done[0].known.label, 18), (done[1].known.label, 18), (None, 0)]
    found = decode_properties(read_bytes(join(collection, done[1].version, "hats.properties")))
    assert found["lensscan_known_lenses"] == "lenses.csv"
    assert found["lensscan_known_lenses_version"] == done[1].known.sha256[:12]
    assert float(found["lensscan_known_lenses_limit_arcsec"]) == 3.0
    bare = decode_properties(read_bytes(join(collection, without.version, "hats.properties")))
    assert not [name for name in bare if "known_lenses" in name]


def test_of_two_publishers_one_wins_and_the_other_goes_on(root, collection, monkeypatch):
    add_night(root, 0)
    publish(root, collection)
    add_night(root, 1)
    write, others = module._write, []

    def overtaken(*args):
        write(*args)
        if not others:
            others.append(None)
            others.append(publish(root, collection))

    monkeypatch.setattr(module, "_write", overtaken)
    done = publish(root, collection)
    assert (done.outcome, done.version) == (Outcome.UNCHANGED, others[1].version)
    assert len(list_folders(collection)) == 2


def test_a_publisher_begins_again_if_its_base_is_removed(root, collection, monkeypatch):
    add_night(root, 0)
    publish(root, collection)
    add_night(root, 1)
    build, others = module.build, []

    def overtaken(*args, **options):
        if not others:
            others.append(None)
            others.append(publish(root, collection, keep=1, compact=True))
        return build(*args, **options)

    monkeypatch.setattr(module, "build", overtaken)
    assert publish(root, collection).version == others[1].version
    assert list_folders(collection) == [others[1].version]


def test_a_publisher_that_is_always_overtaken_gives_up(tmp_path, monkeypatch):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    add_night(catalogue, 0)
    monkeypatch.setattr(module, "swap_pointer", lambda *_: False)
    with pytest.raises(PublishError, match=r"other publishers were faster 5 times"):
        publish(catalogue, collection)
    assert list_folders(collection) == []


def test_garbage_is_removed_also_where_nothing_changes(root, collection):
    add_night(root, 0)
    done = publish(root, collection)
    for name in ("lens_candidates_20200101T000000000000Z_00000000", ".publishing-x", "survey"):
        module.replace(join(collection, name, "dataset/x.parquet"), b"1")
    again = publish(root, collection)
    assert again.outcome == Outcome.UNCHANGED
    assert sorted(again.removed) == [".publishing-x", "lens_candidates_20200101T000000000000Z_00000000"]
    assert list_folders(collection) == [done.version, "survey"]


def test_old_versions_are_removed_but_never_the_current_one(root, collection):
    names = []
    for i in range(3):
        add_night(root, i)
        names.append(publish(root, collection, keep=2).version)
    assert list_folders(collection) == sorted(names[1:])
    roll_back(collection)
    add_night(root, 0, n=2)
    names.append(publish(root, collection, keep=1).version)
    assert list_folders(collection) == [names[-1]]
    with pytest.raises(PublishError, match=r"holds no version before"):
        roll_back(collection)


def test_a_publication_keeps_the_version_that_readers_saw(tmp_path):
    """After a roll-back it may be the oldest; a reader that has just opened it must not lose its files."""
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    names = []
    for n in range(1, 4):
        add_night(catalogue, 0, n=n)
        names.append(publish(catalogue, collection).version)
    roll_back(collection, names[0])
    assert publish(catalogue, collection, keep=2).version == names[2]
    assert list_folders(collection) == [names[0], names[2]], "shown again"
    roll_back(collection, names[0])
    add_night(catalogue, 0, n=4)
    names.append(publish(catalogue, collection, keep=2).version)
    assert list_folders(collection) == [names[0], names[3]], "promoted"
    publish(catalogue, collection, keep=1)
    assert list_folders(collection) == [names[3]]


def test_the_digest_is_of_rows_not_of_times(tmp_path):
    catalogue = str(tmp_path / "catalogue")
    add_night(catalogue, 0)
    versions = [publish(catalogue, str(tmp_path / name)).version for name in ("a", "b")]
    first, second = (load_manifest(str(tmp_path / name), version) for name, version in zip("ab", versions, strict=True))
    assert first.created != second.created
    assert first.content == second.content == content_of(first.leaves)
    assert first.leaves == second.leaves


def test_an_error_before_the_swap_leaves_no_folder(root, collection, monkeypatch):
    add_night(root, 0)
    monkeypatch.setattr(module, "settle", lambda *_: (_ for _ in ()).throw(StorageError("the store is away")))
    with pytest.raises(StorageError, match="away"):
        publish(root, collection)
    assert list_folders(collection) == []


@pytest.mark.parametrize("is_late", [True, False])
def test_a_swap_without_an_answer_may_happen_later(root, collection, monkeypatch, is_late):
    add_night(root, 0)
    publish(root, collection)
    add_night(root, 1)
    swap, asked = module.swap_pointer, []

    def unanswered(*args):
        asked.append(args)
        raise StorageError("no whole answer")

    monkeypatch.setattr(module, "swap_pointer", unanswered)
    with pytest.raises(StorageError, match="no whole answer"):
        publish(root, collection)
    monkeypatch.setattr(module, "swap_pointer", swap)
    if is_late:
        assert swap(*asked[0])
    done = publish(root, collection)
    assert (done.outcome, done.version == asked[0][2]) == (Outcome.UNCHANGED if is_late else Outcome.PROMOTED, is_late)
    assert list_folders(collection) == [version.version for version in versions_of(collection)]
    assert len(list_folders(collection)) == 2


def two_versions(root, collection):
    names = []
    for i in range(2):
        add_night(root, i)
        names.append(publish(root, collection).version)
    return names


def test_an_old_version_that_is_gone_is_listed_no_more(root, collection):
    names = two_versions(root, collection)
    remove_folder(join(collection, names[0]))
    assert publish(root, collection).outcome == Outcome.UNCHANGED
    assert [version.version for version in versions_of(collection)] == names[1:]


RECORD, LEAF = "publication.json", "dataset/Norder=5/Dir=0/Npix=*/2026-11-25.parquet"


@pytest.mark.parametrize(
    ("lost", "compact", "n_written"),
    [(LEAF, False, 3), (LEAF, True, 3), ("moc.fits", False, 0), ("hats.properties", False, 0), (RECORD, False, 3)],
)
def test_a_version_that_lacks_a_file_is_written_again(tmp_path, lost, compact, n_written):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    names = two_versions(catalogue, collection)
    whole, version = in_order(read(current(collection))), current(collection)
    path = next(version.glob(lost))
    path.unlink()
    with pytest.raises(PublishError, match="readers cannot be shown this version, because a file is missing or damaged"):
        roll_back(collection, names[1])
    done = publish(catalogue, collection, compact=compact)
    assert (done.outcome, done.mended) == (Outcome.PROMOTED, (str(path.relative_to(version)),))
    assert in_order(read(current(collection))).equals(whole)
    assert done.n_leaves_written == n_written, "leaves that are there are not written again"
    assert faults_by_version(collection)[done.version] == {}
    assert publish(catalogue, collection, compact=compact).outcome == Outcome.UNCHANGED
    assert roll_back(collection).version == names[0], "a version that lacks files is passed over"


def test_damaged_files_are_found_by_size_or_digest(root, collection):
    names = two_versions(root, collection)
    leaf = min(path for path in leaves_of(collection, names[1]) if path.endswith("2026-11-25.parquet"))
    uri = join(collection, names[1], leaf)
    data = read_bytes(uri)
    module.replace(uri, data[:-1] + bytes([data[-1] ^ 1]))
    assert faults_by_version(collection) == {names[0]: {}, names[1]: {}}
    assert faults_by_version(collection, deep=True) == {names[0]: {}, names[1]: {leaf: "has other bytes than were written"}}
    module.replace(uri, data[:-1])
    why = f"has {len(data) - 1} bytes in place of {len(data)}"
    assert faults_by_version(collection) == {names[0]: {}, names[1]: {leaf: why}}


@pytest.mark.server
@pytest.mark.parametrize("store", [BadStore, SwappingStore])
def test_a_store_without_conditional_writes_is_refused(tmp_path, monkeypatch, store):
    add_night(str(tmp_path), 0)
    with serving(store, monkeypatch) as server:
        with pytest.raises(PlaceError, match="ignores conditional"):
            publish(str(tmp_path), "s3://bucket/collection")
        assert server.objects == {}
        server.objects["/bucket/collection/collection.properties"] = b"hats_primary_table_url=a\nlensscan_versions=a\n"
        with pytest.raises(PlaceError, match="ignores conditional"):
            roll_back("s3://bucket/collection", "a")
        assert len(server.objects) == 1


def test_a_full_disk_is_named(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        add_night(str(tmp_path / "catalogue"), 0, maps_per_unit=9)
        with pytest.raises(StorageError, match=f"{disk}/collection.*: cannot be written: No space left on device$"):
            publish(str(tmp_path / "catalogue"), str(disk / "collection"))
        assert list_folders(str(disk / "collection")) == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(("catalogue", "collection"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("s3://x/a", "s3://x/a/b")])
def test_a_collection_in_its_catalogue_is_refused(tmp_path, monkeypatch, catalogue, collection):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PublishError, match="must lie outside the catalogue"):
        checked_roots(catalogue, collection)
    assert checked_roots("a", "ab") == (str(tmp_path / "a"), str(tmp_path / "ab"))


def test_what_cannot_be_published_is_named(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    with pytest.raises(PublishError, match=r"catalogue: shows no candidates; `lensscan status`"):
        publish(catalogue, collection)
    finished(catalogue, {"a": {1: 0.1}})
    with pytest.raises(PublishError, match=r"shows no candidate with a position"):
        publish(catalogue, collection)
    add_night(catalogue, 0)
    with pytest.raises(PublishError, match=r"keep must be 1 or more, got 0"):
        publish(catalogue, collection, keep=0)
    (tmp_path / "collection" / "collection.properties").write_text("obs_collection=other\nhats_primary_table_url=other\n")
    with pytest.raises(PublishError, match=r"is no collection of lensscan"):
        publish(catalogue, collection)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"is a file, must be a folder"):
        publish(catalogue, str(tmp_path / "file"))


def test_a_damaged_catalogue_is_not_published(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    plan = add_night(catalogue, 0)
    path = Path(catalogue, "candidates", f"{NIGHTS[0]}.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    with pytest.raises(PublishError, match=r"2026-11-24.parquet: cannot be read: .*lensscan verify"):
        publish(catalogue, collection)
    path.unlink()
    assert publish(catalogue, collection).n_rows > 0, "a missing file of a night is written again"
    Path(catalogue, "_scan", "sealed", f"{plan.plan_id}.candidates").write_bytes(b"damaged")
    path.unlink()
    with pytest.raises(VisibleError, match=r"candidates: cannot be read"):
        publish(catalogue, str(tmp_path / "other"))


@pytest.mark.server
def test_many_objects_are_removed_in_several_requests(s3, monkeypatch):
    monkeypatch.setattr(objects, "_OBJECTS_PER_REMOVAL", 2)
    add_night(f"{s3}/a", 0)
    publish(f"{s3}/a", f"{s3}/b")
    add_night(f"{s3}/a", 1)
    last = publish(f"{s3}/a", f"{s3}/b", keep=1)
    assert list_folders(f"{s3}/b") == [last.version]
