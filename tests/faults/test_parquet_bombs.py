"""Parquet and CSV files that would unpack to gigabytes are refused by their metadata, in little memory."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scanner.catalogue.find_units import find_units
from scanner.files.parquet_checked import MAX_FOOTER_BYTES
from scanner.scan.scoring import CutoutScanner
from scanner.sources.manifests import read_manifest
from tests.faults.harness.parquet_bombs import (
    DATA,
    DICTIONARY,
    claiming_rows,
    manifest,
    pieces,
    refusal,
    shard,
    with_footer,
    with_page,
    written,
    zeros,
)
from tests.faults.harness.sandbox import sandboxed
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned


def shard_bombs():
    """Return `(bytes, expected message)` of each file, by name."""
    good = written(shard())
    huge = 2 * 10**9
    return {
        "page of ids": (with_page(good, "object_id", 2**31 - 1), "object_id: a page must unpack to at most"),
        "dictionary of ids": (with_page(good, "object_id", 2**31 - 1, kind=DICTIONARY), "object_id: a page must unpack to"),
        "page of pixels": (with_page(good, "VIS", huge, zeros(huge), n_values=3), "VIS: a page must unpack to at most"),
        "rows": (claiming_rows(good, 3, 2**40), "must hold at most 1048576 rows, got 1099511627776"),
        "length of footer": (good[:-8] + b"\xff\xff\xff\x7fPAR1", "bytes that are not a complete Parquet file"),
        "footer": (with_footer(good, lambda footer: footer + bytes(MAX_FOOTER_BYTES)), "its footer must have at most"),
    }


def manifest_bombs():
    n = 700_000
    once = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x" * 2**20]))
    repeated = written(manifest(n, VIS=once), use_dictionary=True, store_schema=False)
    deltas = written(manifest(2000), column_encoding={"VIS": "DELTA_BYTE_ARRAY", "object_id": "PLAIN"})
    text = written(manifest(n, VIS=pa.array(["x" * 400]).take(pa.array(np.zeros(n, np.int32)))))
    return {
        "one text for all rows": (repeated, "VIS must have at most 268435456 bytes of text, got 734003200000"),
        "texts by their differences": (deltas, "VIS: the encoding DELTA_BYTE_ARRAY is not read"),
        "text": (text, "must unpack to at most 268435456 bytes, got more"),
        "page": (with_page(written(manifest(100)), "VIS", 2**31 - 1), "VIS: a page must unpack to at most"),
        "rows": (claiming_rows(written(manifest(7)), 7, 2**40), "must hold at most 1048576 rows"),
        "columns of CSV": (b"," * 10**7 + b"\n1\n", "must have at most 2000 columns, got 10000001"),
        "rows of CSV": (b"object_id,VIS\n" + b",\n" * 10**7, "must have at most 1048576 rows, got 10000000"),
        "rows of CSV on a Mac": (b"object_id,VIS\r" + b",\r" * 10**7, "must have at most 1048576 rows, got 10000000"),
    }


def read_shards(folder):
    """Return the messages of the plan and of the scan for each shard; runs in the sandbox."""
    paths = sorted(Path(folder).rglob("x.parquet"))
    return {path.parent.name: (refusal(find_units, str(path.parent)), refusal(pieces, path)) for path in paths}


def read_manifests(folder):
    return {path.name: refusal(read_manifest, str(path)) for path in sorted(Path(folder).iterdir())}


@pytest.mark.faults
@pytest.mark.fault(28)
def test_shards_that_unpack_without_end_are_refused(tmp_path, measured):
    bombs = shard_bombs()
    for name, (data, _) in bombs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.parquet").write_bytes(data)
    said = sandboxed(__name__, "read_shards", tmp_path)
    assert sorted(said) == sorted(bombs)
    for name, (_, expected) in bombs.items():
        by_plan, by_scan = said[name]
        assert expected in by_scan, name
        # A plan reads only the ids.
        assert expected in by_plan or name == "page of pixels", name
    measured(runs=len(said), note="Parquet pages, dictionaries, rows and footers that claim GB: refused unread, below 1.5 GB")


@pytest.mark.fault(28)
@pytest.mark.parametrize("kind", [DATA, DICTIONARY])
def test_a_shard_with_oversized_pages_is_rejected(tmp_path, kind):
    """A plan reads only the ids: the scan must detect the page, and score no row of the shard."""
    good = written(shard())
    (tmp_path / "x.parquet").write_bytes(with_page(good, "H", 2**31 - 1, kind=kind))
    (unit,) = find_units(str(tmp_path))
    rows = scanned(unit, CutoutScanner(MeanEnsemble()), "2026-11-24").to_pylist()
    assert [row["status"] for row in rows] == ["rejected:shard_damaged"] * 3
    assert all("H: a page must unpack to at most" in row["detail"] and row["p_lens"] is None for row in rows)


@pytest.mark.faults
@pytest.mark.fault(28)
def test_manifests_that_unpack_without_end_are_refused(tmp_path, measured):
    bombs = manifest_bombs()
    for name, (data, _) in bombs.items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "sparse").open("wb") as sparse:
        os.truncate(sparse.fileno(), 10**11)
    said = sandboxed(__name__, "read_manifests", tmp_path)
    assert "100000000000 bytes, at most 268435456 are read" in said.pop("sparse")
    assert {name: text for name, text in said.items() if bombs[name][1] not in text} == {}
    measured(runs=len(said) + 1)
