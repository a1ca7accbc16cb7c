"""Scan rows into a table with an ensemble whose scores are known by hand: the mean of the scaled stamps."""

import os
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.store.storage import info
from scanner.catalogue.columns import score_schema, unit_schema
from scanner.catalogue.find_units import find_units
from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.unit_inputs import InputChangedError
from scanner.catalogue.units import InputFile, Unit, id_digest
from scanner.scan.batch_reader import BatchReader
from scanner.scan.errors import ScanError
from scanner.scan.manifest import score_manifest
from scanner.scan.open_unit import open_unit
from scanner.scan.scoring import CutoutScanner
from scanner.scan.unit import scan_unit
from scanner.sources.shards import encode_shard, shard_table
from scanner.sources.tile_batches import tile_batches
from scanner.sources.tiles import Tile, read_tile_catalogue
from scanner.vocabulary.candidate_name import candidate_name
from scanner.vocabulary.geometry import CHALLENGE, MER
from tests.scanner.mean_ensemble import CUTOUTS, MeanEnsemble, expected
from tests.scanner.scanned import scanned
from tests.tiles import write_tile


@pytest.mark.parametrize(("ids", "kind"), [(["7", "-9"], pa.int64()), (["a", "7"], pa.string())])
def test_a_manifest_keeps_its_ids_order_and_schema(tmp_path, ids, kind):
    (tmp_path / "m.csv").write_text("object_id,VIS\n" + "".join(f"{i},gone.fits\n" for i in ids))
    calls = []
    table = score_manifest(str(tmp_path / "m.csv"), CutoutScanner(MeanEnsemble(), 1), lambda *call: calls.append(call))
    assert table.schema.equals(score_schema(kind, ("A", "B")), check_metadata=True)
    assert [str(object_id) for object_id in table["object_id"].to_pylist()] == ids
    assert set(table["status"].to_pylist()) == {"rejected:missing_file"}
    assert calls == [(1, 2), (2, 2)]


def test_an_empty_manifest_gives_an_empty_table(tmp_path):
    (tmp_path / "m.csv").write_text("object_id,VIS\n")
    table = score_manifest(str(tmp_path / "m.csv"), CutoutScanner(MeanEnsemble()))
    assert table.num_rows == 0
    assert table.column_names[0] == "object_id"


def test_a_tile_gives_each_source_with_name_and_position(tmp_path):
    ids = write_tile(tmp_path, 3, n_objects=5)
    (unit,) = find_units(str(tmp_path))
    table = scanned(unit, CutoutScanner(MeanEnsemble(), 2), "2026-01-02")
    assert table.schema.equals(unit_schema(("A", "B")), check_metadata=True)
    assert table["object_id"].to_pylist() == ids.tolist()
    assert set(table["status"].to_pylist()) == {"scored"}
    assert set(table["tile"].to_pylist()) == {"000000003"}
    assert set(table["night"].to_pylist()) == {"2026-01-02"}
    assert table["candidate_id"][0].as_py() == candidate_name(table["ra"][0].as_py(), table["dec"][0].as_py(), "EUCL")
    assert len(set(table["p_lens"].to_pylist())) == 5
    check_outcomes(table)


def test_rows_that_another_unit_owns_are_skipped(tmp_path):
    ids = write_tile(tmp_path, 3, n_objects=4)
    (whole,) = find_units(str(tmp_path))
    unit = whole.model_copy(update={"n_rows": 3, "owned_elsewhere": (int(ids[1]),)})
    table = scanned(unit, CutoutScanner(MeanEnsemble()), "2026-01-02")
    assert table["object_id"].to_pylist() == np.delete(ids, 1).tolist()
    everything = scanned(whole, CutoutScanner(MeanEnsemble()), "2026-01-02")
    assert table["p_A"].to_pylist() == np.delete(everything["p_A"].to_pylist(), 1).tolist()


def test_a_mosaic_that_changes_during_a_scan_is_an_error(tmp_path):
    write_tile(tmp_path, 3, n_objects=4)
    (unit,) = find_units(str(tmp_path))
    scanner = CutoutScanner(MeanEnsemble())
    opened = open_unit(unit, scanner.geometry, 2)
    next(tmp_path.glob("*VIS*")).write_bytes(b"")
    opened = replace(opened, batches=BatchReader(lambda: tile_batches_of(unit, scanner), n_ahead=0))
    with pytest.raises(InputChangedError, match="changed since the plan was made"):
        scan_unit(opened, scanner, "2026-01-02")


def tile_batches_of(unit, scanner):
    """Return batches as from a unit that was opened before its files changed."""
    catalogue = read_tile_catalogue(unit.files["catalogue"].uri)
    mosaics = {role: file.uri for role, file in unit.files.items() if role != "catalogue"}
    return tile_batches(Tile(unit.unit_id, mosaics, unit.files["catalogue"].uri), catalogue, scanner.geometry, 2)


def test_input_that_changed_since_the_plan_is_an_error(tmp_path):
    write_tile(tmp_path, 3, n_objects=2)
    (unit,) = find_units(str(tmp_path))
    scanner = CutoutScanner(MeanEnsemble())
    with pytest.raises(ScanError, match="the plan has 3 rows, its files 2"):
        scanned(unit.model_copy(update={"n_rows": 3}), scanner, "2026-01-02")
    vis = next(tmp_path.glob("*VIS*"))
    content = vis.read_bytes()
    vis.unlink()
    with pytest.raises(InputChangedError, match=r"VIS .* is gone"):
        scanned(unit, scanner, "2026-01-02")
    vis.write_bytes(content[::-1])
    with pytest.raises(InputChangedError, match="changed since the plan was made"):
        scanned(unit, scanner, "2026-01-02")


