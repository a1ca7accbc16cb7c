"""Versions are listed from the pointer, chosen by name, and kept by age."""

import shutil

import pytest

from infra.store.replacement import replace
from scanner.hats.errors import PublishError
from scanner.hats.manifest import load_manifest
from scanner.hats.pointer import read_pointer, swap_pointer
from scanner.hats.publish import publish
from scanner.hats.versions import kept_of, roll_back, versions_of
from tests.scanner.hats.published import add_night

ABCD = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("current", "before", "keep", "kept"),
    [
        *(("d", None, 9, "abcd"), ("d", "c", 4, "abcd"), ("d", "c", 2, "cd"), ("d", "c", 1, "d"), ("d", "gone", 2, "cd")),
        *(("a", "a", 1, "a"), ("a", None, 2, "ad"), ("b", "b", 3, "bcd"), ("b", "a", 3, "abd")),
        *(("d", "a", 2, "ad"), ("d", "a", 3, "acd"), ("d", "a", 1, "d")),
    ],
)
def test_the_newest_the_current_and_the_one_before_are_kept(current, before, keep, kept):
    assert kept_of(ABCD, current, keep, before) == tuple(kept)


def test_a_version_is_chosen_by_the_beginning_of_its_name(root):
    collection = f"{root}-collection"
    names = []
    for i in range(2):
        add_night(root, i, n=1)
        names.append(publish(root, collection).version)
    for text in (names[0], names[0][:-3], names[0].removeprefix("lens_candidates_")[:-9]):
        roll_back(collection, names[1])
        assert roll_back(collection, text).version == names[0]
    with pytest.raises(PublishError, match=r"no version begins with '2020'; there are lens_candidates_.*, lens_"):
        roll_back(collection, "2020")
    with pytest.raises(PublishError, match=r"2 versions begin with 'lens_candidates_'"):
        roll_back(collection, "lens_candidates_")


def test_a_roll_back_that_is_overtaken_says_so(tmp_path, monkeypatch):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    for i in range(2):
        add_night(catalogue, i, n=1)
        publish(catalogue, collection)
    load = load_manifest

    def overtaken(root, name):
        pointer = read_pointer(root)
        assert swap_pointer(root, pointer, pointer.version, pointer.versions)
        return load(root, name)

    monkeypatch.setattr("scanner.hats.versions.load_manifest", overtaken)
    with pytest.raises(PublishError, match="another publisher replaced the pointer meanwhile"):
        roll_back(collection)


def test_a_version_that_is_gone_is_passed_over(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    names = []
    for i in range(3):
        add_night(catalogue, i, n=1)
        names.append(publish(catalogue, collection).version)
    shutil.rmtree(tmp_path / "collection" / names[1])
    assert [version.version for version in versions_of(collection)] == [names[0], names[2]]
    with pytest.raises(PublishError, match=rf"{names[1]}: readers cannot be shown this version, .*publication.json is missing"):
        roll_back(collection, names[1])
    assert roll_back(collection).version == names[0]
    shutil.rmtree(tmp_path / "collection" / names[0])
    roll_back(collection, names[2])
    with pytest.raises(PublishError, match=f"holds no version before {names[2]}"):
        roll_back(collection)


def test_a_damaged_record_is_named(tmp_path):
    catalogue, collection = str(tmp_path / "catalogue"), str(tmp_path / "collection")
    add_night(catalogue, 0, n=1)
    version = publish(catalogue, collection).version
    replace(f"{collection}/{version}/publication.json", b"{}")
    with pytest.raises(PublishError, match=r"publication.json: not the record of a version: Field required"):
        versions_of(collection)
    with pytest.raises(PublishError, match=r"nowhere: holds no collection"):
        versions_of(str(tmp_path / "nowhere"))


def test_two_pointers_are_never_equal(tmp_path):
    root = str(tmp_path)
    seen = set()
    for _ in range(3):
        assert swap_pointer(root, read_pointer(root), "a", ("a",))
        seen.add(read_pointer(root).stored)
    assert len(seen) == 3
