"""Untrusted Parquet and CSV files are refused by their metadata, before memory is allocated or pixels are read."""

import collections
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scanner.catalogue.find_units import find_units
from scanner.catalogue.units import PlanError
from scanner.sources.manifests import read_manifest
from scanner.sources.shards import numbered_objects, open_shard, shard_of
from tests.faults.harness.parquet_bombs import (
    manifest,
    mutated,
    pieces,
    refusal,
    shard,
    written,
)
from tests.faults.harness.sandbox import sandboxed
from tests.scanner.sources.listed_shards import with_lists


def healthy_files():
    """Return the bytes of a valid file for each reader, by name."""
    names = [f"a{i % 3}.fits" for i in range(20)]
    rows = b"".join(b"%d,a.fits,1.5\n" % i for i in range(20))
    return {
        "shard": written(shard(2)),
        "encoded shard": written(shard(2), use_dictionary=True),
        "listed shard": written(with_lists(shard(2))),
        "manifest": written(manifest(20), write_page_checksum=True),
        "encoded manifest": written(manifest(20, VIS=names), use_dictionary=True, data_page_version="2.0"),
        "CSV manifest": b"object_id,VIS,ra\n" + rows,
    }


def read_mutants(folder, first, last):
    """Count the outcomes; runs in the sandbox."""
    files, counts = healthy_files(), collections.Counter()
    path = Path(folder) / "x.parquet"
    for seed in range(int(first), int(last)):
        rng = np.random.default_rng(seed)
        name = rng.choice(list(files))
        path.write_bytes(mutated(files[name], rng))
        try:
            if name.endswith("shard"):
                counts[f"{name} planned: {refusal(find_units, folder) == 'was read'}"] += 1
                said = refusal(pieces, path)
            else:
                said = refusal(read_manifest, str(path))
        except BaseException as error:
            raise RuntimeError(f"seed {seed}: {name}: {error!r}") from error
        counts[f"{name}: {said == 'was read'}"] += 1
    return counts


def check(counts, n):
    assert sum(count for name, count in counts.items() if "planned" not in name) == n
    for name in healthy_files():
        assert counts[f"{name}: True"] > 0, name
        assert counts[f"{name}: False"] > 0, name


@pytest.mark.fault(31)
def test_three_hundred_mutants_are_read_or_refused(tmp_path):
    check(sandboxed(__name__, "read_mutants", tmp_path, 0, 300), 300)


@pytest.mark.faults
@pytest.mark.fault(31)
def test_five_thousand_mutants_are_read_or_refused(tmp_path, measured):
    check(sandboxed(__name__, "read_mutants", tmp_path, 300, 5300), 5000)
    measured(runs=5000, note="5 000 mutants of shards and manifests: read or refused by name, no crash, nothing written")


class Counted(io.BytesIO):
    """A file that counts the bytes read from it."""

    n_read = 0

    def read(self, n=-1):
        data = super().read(n)
        self.n_read += len(data)
        return data


def other_shards():
    """Return tables that differ from a shard in one respect, by name."""
    good = shard()
    ids = good.schema.get_field_index("object_id")

    def with_ids(array, nullable=False):
        return good.set_column(ids, pa.field("object_id", array.type, nullable=nullable), array)

    def with_vis(array):
        return good.set_column(1, pa.field("VIS", array.type, nullable=False), array)

    images = good["VIS"].to_pylist()
    pixels = [np.frombuffer(image, "<f4") for image in images]
    tensors = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (200, 200)), pa.array(pixels, pa.list_(pa.float32(), 40_000))
    )
    other_order = [good.column_names[i] for i in (0, 2, 1, *range(3, good.num_columns))]
    return {
        "float ids": with_ids(pa.array([1.0, 2.0, 3.0])),
        "text ids": with_ids(pa.array(["1", "2", "3"])),
        "unsigned ids": with_ids(pa.array([1, 2, 3], pa.uint64())),
        "short ids": with_ids(pa.array([1, 2, 3], pa.int32())),
        "nullable ids": with_ids(pa.array([1, None, 3]), nullable=True),
        "nested ids": with_ids(pa.array([{"id": 1}] * 3)),
        "ids of an extension type": with_ids(pa.array([b"1" * 16] * 3, pa.uuid())),
        "lists of any length": with_vis(pa.array(pixels, pa.list_(pa.float32()))),
        "double pixels": with_vis(pa.array(pixels, pa.list_(pa.float64(), 40_000))),
        "tensors": with_vis(tensors),
        "bytes of any length": with_vis(pa.array(images)),
        "bytes of another length": with_vis(pa.array([image[4:] for image in images], pa.binary(159_996))),
        "a band twice": good.append_column(good.schema.field("H"), good["H"]),
        "another order": good.select(other_order),
        "one band less": good.drop_columns(["Y"]),
        "one band more": good.append_column(pa.field("Z", good["H"].type), good["H"]),
    }


