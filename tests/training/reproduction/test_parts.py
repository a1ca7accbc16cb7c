"""Tests of the parts that a reproduction keeps."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_scorer
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.damaged_parquet import with_damaged_footer
from training.errors import TrainingError
from training.reproduction.parts import OBJECTS_PER_PART, Part, parts_of, read_parts, write_part


@pytest.mark.parametrize("n", [1, 99, 100, 101, 250])
def test_parts_hold_each_object_once(tmp_path, n):
    parts = parts_of(tmp_path, n)
    assert [index for part in parts for index in part.indices] == list(range(n))
    assert max(part.n for part in parts) <= OBJECTS_PER_PART


def test_a_larger_number_keeps_all_whole_parts(tmp_path):
    few, many = ({part.file("x") for part in parts_of(tmp_path, n)} for n in (250, 1000))
    assert few - many == {tmp_path / "000200-50.x.parquet"}


def test_missing_files_are_named(tmp_path):
    part = Part(tmp_path, 0, 2)
    pq.write_table(pa.table({"a": [1, 2]}), part.file("truth"))
    pq.write_table(pa.table({"a": [1, 2]}), part.file("b"))
    assert part.missing(["b", "c"]) == ["c"]
    assert Part(tmp_path, 0, 3).missing(["b"]) == ["truth", "b"]


def test_parts_are_read_in_order_with_their_truth(tmp_path):
    spec = DatasetSpec(n=3, seed=5, geometry="mer10")
    scorer = load_scorer(SHIPPED_DIR / "mer3-cascade", "torch")
    parts = [Part(tmp_path, 0, 2), Part(tmp_path, 2, 1)]
    for part in reversed(parts):
        write_part(part, simulate_objects(spec, part.indices), {"flagship": scorer})
    assert read_parts(parts)["index"].to_pylist() == [0, 1, 2]
    whole = Part(tmp_path / "whole", 0, 3)
    write_part(whole, simulate_objects(spec, whole.indices), {"flagship": scorer})
    expected = read_parts([whole], "flagship")["p_lens"].to_pylist()
    assert read_parts(parts, "flagship")["p_lens"].to_pylist() == pytest.approx(expected, rel=1e-4)
    assert not [name for name in read_parts(parts, "flagship").column_names if name in {"VIS", "Y", "J", "H"}]


def test_a_damaged_part_is_named(tmp_path):
    part = Part(tmp_path, 0, 1)
    sink = io.BytesIO()
    pq.write_table(pa.table({"index": [0]}), sink)
    for content in (b"no parquet", with_damaged_footer(sink.getvalue())):
        part.file("truth").write_bytes(content)
        with pytest.raises(TrainingError, match=r"000000-1\.truth\.parquet: not a readable Parquet file"):
            read_parts([part])
