"""Select rows of a made unit of eight rows whose batches are known."""

import numpy as np
import pytest

from scanner.scan.row_selection import ALL_ROWS, RowSelection
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import RejectCode, Rejection

N_ROWS = 8
CRASHED = Rejection(RejectCode.WORKER_CRASH, "it crashed")
BLANK = Rejection(RejectCode.BLANK, "VIS: every pixel is 0")


def begin(rows):
    """Yield the rows three at a time in reverse order; row 6 of the unit is blank, and a pixel holds the row's number."""
    numbered = list(enumerate(rows.tolist()))[::-1]
    for start in range(0, len(numbered), 3):
        part = numbered[start : start + 3]
        good = [(i, row) for i, row in part if row != 6]
        stamps = {band: np.full((len(good), 1, 1), 0, np.float32) for band in CHALLENGE.grids}
        stamps["VIS"][:, 0, 0] = [row for _, row in good]
        rejected = [(i, BLANK) for i, row in part if row == 6]
        yield CutoutBatch(np.array([i for i, _ in good], np.int64), stamps, [()] * len(good), rejected)


def rows_of(selection):
    """Return what stands for each number in the batches: the row of the unit, or its rejection."""
    out = {}
    for batch in selection.batches(begin, N_ROWS, CHALLENGE):
        out |= dict(zip(batch.rows.tolist(), batch.stamps["VIS"][:, 0, 0].astype(int).tolist(), strict=True))
        out |= dict(batch.rejected)
    return [out[i] for i in range(len(out))]


def test_all_rows_keep_their_numbers():
    assert rows_of(ALL_ROWS) == [0, 1, 2, 3, 4, 5, BLANK, 7]
    assert ALL_ROWS.n_selected(N_ROWS) == N_ROWS


def test_rejected_rows_keep_their_numbers_and_are_not_read():
    selection = RowSelection(rejected={6: CRASHED, 2: CRASHED})
    assert selection.rows_to_read(N_ROWS).tolist() == [0, 1, 3, 4, 5, 7]
    assert rows_of(selection) == [0, 1, CRASHED, 3, 4, 5, CRASHED, 7]
    assert selection.n_selected(N_ROWS) == N_ROWS


@pytest.mark.parametrize("read", [(), (3,), (1, 5, 7), (0, 2)])
def test_some_rows_are_numbered_by_their_order(read):
    selection = RowSelection(read=read)
    assert rows_of(selection) == list(read)
    assert selection.n_selected(N_ROWS) == len(read)


def test_rows_read_and_rejected_are_numbered_together():
    selection = RowSelection(read=(1, 6), rejected={4: CRASHED, 0: CRASHED})
    assert rows_of(selection) == [CRASHED, 1, CRASHED, BLANK]
    assert selection.n_selected(N_ROWS) == 4


def test_rows_rejected_unread_have_no_stamps():
    first = next(RowSelection(rejected={2: CRASHED}).batches(begin, N_ROWS, CHALLENGE))
    assert {band: images.shape for band, images in first.stamps.items()} == {
        band: (0, grid.n_pixels, grid.n_pixels) for band, grid in CHALLENGE.grids.items()
    }
    assert first.rejected == [(2, CRASHED)]


def test_a_row_is_not_both_read_and_rejected():
    with pytest.raises(ValueError, match=r"got both for rows \[2\]"):
        RowSelection(read=(1, 2), rejected={2: CRASHED})
