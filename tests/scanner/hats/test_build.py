"""A version shares the leaves of unchanged nights with the version that it is built on."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scanner.hats.build import build, schema_of
from scanner.hats.manifest import Manifest, content_of
from scanner.hats.night_writers import NightWriter
from scanner.hats.nights import nights_of
from tests.scanner.hats.published import NIGHTS, add_night


@pytest.fixture
def made(tmp_path):
    """Return a function that builds on what it built before, each time in a folder of its own."""
    catalogue, before = str(tmp_path / "catalogue"), []

    def make(*indices, compact=False, n=2, **options):
        for i in indices:
            add_night(catalogue, i, n=n, **options)
        folder = tmp_path / f"build-{len(before)}"
        folder.mkdir()
        base, uri = before[-1] if before else (None, "")
        found = build(catalogue, nights_of(catalogue), base, uri, NightWriter(folder, str(folder)), compact=compact)
        leaves = tuple(piece.leaf for piece in found.pieces)
        manifest = Manifest(version="v", created="", content=content_of(leaves), nights=found.nights, leaves=leaves)
        for piece in found.pieces:
            # The next build finds all leaves of this one in one folder, as in a version.
            target = folder / "version" / piece.leaf.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(piece.uri).read_bytes())
        before.append((manifest, str(folder / "version")))
        return found

    return make


def names(found, *, is_new):
    return sorted(piece.leaf.name for piece in found.pieces if piece.is_new is is_new)


def test_only_new_nights_are_written(made):
    assert names(made(0), is_new=True) == [NIGHTS[0]] * 3
    second = made(2)
    assert names(second, is_new=True) == [NIGHTS[2]] * 3
    assert names(second, is_new=False) == [NIGHTS[0]] * 3
    assert list(second.nights) == [NIGHTS[0], NIGHTS[2]]
    assert names(made(), is_new=True) == []


def test_a_merged_leaf_is_shared_until_a_night_changes(made):
    made(0, 1)
    assert names(made(compact=True), is_new=True) == ["all"] * 3
    third = made(2)
    assert (names(third, is_new=False), names(third, is_new=True)) == (["all"] * 3, [NIGHTS[2]] * 3)
    fourth = made(0, n=3)
    assert (names(fourth, is_new=False), names(fourth, is_new=True)) == ([NIGHTS[2]] * 3, [NIGHTS[0]] * 3 + [NIGHTS[1]] * 3)
    for piece in fourth.pieces:
        assert {*pq.read_table(piece.uri, partitioning=None)["night"].to_pylist()} == {piece.leaf.name}


def test_a_changed_night_is_merged_with_the_rest_at_once(made):
    made(0, 1, compact=True)
    found = made(0, n=3, compact=True)
    assert names(found, is_new=True) == ["all"] * 3
    assert [len(piece.leaf.parts) for piece in found.pieces] == [2] * 3


def test_columns_of_all_nights_come_together(made):
    made(0)
    found = made(1, networks=("OU-66", "OU-VIS"))
    columns = [name for name in found.schema.names if name.startswith("p_OU")]
    assert columns == ["p_OU_66", "p_OU_200", "p_OU_VIS"]
    assert schema_of(reversed(found.nights.values())).names != found.schema.names
