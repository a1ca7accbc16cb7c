import shutil
from pathlib import Path

import numpy as np
import pytest

from infra.provenance import digest, sha256_bytes
from scanner.networks.architectures import FLAGSHIP_NETWORKS, PAPER_NETWORKS
from scanner.preprocess.network_inputs import network_input
from scanner.sources.cutouts import to_cutout
from scanner.sources.shards import decode_shard, encode_shard, shard_table
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from scanner.vocabulary.kinds import KINDS
from tests.training.shards import draw, write_shards
from training.dataset import hashed_fraction, prepare_dataset
from training.errors import TrainingError
from training.evaluation.shard_scores import shard_footers, shards_digest


def prepare(shards_uri, folder):
    return prepare_dataset(shards_uri, folder, PAPER_NETWORKS, CHALLENGE.name)


def test_arrays_are_the_networks_inputs(dataset, shards_uri):
    start = 0
    for path in sorted(Path(shards_uri).iterdir()):
        shard = decode_shard(path.read_bytes())
        n = len(shard.object_ids)
        for n_pixels, prepared in dataset.inputs.items():
            expected = network_input(shard.stamps, prepared.channels, n_pixels)
            assert np.abs(prepared.pixels[start : start + n].astype(np.float32) - expected).max() < 2.5e-4
        assert [KINDS[k] for k in dataset.kinds[start : start + n]] == shard.truth["kind"].to_pylist()
        assert np.array_equal(dataset.group_ids[start : start + n], shard.object_ids)
        start += n
    assert start == len(dataset.kinds) == 120
    assert {n: len(prepared.channels) for n, prepared in dataset.inputs.items()} == {66: 4, 200: 4}


def test_all_objects_of_a_channel_lie_together(dataset):
    """A network reads no pages of channels that it does not use."""
    for n_pixels, prepared in dataset.inputs.items():
        of_object, of_channel, *_ = prepared.pixels.strides
        assert (of_object, of_channel) == (2 * n_pixels**2, 2 * n_pixels**2 * len(dataset.kinds))


def test_labels_are_indices_into_the_classes_of_a_network(dataset):
    assert np.array_equal(dataset.labels(("nonlens", "lens")), dataset.kinds != KINDS.index("nonlens"))
    assert np.array_equal(dataset.labels(KINDS), dataset.kinds)
    mixed = ("nonlens", "double_ring", "single", "compound_arc")
    assert [mixed[label] for label in dataset.labels(mixed)[:9]] == [KINDS[kind] for kind in dataset.kinds[:9]]


def test_shards_of_another_geometry_are_converted_as_in_scans(shards_uri, tmp_path):
    spec = FLAGSHIP_NETWORKS[0]
    found = prepare_dataset(shards_uri, tmp_path / "data", [spec], MER_10.name).inputs[100]
    shard = decode_shard(min(Path(shards_uri).iterdir()).read_bytes())
    images = {band: BandImage(stamps[3], CHALLENGE.grids[band].pixel_scale_arcsec) for band, stamps in shard.stamps.items()}
    stamps = {band: stamp[None] for band, stamp in to_cutout(images, MER_10).stamps.items()}
    expected = network_input(stamps, spec.channels, 100)[0]
    assert np.abs(found.pixels[3].astype(np.float32) - expected).max() < 2e-3


def test_folders_number_their_own_objects(tmp_path):
    for folder in "ab":
        write_shards(tmp_path / "shards" / folder, 4)
    assert len(prepare(str(tmp_path / "shards"), tmp_path / "data").kinds) == 8


def test_each_folder_of_shards_is_a_data_set(tmp_path):
    """An evaluation refuses each of them alone, although shards of injections state no seed."""
    for i, folder in enumerate(("", "b", "b/c")):
        write_shards(tmp_path / "shards" / folder, 4, n_shards=1, first_id=10 * i)
    found = prepare(str(tmp_path / "shards"), tmp_path / "data")
    own = [digest([sha256_bytes(path.read_bytes())]) for path in sorted((tmp_path / "shards").rglob("*.parquet"))]
    assert found.data_sets[0] == found.digest == shards_digest(shard_footers(str(tmp_path / "shards")))
    assert sorted(found.data_sets[1:]) == sorted(own)
    assert shards_digest(shard_footers(str(tmp_path / "shards" / "b" / "c"))) in found.data_sets


def test_every_object_is_in_exactly_one_split(dataset):
    rows = [dataset.rows(split, 0.1, 0.2) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(rows)) == list(range(120))


