"""Scan units with rows that killed workers: these are rejected without being read, and all others keep their scores."""

import os
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from infra.store import s3 as objects
from infra.store.storage import StorageError, create_if_absent, info, join
from scanner.catalogue.find_units import find_units
from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.units import InputFile, Unit, id_digest
from scanner.networks.ensemble import EnsembleScores
from scanner.scan import open_unit as open_module
from scanner.scan.errors import ScanError
from scanner.scan.open_unit import open_unit, read_whole
from scanner.scan.row_selection import RowSelection
from scanner.scan.scoring import CutoutScanner
from scanner.scan.sweep import Sweep
from scanner.sources.shards import encode_shard, shard_table
from scanner.sources.tiles import TileCatalogue
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.scanned import scanned
from tests.tiles import write_tile

N_ROWS = 9
BAD = (1, 4, 7)
"""Rows that are rejected for their own faults, whichever rows are left out."""
KILLED = Rejection(RejectCode.WORKER_CRASH, "it killed a worker")
LEFT_OUT = [(0,), (8,), (3,), (5, 2), (1,), (0, 1, 2), (7, 8), (4, 0, 8), (0, 2, 4, 6, 8), tuple(range(1, 9)), tuple(range(9))]


class Brightest:
    """Ensemble whose p_lens is the place of the brightest pixel of VIS, different for each row; it records its scores."""

    geometry = CHALLENGE
    network_names = ("A",)

    def __init__(self):
        self.seen = []

    def score(self, stamps):
        p = (stamps["VIS"].reshape(len(stamps["VIS"]), -1).argmax(axis=1) / 200**2).astype(np.float32)
        self.seen.extend(p.tolist())
        return EnsembleScores({"A": p}, p / 4, p, None, None)


def tile_unit(folder):
    """Make a tile whose sources at `BAD` lie outside the tile."""
    write_tile(folder, 3, N_ROWS)
    (path,) = folder.glob("*FINAL-CAT*")
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["DECLINATION"][list(BAD)] += 1
    (unit,) = find_units(str(folder))
    return unit


@pytest.mark.parametrize("role", ["VIS", "catalogue"])
def test_only_the_planned_version_of_a_tile_is_read(tmp_path, monkeypatch, role):
    """A file that is replaced after the check is refused, although it is the same but for its time."""
    unit = tile_unit(tmp_path)
    monkeypatch.setattr(open_module, "check_unchanged", lambda _: None)
    os.utime(unit.files[role].uri, (1, 1))
    with pytest.raises((Rejection, StorageError), match="changed while it was read"):
        list(open_unit(unit, CHALLENGE, N_ROWS).batches)


def test_read_whole_reads_mosaics_and_cuts_no_stamp(tmp_path, monkeypatch):
    unit, read, cut = tile_unit(tmp_path), [], []
    read_mosaics, rows = open_module.read_mosaics, TileCatalogue.rows
    monkeypatch.setattr(open_module, "read_mosaics", lambda tile, geometry: read.append(tile) or read_mosaics(tile, geometry))
    monkeypatch.setattr(TileCatalogue, "rows", lambda self, places: cut.append(len(places)) or rows(self, places))
    read_whole(unit, CHALLENGE, 2)
    assert [tile.mosaics for tile in read] == [{role: file.uri for role, file in unit.files.items() if role != "catalogue"}]
    # Two calls choose the rows that the unit owns; the reader is closed before or after it asks for the rows to cut.
    assert cut[:2] == [unit.n_rows] * 2
    assert sum(cut[2:]) == 0


