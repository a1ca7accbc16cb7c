"""Check that every row gets its own scores or its rejection, in order, and that only one batch is held."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.catalogue.outcomes import check_outcomes
from scanner.scan.errors import ScanError
from scanner.scan.scoring import CutoutScanner
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.network_columns import KIND_P
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.mean_ensemble import CUTOUTS, MeanEnsemble, cutout, expected
from tests.scanner.scanned import score_rows


def test_rows_come_out_in_order_with_status_detail_and_nulls():
    rows = [
        Rejection(RejectCode.BLANK, "VIS: every pixel is 0"),
        cutout(1, "substituted: Y = VIS", "padded: VIS"),
        Rejection(RejectCode.MISSING_FILE, "Y: gone.fits"),
        cutout(2),
    ]
    table = score_rows(CutoutScanner(MeanEnsemble()), rows)
    assert table.column_names == [
        "status",
        "detail",
        "bands_shift_arcsec",
        "p_A",
        "p_B",
        "p_lens",
        "p_compound",
        "p_single_given_lens",
        "p_compound_arc_given_lens",
        "p_double_ring_given_lens",
        "subclass",
        "disagreement",
        "stage",
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
        assert [found[i][name] for name in KIND_P] == [0.5, 0.375, 0.125]
    for i in (0, 2):
        assert {found[i][name] for name in ("p_A", "p_B", "p_lens", "p_compound", "disagreement", *KIND_P)} == {None}
        assert found[i]["subclass"] == ""
    check_outcomes(table)


def test_values_that_an_ensemble_does_not_output_are_empty():
    table = score_rows(CutoutScanner(MeanEnsemble(compound=False)), CUTOUTS[:2])
    assert [table[name].null_count for name in ("p_compound", *KIND_P)] == [2] * 4
    assert table["subclass"].to_pylist() == ["", ""]
    assert table["p_lens"].null_count == 0


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(list(RejectCode))), max_size=12), st.integers(1, 5))
def test_any_mixture_of_rows_gives_one_row_each(mixture, batch_size):
    rows = [CUTOUTS[x] if isinstance(x, int) else Rejection(x, "why") for x in mixture]
    table = score_rows(CutoutScanner(MeanEnsemble(), batch_size), iter(rows))
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

    score_rows(CutoutScanner(ensemble, 3), stream())
    assert ensemble.batches == [3, 3, 1]
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2)]


@pytest.mark.fault(24)
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_an_output_that_is_no_probability_is_an_error(value):
    with pytest.raises(ScanError, match="p_B: a network must give one probability"):
        score_rows(CutoutScanner(MeanEnsemble(spoil=value)), CUTOUTS)


def test_batch_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        CutoutScanner(MeanEnsemble(), 0)