@pytest.mark.fault(25)
def test_shards_of_another_schema_are_refused_unread(tmp_path, measured):
    kinds = other_shards()
    for table in kinds.values():
        data = written(table)
        source = Counted(data)
        with pytest.raises(ValueError, match="columns are not those of a challenge shard"):
            open_shard(lambda source=source: source)
        assert source.n_read < 2**17 < len(data)
        (tmp_path / "x.parquet").write_bytes(data)
        with pytest.raises(PlanError, match=r"x\.parquet: .*columns are not those of a challenge shard"):
            find_units(str(tmp_path))
    measured(runs=len(kinds), note="shards of any other schema: refused by their footer")


@pytest.mark.fault(31)
def test_ids_and_pixels_are_exact_in_any_encoding(tmp_path):
    ids = [2**53 + 1, -(2**63), 2**63 - 1]
    plain, packed = (written(shard(ids=ids), use_dictionary=encoded) for encoded in (False, True))
    listed = written(with_lists(shard(ids=ids)), use_byte_stream_split=["J.list.element"])
    assert len({plain, packed, listed}) == 3
    for data in (plain, packed, listed):
        assert numbered_objects(io.BytesIO(data)).object_ids.tolist() == ids
        (piece,) = open_shard(lambda data=data: pa.BufferReader(data)).pieces(64)
        np.testing.assert_array_equal(piece.stamps["J"].reshape(3, -1), shard_of(shard()).stamps["J"].reshape(3, -1))
    (tmp_path / "x.parquet").write_bytes(packed)
    (unit,) = find_units(str(tmp_path))
    assert unit.n_rows == 3


class Payload:
    """An object that creates a marker folder when it is unpickled."""

    def __init__(self, marker):
        self._marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self._marker),)


@pytest.mark.fault(31)
def test_a_pickled_extension_type_is_never_unpickled(tmp_path):
    marker = tmp_path / "marker"
    pickled = pickle.dumps(Payload(marker))
    pickle.loads(pickled)  # noqa: S301 - shows that the payload works
    marker.rmdir()
    told = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled}
    good = shard()
    for column in ("object_id", "VIS"):
        field = good.schema.field(column).with_metadata(told)
        place = good.schema.get_field_index(column)
        (tmp_path / "x.parquet").write_bytes(written(good.set_column(place, field, good[column])))
        refusal(pieces, tmp_path / "x.parquet")
        refusal(find_units, str(tmp_path))
    texts = pa.field("VIS", pa.string(), metadata=told)
    (tmp_path / "manifest").write_bytes(written(manifest().set_column(1, texts, [["a.fits"] * 3])))
    refusal(read_manifest, str(tmp_path / "manifest"))
    assert not marker.exists()


MANIFEST_COLUMNS = {
    "float ids": ({"object_id": [1.0, 2.0, 3.0]}, "object_id must be of a type like int64, got double"),
    "decimal ids": (
        {"object_id": pa.array([1, 2, 3], pa.decimal128(20))},
        "object_id must be of a type like int64, got decimal",
    ),
    "nested ids": ({"object_id": [[1], [2], [3]]}, "object_id must be of a type like int64, got list"),
    "ids that are times": ({"object_id": pa.array([1, 2, 3], pa.timestamp("s"))}, "object_id must be of a type like int64"),
    "ids of an extension type": ({"object_id": pa.array([b"1" * 16] * 3, pa.uuid())}, "got extension<arrow.uuid>"),
    "large ids": ({"object_id": pa.array([2**63, 1, 2], pa.uint64())}, "object_id does not fit int64"),
    "no id": ({"object_id": [1, None, 3]}, "row 2 has no object_id"),
    "bytes": ({"VIS": [b"a"] * 3}, "VIS must be of a type like string, got binary"),
    "JSON": ({"VIS": pa.array(['{"a": 1}'] * 3, pa.json_())}, "VIS must be of a type like string, got extension<arrow.json>"),
    "structs": ({"VIS": [{"uri": "a"}] * 3}, "VIS must be of a type like string, got struct"),
    "lists": ({"VIS": [["a"]] * 3}, "VIS must be of a type like string, got list"),
    "positions as texts": ({"ra": ["1"] * 3}, "ra must be of a type like double, got string"),
}


@pytest.mark.fault(31)
@pytest.mark.parametrize("kind", MANIFEST_COLUMNS)
def test_manifests_of_other_types_are_refused(tmp_path, kind):
    columns, expected = MANIFEST_COLUMNS[kind]
    (tmp_path / "manifest").write_bytes(written(manifest(**columns)))
    assert expected in refusal(read_manifest, str(tmp_path / "manifest"))