def shard_unit(folder):
    """Make a shard whose stamps at `BAD` are blank."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    stamps = {
        band: rng.exponential(size=(N_ROWS, grid.n_pixels, grid.n_pixels)).astype(np.float32)
        for band, grid in CHALLENGE.grids.items()
    }
    stamps["J"][list(BAD)] = 0
    ids = np.arange(N_ROWS) + 100
    path = folder / "s.parquet"
    path.write_bytes(encode_shard(shard_table(ids, stamps, {}, CHALLENGE)))
    return Unit(unit_id="s", kind="shard", files=shard_files(path), n_rows=N_ROWS, id_digest=id_digest(ids))


def shard_files(path):
    file = info(str(path))
    return {"shard": InputFile(uri=file.uri, size=file.size, etag=file.etag)}


@pytest.mark.server
def test_a_shard_in_a_store_is_read_whole_once(s3, tmp_path, monkeypatch):
    local, whole, read_object = shard_unit(tmp_path / "input"), [], objects.read_object
    create_if_absent(join(s3, "s.parquet"), (tmp_path / "input" / "s.parquet").read_bytes(), "1")
    unit = local.model_copy(update={"files": shard_files(join(s3, "s.parquet"))})
    monkeypatch.setattr(objects, "read_object", lambda uri: whole.append(uri) or read_object(uri))
    assert scanned(unit, CutoutScanner(Brightest())).equals(scanned(local, CutoutScanner(Brightest())))
    assert whole == [unit.files["shard"].uri]


def test_read_whole_finds_damaged_pixels_of_a_shard(tmp_path):
    unit, path = shard_unit(tmp_path / "input"), tmp_path / "input" / "s.parquet"
    read_whole(unit, CHALLENGE, 2)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Rejection) as refused:
        read_whole(unit.model_copy(update={"files": shard_files(path)}), CHALLENGE, 2)
    assert refused.value.code is RejectCode.SHARD_DAMAGED


@pytest.fixture(scope="module", params=[tile_unit, shard_unit])
def unit(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("unit") / "input")


@pytest.fixture(scope="module")
def whole(unit):
    """Rows of the unit from a scan that leaves out no row."""
    table = scanned(unit, CutoutScanner(Brightest()), "2026-01-02")
    rows = table.to_pylist()
    assert [place for place, row in enumerate(rows) if row["status"] != "scored"] == list(BAD)
    assert len({row["p_lens"] for row in rows}) == N_ROWS - len(BAD) + 1
    return rows


def expected(whole, left_out):
    nothing = {"p_A": None, "p_lens": None, "disagreement": None, "bands_shift_arcsec": None, "stage": 0, "precision": ""}
    killed = nothing | {"status": "rejected:worker_crash", "detail": "it killed a worker"}
    return [row | killed if place in left_out else row for place, row in enumerate(whole)]


def scanned_without(unit, left_out, scanner):
    return scanned(unit, scanner, selection=RowSelection(rejected=dict.fromkeys(left_out, KILLED)))


@pytest.mark.parametrize("left_out", LEFT_OUT, ids=str)
def test_other_rows_keep_their_scores_and_rejections(unit, whole, left_out):
    ensemble = Brightest()
    table = scanned_without(unit, left_out, CutoutScanner(ensemble, 2))
    assert table.to_pylist() == expected(whole, left_out)
    check_outcomes(table)
    looked_at = [row["p_lens"] for place, row in enumerate(whole) if row["status"] == "scored" and place not in left_out]
    assert sorted(ensemble.seen) == sorted(looked_at)


def test_a_unit_without_left_out_rows_is_scanned_whole(unit, whole):
    assert scanned_without(unit, (), CutoutScanner(Brightest(), 2)).to_pylist() == whole


def test_a_second_read_leaves_out_the_same_rows(unit, whole):
    """The unit is read a second time because the error of the sweep is too large."""

    class Off(Brightest):
        def score(self, stamps):
            scores = super().score(stamps)
            return replace(scores, p_lens=scores.p_lens / 2)

    ensemble, off = Brightest(), Off()
    scanner = CutoutScanner(ensemble, 2, Sweep(off, "bfloat16", 0.0, margin=0.1))
    assert scanned_without(unit, (2, 5), scanner).to_pylist() == expected(whole, (2, 5))
    assert off.seen
    assert len(ensemble.seen) > N_ROWS - len(BAD) - 2


def test_row_numbers_skip_rows_that_another_unit_owns(unit, whole):
    ids = [row["object_id"] for row in whole]
    fewer = unit.model_copy(update={"n_rows": N_ROWS - 2, "owned_elsewhere": (ids[0], ids[3])})
    table = scanned_without(fewer, (0, 3), CutoutScanner(Brightest(), 2))
    assert table.to_pylist() == [row for place, row in enumerate(expected(whole, (1, 5))) if place not in {0, 3}]


def test_a_scan_of_some_rows_is_refused(unit):
    message = f"a scan needs all {N_ROWS} rows, 2 are selected"
    with pytest.raises(ScanError, match=message):
        scanned(unit, CutoutScanner(Brightest()), selection=RowSelection(read=(1, 3)))


def test_a_source_without_a_position_costs_no_other(tmp_path):
    whole = scanned(tile_unit(tmp_path), CutoutScanner(Brightest(), 2)).to_pylist()
    (path,) = tmp_path.glob("*FINAL-CAT*")
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["DECLINATION"][0] = -999
        hdus[1].data["RIGHT_ASCENSION"][5] = np.nan
    (unit,) = find_units(str(tmp_path))
    table = scanned(unit, CutoutScanner(Brightest(), 2))
    check_outcomes(table)
    rows = table.to_pylist()
    assert [row["object_id"] for row in rows] == [row["object_id"] for row in whole]
    for place in (0, 5):
        assert [rows[place][name] for name in ("candidate_id", "ra", "dec", "status", "p_lens")] == [
            *("", None, None, "rejected:outside_tile", None)
        ]
    others = [place for place in range(N_ROWS) if place not in {0, 5}]
    assert [rows[place] for place in others] == [whole[place] for place in others]
