"""Scan rows into a table with an ensemble whose scores are known by hand: the mean of the scaled stamps."""

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
from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.units import InputFile, Unit, find_units, id_digest
from scanner.networks.ensemble import EnsembleScores
from scanner.scan.score_table import ScanError
from scanner.scan.scoring import CutoutScanner
from scanner.scan.unit import candidate_name, open_unit, scan_open_unit, scan_unit, score_manifest, with_second_opinion
from scanner.sources.cutouts import Cutout
from scanner.sources.shards import encode_shard, shard_table
from scanner.sources.tile_batches import tile_batches
from scanner.sources.tiles import Tile, read_tile_catalogue
from scanner.vocabulary.geometry import CHALLENGE, MER
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.scaling import min_max
from tests.tiles import write_tile


class MeanEnsemble:
    """Ensemble in which p of `A` is the mean of VIS after min-max, p of `B` the mean of H, and p_lens the mean of both."""

    geometry = CHALLENGE
    network_names = ("A", "B")

    def __init__(self, compound=True, spoil=None):
        self.compound = compound
        self.spoil = spoil
        self.batches = []

    def score(self, stamps):
        self.batches.append(len(stamps["VIS"]))
        p = {name: min_max(stamps[band]).mean(axis=(1, 2)) for name, band in zip("AB", ("VIS", "H"), strict=True)}
        if self.spoil is not None:
            p["B"][-1] = self.spoil
        p_lens = (p["A"] + p["B"]) / 2
        kinds = ["single"] * len(p_lens)
        return EnsembleScores(p, p_lens * 0.1, p_lens, p_lens / 2 if self.compound else None, kinds if self.compound else None)


def cutout(seed, *notes):
    rng = np.random.default_rng(seed)
    shapes = {band: (grid.n_pixels, grid.n_pixels) for band, grid in CHALLENGE.grids.items()}
    return Cutout({band: rng.exponential(size=shape).astype(np.float32) for band, shape in shapes.items()}, notes)


CUTOUTS = [cutout(i) for i in range(4)]


def expected(row):
    p = {name: float(min_max(row.stamps[band][None]).mean()) for name, band in (("A", "VIS"), ("B", "H"))}
    return {"p_A": p["A"], "p_B": p["B"], "p_lens": (p["A"] + p["B"]) / 2}


def test_rows_come_out_in_order_with_status_detail_and_nulls():
    rows = [
        Rejection(RejectCode.BLANK, "VIS: every pixel is 0"),
        cutout(1, "substituted: Y = VIS", "padded: VIS"),
        Rejection(RejectCode.MISSING_FILE, "Y: gone.fits"),
        cutout(2),
    ]
    table = CutoutScanner(MeanEnsemble()).score(rows)
    assert table.column_names == [
        "status",
        "detail",
        "p_A",
        "p_B",
        "p_lens",
        "p_compound",
        "subclass",
        "disagreement",
        "precision",
    ]
    assert table["status"].to_pylist() == ["rejected:blank", "scored", "rejected:missing_file", "scored"]
    assert table["detail"].to_pylist() == [
        "VIS: every pixel is 0",
        "substituted: Y = VIS; padded: VIS",
        "Y: gone.fits",
        "",
    ]
    found = table.to_pylist()
    for i in (1, 3):
        for name, p in expected(rows[i]).items():
            assert found[i][name] == pytest.approx(p, abs=1e-6)
        assert found[i]["subclass"] == "single"
    for i in (0, 2):
        assert {found[i][name] for name in ("p_A", "p_B", "p_lens", "p_compound", "disagreement")} == {None}
        assert found[i]["subclass"] == ""
    check_outcomes(table)


def test_values_that_an_ensemble_does_not_output_are_empty():
    table = CutoutScanner(MeanEnsemble(compound=False)).score(CUTOUTS[:2])
    assert table["p_compound"].null_count == 2
    assert table["subclass"].to_pylist() == ["", ""]
    assert table["p_lens"].null_count == 0


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(list(RejectCode))), max_size=12), st.integers(1, 5))
def test_any_mixture_of_rows_gives_one_row_each(mixture, batch_size):
    rows = [CUTOUTS[x] if isinstance(x, int) else Rejection(x, "why") for x in mixture]
    table = CutoutScanner(MeanEnsemble(), batch_size).score(iter(rows))
    assert table.num_rows == len(rows)
    for row, found in zip(rows, table.to_pylist(), strict=True):
        if isinstance(row, Cutout):
            assert found["status"] == "scored"
            assert found["p_lens"] == pytest.approx(expected(row)["p_lens"], abs=1e-6)
        else:
            assert (found["status"], found["p_lens"]) == (f"rejected:{row.code}", None)


