"""A unit with a selection has every row once: selected ones as in a scan of all rows, the others skipped."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from scanner.catalogue.find_units import find_input
from scanner.catalogue.outcomes import SCORED, SKIPPED, check_outcomes
from scanner.catalogue.selection import Selection
from scanner.catalogue.units import SelectedRows
from scanner.scan.errors import ScanError
from scanner.scan.open_unit import open_unit
from scanner.scan.row_selection import RowSelection
from scanner.scan.scoring import CutoutScanner
from scanner.scan.skipped_rows import with_skipped_rows
from scanner.scan.unit import scan_unit
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import NIGHT, scanned
from tests.scanner.source_tables import write_mer_tile

N = 12
WHERE = "spurious_flag = 0"
COLUMNS = ("name", "flux_vis_psf", "det_quality_flag")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiles")
    write_mer_tile(path, 1, N)
    return str(path)


@pytest.fixture(scope="module")
def selected(folder):
    """Return the only unit with a selection, and the columns that it carries."""
    found = find_input(folder, Selection(where=WHERE, columns=COLUMNS))
    (unit,) = found.units
    assert 2 < unit.n_selected < N - 2
    return unit, found.columns


def scan(unit, columns=(), **options):
    return scanned(unit, CutoutScanner(MeanEnsemble(), 3), columns=columns, **options)


def test_selected_rows_have_the_scores_of_a_whole_scan(folder, selected):
    (whole,) = find_input(folder, Selection(columns=())).units
    table, expected = scan(*selected), scan(whole)
    check_outcomes(table)
    assert table["object_id"].equals(expected["object_id"])
    is_selected = np.array([status == SCORED for status in table["status"].to_pylist()])
    catalogue = fits.getdata(whole.files["catalogue"].uri, 1)
    assert is_selected.tolist() == (catalogue["SPURIOUS_FLAG"] == 0).tolist()
    assert table.filter(pa.array(is_selected)).select(expected.column_names).equals(expected.filter(pa.array(is_selected)))
    skipped = table.filter(pa.array(~is_selected))
    assert set(skipped["status"].to_pylist()) == {SKIPPED} == {"skipped:selection"}
    assert set(skipped["ra"].to_pylist()) == set(catalogue["RIGHT_ASCENSION"][~is_selected].tolist())
    assert all(skipped[name].null_count == len(skipped) for name in ("p_A", "p_B", "p_lens", "disagreement"))
    assert {tuple(row[name] for name in ("candidate_id", "detail", "subclass", "stage")) for row in skipped.to_pylist()} == {
        ("", "", "", 0)
    }


def test_scored_rows_carry_the_values_of_their_catalogue(selected):
    table = scan(*selected)
    catalogue = fits.getdata(selected[0].files["catalogue"].uri, 1)
    for row, source in zip(table.to_pylist(), catalogue, strict=True):
        is_scored, flux = row["status"] == SCORED, float(source["FLUX_VIS_PSF"])
        assert row["cat_name"] == (source["NAME"] if is_scored else "")
        assert row["cat_flux_vis_psf"] == (flux if is_scored and np.isfinite(flux) else None)
        assert row["cat_det_quality_flag"] == (source["DET_QUALITY_FLAG"] if is_scored else None)
    field = table.schema.field("cat_flux_vis_psf")
    assert (field.type, field.metadata[b"unit"]) == (pa.float32(), b"uJy")
    assert table.schema.names.index("cat_name") > table.schema.names.index("precision")


def test_a_crashing_row_is_counted_among_selected_ones(selected):
    unit, _ = selected
    crashed = Rejection(RejectCode.WORKER_CRASH, "test")
    scores, plain = scan(unit, selection=RowSelection(rejected={1: crashed})), scan(unit)
    statuses = [status for status in scores["status"].to_pylist() if status != SKIPPED]
    assert statuses == [SCORED, crashed.status, *[SCORED] * (unit.n_selected - 2)]
    is_scored = pa.array([status == SCORED for status in scores["status"].to_pylist()])
    assert scores.filter(is_scored).equals(plain.filter(is_scored))


def test_a_trial_reads_selected_rows_alone(selected):
    unit, _ = selected
    scanner = CutoutScanner(MeanEnsemble(), 3)
    opened = open_unit(unit, scanner.geometry, 3, RowSelection(read=(0, unit.n_selected - 1)))
    assert opened.n_rows == 2
    assert scanner.score_batches(opened.batches)["status"].to_pylist() == [SCORED] * 2
    with pytest.raises(ScanError, match=f"a scan needs all {unit.n_selected} rows, 2 are selected"):
        scan_unit(opened, scanner, NIGHT)


def test_a_damaged_mosaic_rejects_the_selected_rows(selected):
    unit, columns = selected
    lacking = unit.model_copy(update={"files": {role: file for role, file in unit.files.items() if role != "H"}})
    statuses = scan(lacking, columns)["status"].to_pylist()
    assert statuses.count(SKIPPED) == unit.n_skipped
    assert statuses.count("rejected:missing_band") == unit.n_selected


def test_no_selected_row_reads_no_pixel(selected):
    unit, columns = selected
    none = SelectedRows.of(np.zeros(N, bool), np.arange(N))
    without = unit.model_copy(
        update={"selected": none, "files": {role: file for role, file in unit.files.items() if role == "catalogue"}}
    )
    table = scan(without, columns)
    assert table["status"].to_pylist() == [SKIPPED] * N
    check_outcomes(table)


def test_rows_that_the_plan_does_not_select_are_refused(selected):
    unit, _ = selected
    other = unit.selected.model_copy(update={"id_digest": "0" * 64})
    with pytest.raises(ScanError, match="the rows that its plan selects are not in the planned order"):
        scan(unit.model_copy(update={"selected": other}))


def test_maps_of_skipped_rows_are_null():
    scores = pa.table({"status": [SCORED], "stage": pa.array([1], pa.int16()), "map": [[1, 2]], "detail": ["x"]})
    found = with_skipped_rows(scores, np.array([False, True, False]))
    assert found["map"].to_pylist() == [None, [1, 2], None]
    assert found["detail"].to_pylist() == ["", "x", ""]
    assert found.schema.equals(scores.schema)
