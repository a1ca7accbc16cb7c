"""Objects that are read by their ids, from shards, tiles and manifests."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig, build_plan, freeze
from scanner.catalogue.seal import seal
from scanner.scan.chosen_objects import ObjectsError, read_objects
from scanner.sources.shards import encode_shard, shard_table
from scanner.sources.survey import shipped_survey
from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from scanner.vocabulary.geometry import MER_10
from tests.cutouts import write_cutout
from tests.other_survey import ATLAS
from tests.other_survey import write_tile as write_atlas_tile
from tests.scanner.catalogue_parts import EnsembleName, scores
from tests.tiles import write_tile

MOST = 8


def stamps_of(seed, n):
    rng = np.random.default_rng(seed)
    return {band: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in MER_10.grids.items()}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Write two shards with the objects 0 to 4 and 5 to 9; the pixels of object 6 are all equal."""
    folder = tmp_path_factory.mktemp("shards")
    for first in (0, 5):
        stamps = stamps_of(first, 5)
        stamps["VIS"][1 if first else slice(0)] = 2.0
        table = shard_table(np.arange(first, first + 5), stamps, {}, MER_10)
        (folder / f"shard-{first:05d}.parquet").write_bytes(encode_shard(table))
    return str(folder)


def test_stamps_are_those_of_the_named_objects_in_order(shards):
    read = read_objects(shards, ["8", "6", "0", "5"], MER_10, MOST)
    assert read.ids == ["8", "0", "5"]
    first, second = stamps_of(0, 5), stamps_of(5, 5)
    for band in MER_10.grids:
        np.testing.assert_array_equal(read.stamps[band], [second[band][3], first[band][0], second[band][0]])
    assert read.rejected.keys() == {"6"}
    assert read.rejected["6"].startswith("constant: VIS")


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([], r"name the objects of tiles or a catalogue"),
        (["1", "77", "78"], "has no object 77, 78"),
        (["6"], "no usable object: 6: constant"),
        ([str(i) for i in range(MOST + 1)], f"{MOST + 1} objects are named, more than the limit of {MOST}"),
    ],
)
def test_mistakes_are_named(shards, objects, says):
    with pytest.raises(ObjectsError, match=says):
        read_objects(shards, objects, MER_10, MOST)


def test_damage_rejects_the_objects_of_a_tile(tmp_path):
    write_tile(tmp_path, 3, 6, n_pixels=600)
    (tile,) = discover_tiles(str(tmp_path))
    ids = read_tile_catalogue(tile.catalogue).object_ids.astype(str).tolist()
    assert read_objects(str(tmp_path), ids[:2], MER_10, MOST).ids == ids[:2]
    path = Path(tile.mosaics["J"])
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ObjectsError, match=f"no usable object: {ids[0]}: fits_truncated"):
        read_objects(str(tmp_path), ids[:2], MER_10, MOST)


def test_a_catalogue_knows_the_survey_of_its_tiles(tmp_path):
    tiles, root = tmp_path / "tiles", str(tmp_path / "catalogue")
    ids, *_ = write_atlas_tile(tiles, "A", -20.0, 2, first_id=7)
    plan = build_plan(str(tiles), None, EnsembleName(), ScanConfig(), survey=ATLAS)
    freeze(plan, root)
    (unit,) = plan.units
    publish(scores(ids.tolist(), [0.9, 0.8], tile=[unit.unit_id] * 2, night=[""] * 2), unit, plan, root, "try")
    seal(plan, root)
    show(plan, root)
    wanted = read_objects(str(tiles), ["8"], MER_10, MOST, ATLAS).stamps
    found = read_objects(root, ["8"], MER_10, MOST).stamps
    assert {band: images.tobytes() for band, images in found.items()} == {band: i.tobytes() for band, i in wanted.items()}


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest of nine usable objects and one whose file is missing."""
    fits.PrimaryHDU(stamps_of(0, 1)["VIS"][0]).writeto(tmp_path / "a.fits")
    rows = [f"o{i},0.1,a.fits,a.fits,a.fits,{'gone' if i == 9 else 'a'}.fits" for i in range(10)]
    (tmp_path / "m.CSV").write_text("\n".join(["object_id,pixel_scale_arcsec,VIS,Y,J,H", *rows]) + "\n")
    return str(tmp_path / "m.CSV")


def test_all_objects_of_a_manifest_are_read_by_default(manifest):
    read = read_objects(manifest, [], MER_10, 10)
    assert read.ids == [f"o{i}" for i in range(9)]
    assert {images.shape for images in read.stamps.values()} == {(9, 100, 100)}
    assert read.rejected == {"o9": "missing_file: H: gone.fits: no such file"}
    with pytest.raises(ObjectsError, match="has 10 such objects, more than the limit of 9: choose some"):
        read_objects(manifest, [], MER_10, 9)
    assert read_objects(manifest, ["o7", "o2"], MER_10, 2).ids == ["o7", "o2"]


def test_fits_files_and_folders_are_read_without_a_manifest(tmp_path):
    files = [write_cutout(tmp_path / f"{name}.fits", seed=seed) for seed, name in enumerate("ab")]
    read = read_objects([str(tmp_path)], [], MER_10, MOST)
    assert (read.ids, read.rejected) == (["a", "b"], {})
    again = read_objects(files[::-1], ["b"], MER_10, MOST).stamps
    np.testing.assert_array_equal(again["H"][0], read.stamps["H"][1])
    with pytest.raises(ObjectsError, match="has 2 such objects, more than the limit of 1"):
        read_objects(files, [], MER_10, 1)


def test_a_survey_of_cutouts_is_refused(tmp_path, manifest):
    kids = shipped_survey("kids-dr4")
    files = [write_cutout(tmp_path / f"cut_{name}.fits") for name in "ab"]
    for images in (files[0], files, manifest, [str(tmp_path), manifest]):
        with pytest.raises(ObjectsError, match="--survey describes tiles, not cutouts; name one folder or prefix of tiles"):
            read_objects(images, [], MER_10, MOST, kids)


def test_changes_of_pixels_are_notes_of_their_objects(manifest):
    folder = Path(manifest).parent
    for band, images in stamps_of(3, 1).items():
        fits.PrimaryHDU(images[0]).writeto(folder / f"{band}.fits")
        fits.PrimaryHDU(images[0, 20:80, 20:80]).writeto(folder / f"small-{band}.fits")
        images[0, 5, 5] = np.nan
        fits.PrimaryHDU(images[0]).writeto(folder / f"filled-{band}.fits")
    rows = ["f,0.1,VIS.fits,Y.fits,filled-J.fits,H.fits", "p,0.1,small-VIS.fits,Y.fits,J.fits,H.fits"]
    rows.append("w,0.1,VIS.fits,Y.fits,J.fits,H.fits")
    Path(manifest).write_text(Path(manifest).read_text() + "\n".join(rows) + "\n")
    read = read_objects(manifest, ["p", "o9", "w", "f"], MER_10, MOST)
    assert (read.ids, read.notes) == (["p", "w", "f"], [("padded: VIS",), (), ("filled: J",)])


def test_an_id_that_a_manifest_repeats_is_refused(manifest):
    text = Path(manifest).read_text()
    Path(manifest).write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(ObjectsError, match="has several objects o0"):
        read_objects(manifest, ["o0"], MER_10, MOST)