def test_the_split_follows_the_object_not_the_row(tmp_path):
    a = prepare(write_shards(tmp_path / "a", 40, n_shards=2), tmp_path / "a-data")
    b = prepare(write_shards(tmp_path / "b", 60, n_shards=5, first_id=980), tmp_path / "b-data")
    in_a, in_b = ({*d.group_ids[d.rows("test", 0.2, 0.3)]} for d in (a, b))
    shared = {*a.group_ids} & {*b.group_ids}
    assert in_a & shared == in_b & shared
    assert len(in_a & shared) > 3


def test_a_galaxy_without_and_with_arcs_is_in_one_split(tmp_path):
    """Injection gives each row its own id; a pair shares the index."""
    rng = np.random.default_rng(0)
    kinds = ["nonlens", "single"] * 30
    stamps = {band: draw(grid, kinds, rng) for band, grid in CHALLENGE.grids.items()}
    truth = {"kind": kinds, "index": [i // 2 for i in range(60)]}
    (tmp_path / "shards").mkdir()
    table = shard_table(np.arange(60), stamps, truth, CHALLENGE)
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(table))
    dataset = prepare(str(tmp_path / "shards"), tmp_path / "data")
    for split in ("train", "validation", "test"):
        rows = dataset.rows(split, 0.3, 0.3)
        assert len(rows)
        assert dataset.kind_counts(rows)["nonlens"] == dataset.kind_counts(rows)["single"] == len(rows) / 2


@pytest.mark.parametrize(("value", "message"), [(np.nan, "non-finite"), (7.0, "constant")])
def test_stamps_that_a_scan_would_reject_are_named(tmp_path, value, message):
    stamps = {band: np.full((1, grid.n_pixels, grid.n_pixels), value, np.float32) for band, grid in CHALLENGE.grids.items()}
    (tmp_path / "shards").mkdir()
    table = shard_table(np.arange(1), stamps, {"kind": ["single"]}, CHALLENGE)
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(table))
    with pytest.raises(TrainingError, match=rf"shard-00000.*{message}"):
        prepare(str(tmp_path / "shards"), tmp_path / "data")


def test_hashed_fractions_are_uniform():
    fractions = np.sort(hashed_fraction(np.arange(100000)))
    # Kolmogorov-Smirnov: 1.63 / sqrt(n) is exceeded once in a hundred.
    assert np.abs(fractions - np.arange(100000) / 100000).max() < 1.63 / np.sqrt(100000)


def test_the_digest_depends_on_content_and_not_on_path(shards_uri, dataset, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in Path(shards_uri).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert prepare(str(copy), tmp_path / "data").digest == dataset.digest
    (copy / "shard-00001.parquet").unlink()
    shorter = prepare(str(copy), tmp_path / "data")
    assert shorter.digest != dataset.digest
    assert len(shorter.kinds) == 60


def test_prepared_arrays_are_kept(tmp_path):
    uri = write_shards(tmp_path / "shards", 8)
    prepare(uri, tmp_path / "data")
    before = (tmp_path / "data" / "inputs_200.npy").stat().st_mtime_ns
    assert len(prepare(uri, tmp_path / "data").kinds) == 8
    assert (tmp_path / "data" / "inputs_200.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize("left", ["", '{"prepared": {"layout"'])
def test_arrays_whose_marker_is_cut_off_are_prepared_again(tmp_path, left):
    uri = write_shards(tmp_path / "shards", 8)
    prepare(uri, tmp_path / "data")
    (tmp_path / "data" / "dataset.json").write_text(left)
    assert len(prepare(uri, tmp_path / "data").kinds) == 8


def one_shard(geometry, kind):
    stamps = {b: np.random.default_rng(0).normal(size=(2, g.n_pixels, g.n_pixels)) for b, g in geometry.grids.items()}
    return encode_shard(shard_table(np.arange(2), stamps, {"kind": [kind, "single"]}, geometry))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (one_shard(CHALLENGE, None), "kind must be one of .*None"),
        (one_shard(CHALLENGE, "quasar"), "kind must be one of .*quasar"),
        (one_shard(CHALLENGE, "single")[:-100], r"a\.parquet"),
        (b"PAR1", r"a\.parquet"),
    ],
    ids=["no truth", "unknown kind", "truncated", "rubbish"],
)
def test_unusable_shards_are_named(tmp_path, data, says):
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(TrainingError, match=says) as error:
        prepare(str(tmp_path), tmp_path / "data")
    assert "a.parquet" in str(error.value)


def test_missing_shards_and_repeated_objects_are_errors(tmp_path):
    with pytest.raises(TrainingError, match="holds no shards"):
        prepare(str(tmp_path / "none"), tmp_path / "data")
    uri = write_shards(tmp_path / "shards", 8, n_shards=1)
    shutil.copy(tmp_path / "shards" / "shard-00000.parquet", tmp_path / "shards" / "copy.parquet")
    with pytest.raises(TrainingError, match="8 of 16 repeat"):
        prepare(uri, tmp_path / "data")