def write_shard(path, indices=(10, 11, None)):
    n = len(indices)
    stamps = {band: np.stack([row.stamps[band] for row in CUTOUTS[:n]]) for band in CHALLENGE.grids}
    stamps["J"][1] = 0
    path.write_bytes(encode_shard(shard_table(np.arange(n) + 2**53, stamps, {"index": list(indices)}, CHALLENGE)))


def shard_unit(path, n_rows=3):
    file = info(str(path))
    files = {"shard": InputFile(uri=file.uri, size=file.size, etag=file.etag)}
    return Unit(unit_id="test-00000", kind="shard", files=files, n_rows=n_rows, id_digest=id_digest(np.arange(3) + 2**53))


def test_a_shard_gives_every_object_without_a_position(tmp_path):
    write_shard(tmp_path / "s.parquet")
    table = scanned(shard_unit(tmp_path / "s.parquet"), CutoutScanner(MeanEnsemble()), "2026-01-02")
    assert table["object_id"].to_pylist() == [2**53, 2**53 + 1, 2**53 + 2]
    assert table["candidate_id"].to_pylist() == ["SIM 10", "SIM 11", f"SIM {2**53 + 2}"]
    assert table["ra"].null_count == table["dec"].null_count == 3
    assert table["status"].to_pylist() == ["scored", "rejected:blank", "scored"]
    for i in (0, 2):
        assert table["p_A"][i].as_py() == pytest.approx(expected(CUTOUTS[i])["p_A"], abs=1e-7)
    check_outcomes(table)


def test_mer_stamps_are_resampled_to_the_ensembles_geometry(tmp_path):
    rng = np.random.default_rng(0)
    stamps = {band: rng.exponential(size=(1, 200, 200)).astype(np.float32) for band in MER.grids}
    path = tmp_path / "s.parquet"
    path.write_bytes(encode_shard(shard_table(np.array([1]), stamps, {}, MER)))
    table = scanned(shard_unit(path, 1), CutoutScanner(MeanEnsemble()), "2026-01-02")
    blocks = stamps["H"][0, 1:199, 1:199].reshape(66, 3, 66, 3).sum(axis=(1, 3), dtype=np.float64)
    assert table["p_B"][0].as_py() == pytest.approx(((blocks - blocks.min()) / np.ptp(blocks)).mean(), abs=1e-6)


def test_a_whole_mosaic_in_place_of_another_is_not_scored(tmp_path):
    write_tile(tmp_path / "in", 3, n_objects=4)
    write_tile(tmp_path / "other", 3, n_objects=4, seed=1)
    (unit,) = find_units(str(tmp_path / "in"))
    check_not_scored(unit, "VIS", next((tmp_path / "other").glob("*VIS*")))


def test_a_whole_shard_in_place_of_another_is_not_scored(tmp_path):
    write_shard(tmp_path / "s.parquet")
    write_shard(tmp_path / "other.parquet", indices=(20, 21, 22))
    check_not_scored(shard_unit(tmp_path / "s.parquet"), "shard", tmp_path / "other.parquet")


def check_not_scored(unit, role, other):
    """Replace a file of an open unit by a valid one, of another time, which a second read then reads without an error."""
    scanner = CutoutScanner(MeanEnsemble(), 2)
    opened = open_unit(unit, scanner.geometry, 2)
    os.utime(other, (1, 1))
    other.replace(unit.files[role].uri)
    opened.batches.restart()
    with closing(opened.batches), pytest.raises(InputChangedError, match=f"{role} .* changed since the plan was made"):
        scan_unit(opened, scanner, "2026-01-02")


def test_an_unreadable_shard_is_an_error(tmp_path):
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"object_id": [1]}), path)
    with pytest.raises(ScanError, match="test-00000: shard geometry must be one of"):
        scanned(shard_unit(path), CutoutScanner(MeanEnsemble()), "2026-01-02")


def test_names_are_truncated_not_rounded():
    assert candidate_name(266.3231625, 65.9368083, "EUCL") == "EUCL J174517.55+655612.5"
    # 59.9999 s would round to 60; 0h 0m -0.9 s wraps; the sign survives in -0 deg.
    assert candidate_name((59.9999 / 3600) * 15, -0.9999 / 3600, "EUCL") == "EUCL J000059.99-000000.9"
    assert (
        candidate_name(360.0, 90.0, "EUCL") == candidate_name(np.nextafter(360, 0), 90.0, "EUCL") == "EUCL J000000.00+900000.0"
    )
    assert candidate_name(-15.0, 0.0, "EUCL") == "EUCL J230000.00+000000.0"


@settings(max_examples=200)
@given(st.integers(0, 24 * 360_000 - 1), st.integers(-90 * 36_000, 90 * 36_000))
def test_names_hold_the_digits_of_decimal_positions(ra_centiseconds, dec_deciseconds):
    """A position that is a whole number of the name's last digits gives exactly those digits, as astropy prints them."""
    position = SkyCoord(ra_centiseconds / 360_000 * 15 * units.deg, dec_deciseconds / 36_000 * units.deg)
    ra = position.ra.to_string(units.hour, sep="", precision=2, pad=True)
    dec = position.dec.to_string(units.deg, sep="", precision=1, pad=True, alwayssign=True)
    assert candidate_name(position.ra.deg, position.dec.deg, "EUCL") == f"EUCL J{ra}{dec}"
