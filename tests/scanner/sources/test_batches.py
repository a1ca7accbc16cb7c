"""Batches of cutouts: some of their rows, and several of them as one."""

import numpy as np
import pytest

from scanner.preprocess.prepared_stamps import PreparedStamps
from scanner.sources.batches import CutoutBatch, batches_of, joined_batches
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection


@pytest.fixture
def batch(rng):
    stamps = {band: rng.normal(size=(4, 100, 100)).astype(np.float32) for band in MER_10.grids}
    rejected = [(7, Rejection(RejectCode.BLANK, "VIS: every pixel is 0"))]
    return CutoutBatch(np.array([2, 3, 5, 9]), stamps, [("a",), (), ("b",), ("c", "d")], rejected, {"VIS": 24.6})


def test_some_rows_of_a_batch_keep_their_order(batch):
    some = batch.of(np.array([True, False, False, True]))
    assert some.rows.tolist() == [2, 9]
    assert some.notes == [("a",), ("c", "d")]
    assert (some.n_rows, batch.n_rows) == (2, 5)
    assert some.zero_points_ab_mag == {"VIS": 24.6}
    for band, images in batch.stamps.items():
        np.testing.assert_array_equal(some.stamps[band], images[[0, 3]])


def test_a_prepared_batch_shares_its_sky_with_its_rows(batch):
    prepared = batch.prepared()
    assert prepared.prepared().stamps is prepared.stamps
    assert prepared.rejected == batch.rejected
    level, sigma = prepared.stamps.sky.measured("VIS", batch.stamps["VIS"])
    known = prepared.of(np.array([False, True, False, True])).stamps.sky.known
    np.testing.assert_array_equal(known["VIS", 100], (level[[1, 3]], sigma[[1, 3]]))


def test_joined_batches_follow_one_another(batch):
    prepared = batch.prepared()
    prepared.stamps.sky.measured("VIS", batch.stamps["VIS"])
    first, last = (prepared.of(np.array(chosen)) for chosen in ([True, True, False, False], [False, False, True, False]))
    together = joined_batches([last, first])
    assert together.rows.tolist() == [5, 2, 3]
    assert together.notes == [("b",), ("a",), ()]
    assert together.zero_points_ab_mag == {"VIS": 24.6}
    assert isinstance(together.stamps, PreparedStamps)
    assert list(together.stamps.sky.known) == [("VIS", 100)]
    np.testing.assert_array_equal(together.stamps["H"], batch.stamps["H"][[2, 0, 1]])


def test_rows_are_numbered_in_order(batch):
    cutout = Cutout({band: images[0] for band, images in batch.stamps.items()}, ("padded: VIS",))
    rejection = Rejection(RejectCode.BLANK, "VIS: every pixel is 0")
    first, last = batches_of([cutout, rejection, cutout], MER_10, 2)
    assert (first.rows.tolist(), [row for row, _ in first.rejected]) == ([0], [1])
    assert (last.rows.tolist(), last.notes) == ([2], [("padded: VIS",)])