def test_only_one_batch_of_rows_is_held():
    ensemble = MeanEnsemble()
    seen = []

    def stream():
        for i in range(7):
            seen.append((i, len(ensemble.batches)))
            yield CUTOUTS[i % 4]

    CutoutScanner(ensemble, 3).score(stream())
    assert ensemble.batches == [3, 3, 1]
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2)]


@pytest.mark.fault(24)
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_an_output_that_is_no_probability_is_an_error(value):
    with pytest.raises(ScanError, match="p_B: a network must give one probability"):
        CutoutScanner(MeanEnsemble(spoil=value)).score(CUTOUTS)


def test_batch_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        CutoutScanner(MeanEnsemble(), 0)


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
    calls = []
    table = scan_unit(unit, CutoutScanner(MeanEnsemble(), 2), "2026-01-02", lambda *call: calls.append(call))
    assert table.schema.equals(unit_schema(("A", "B")), check_metadata=True)
    assert table["object_id"].to_pylist() == ids.tolist()
    assert set(table["status"].to_pylist()) == {"scored"}
    assert set(table["tile"].to_pylist()) == {"000000003"}
    assert set(table["night"].to_pylist()) == {"2026-01-02"}
    assert table["candidate_id"][0].as_py() == candidate_name(table["ra"][0].as_py(), table["dec"][0].as_py())
    assert len(set(table["p_lens"].to_pylist())) == 5
    assert calls[-1] == (5, 5)
    check_outcomes(table)


def test_rows_that_another_unit_owns_are_skipped(tmp_path):
    ids = write_tile(tmp_path, 3, n_objects=4)
    (whole,) = find_units(str(tmp_path))
    unit = whole.model_copy(update={"n_rows": 3, "owned_elsewhere": (int(ids[1]),)})
    table = scan_unit(unit, CutoutScanner(MeanEnsemble()), "2026-01-02")
    assert table["object_id"].to_pylist() == np.delete(ids, 1).tolist()
    everything = scan_unit(whole, CutoutScanner(MeanEnsemble()), "2026-01-02")
    assert table["p_A"].to_pylist() == np.delete(everything["p_A"].to_pylist(), 1).tolist()


class TellsObjectsApart(MeanEnsemble):
    """Ensemble whose p_lens is the position of the brightest pixel of VIS."""

    def score(self, stamps):
        p = (stamps["VIS"].reshape(len(stamps["VIS"]), -1).argmax(axis=1) / 200**2).astype(np.float32)
        return EnsembleScores({"A": p, "B": p}, p / 4, p, None, None)


def test_a_second_ensemble_scores_likely_rows_only(tmp_path):
    write_tile(tmp_path, 3, n_objects=7)
    (unit,) = find_units(str(tmp_path))
    table = scan_unit(unit, CutoutScanner(MeanEnsemble(), 2), "2026-01-02")
    above = float(np.sort(table["p_lens"].to_numpy())[-3])
    second = TellsObjectsApart()
    found = with_second_opinion(table, unit, CutoutScanner(second, 2), above)
    alone = scan_unit(unit, CutoutScanner(TellsObjectsApart()), "2026-01-02")
    is_asked = table["p_lens"].to_numpy() >= above
    assert is_asked.sum() == 3
    asked = found.filter(is_asked)
    assert asked["second_p_lens"].to_pylist() == alone.filter(is_asked)["p_lens"].to_pylist()
    assert asked["second_disagreement"].to_pylist() == alone.filter(is_asked)["disagreement"].to_pylist()
    assert found.filter(~is_asked)["second_p_lens"].null_count == 4
    assert found.drop(["second_p_lens", "second_disagreement"]).equals(table.drop(["second_p_lens", "second_disagreement"]))
    assert found.schema.equals(unit_schema(("A", "B")), check_metadata=True)
    check_outcomes(found)
    assert with_second_opinion(table, unit, CutoutScanner(second), 1.0) is table


def test_a_store_failure_of_the_second_ensemble_is_an_error(tmp_path, monkeypatch):
    write_tile(tmp_path, 3, n_objects=4)
    (unit,) = find_units(str(tmp_path))
    table = scan_unit(unit, CutoutScanner(MeanEnsemble()), "2026-01-02")

    def fail(*_):
        raise Rejection(RejectCode.IO_ERROR, "H: the store does not answer")
        yield

    monkeypatch.setattr("scanner.scan.unit.tile_batches", fail)
    with pytest.raises(ScanError, match=r"no scores from the second ensemble: io_error: H: the store does not answer"):
        with_second_opinion(table, unit, CutoutScanner(MeanEnsemble()), 0.0)


def test_a_mosaic_that_changes_during_a_scan_is_an_error(tmp_path):
    write_tile(tmp_path, 3, n_objects=4)
    (unit,) = find_units(str(tmp_path))
    scanner = CutoutScanner(MeanEnsemble())
    opened = open_unit(unit, scanner.geometry, 2)
    next(tmp_path.glob("*VIS*")).write_bytes(b"")
    opened = replace(opened, first=tile_batches_of(unit, scanner))
    with pytest.raises(ScanError, match="changed since the plan was made"):
        scan_open_unit(opened, scanner, "2026-01-02")


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
        scan_unit(unit.model_copy(update={"n_rows": 3}), scanner, "2026-01-02")
    vis = next(tmp_path.glob("*VIS*"))
    content = vis.read_bytes()
    vis.unlink()
    with pytest.raises(ScanError, match=r"VIS .* is gone"):
        scan_unit(unit, scanner, "2026-01-02")
    vis.write_bytes(content[::-1])
    with pytest.raises(ScanError, match="changed since the plan was made"):
        scan_unit(unit, scanner, "2026-01-02")


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
    table = scan_unit(shard_unit(tmp_path / "s.parquet"), CutoutScanner(MeanEnsemble()), "2026-01-02")
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
    table = scan_unit(shard_unit(path, 1), CutoutScanner(MeanEnsemble()), "2026-01-02")
    blocks = stamps["H"][0, 1:199, 1:199].reshape(66, 3, 66, 3).sum(axis=(1, 3), dtype=np.float64)
    assert table["p_B"][0].as_py() == pytest.approx(((blocks - blocks.min()) / np.ptp(blocks)).mean(), abs=1e-6)


def test_an_unreadable_shard_is_an_error(tmp_path):
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"object_id": [1]}), path)
    with pytest.raises(ScanError, match="test-00000: shard geometry must be one of"):
        scan_unit(shard_unit(path), CutoutScanner(MeanEnsemble()), "2026-01-02")


def test_names_are_truncated_not_rounded():
    assert candidate_name(266.3231625, 65.9368083) == "EUCL J174517.55+655612.5"
    # 59.9999 s would round to 60; 0h 0m -0.9 s wraps; the sign survives in -0 deg.
    assert candidate_name((59.9999 / 3600) * 15, -0.9999 / 3600) == "EUCL J000059.99-000000.9"
    assert candidate_name(360.0, 90.0) == candidate_name(np.nextafter(360, 0), 90.0) == "EUCL J000000.00+900000.0"
    assert candidate_name(-15.0, 0.0) == "EUCL J230000.00+000000.0"


@settings(max_examples=200)
@given(st.integers(0, 24 * 360_000 - 1), st.integers(-90 * 36_000, 90 * 36_000))
def test_names_hold_the_digits_of_decimal_positions(ra_centiseconds, dec_deciseconds):
    """A position that is a whole number of the name's last digits gives exactly those digits, as astropy prints them."""
    position = SkyCoord(ra_centiseconds / 360_000 * 15 * units.deg, dec_deciseconds / 36_000 * units.deg)
    ra = position.ra.to_string(units.hour, sep="", precision=2, pad=True)
    dec = position.dec.to_string(units.deg, sep="", precision=1, pad=True, alwayssign=True)
    assert candidate_name(position.ra.deg, position.dec.deg) == f"EUCL J{ra}{dec}"
