"""Candidates are measured once each, whatever the batches, and no other row is."""

import numpy as np
import pytest

from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.explain.photometry import photometry
from scanner.scan.candidate_photometry import CandidatePhotometry
from scanner.scan.sweep import synthetic_stamps
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import MER_10

N = 7
ZERO_POINTS = {"VIS": 24.0, "Y": 29.0, "H": 30.0}
P_LENS = np.array([0.9, 0.1, 0.5, 0.49, 0.7, 0.0, 0.6], np.float32)


@pytest.fixture(scope="module")
def stamps():
    return synthetic_stamps(MER_10, N)


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4, 5, 6]], [[5, 3], [6, 0], [1], [4, 2]]])
def test_candidates_are_measured_whatever_the_batches(stamps, parts):
    found = CandidatePhotometry(0.5, MER_10)
    for part in parts:
        images = {band: of[part] for band, of in stamps.items()}
        found.offer(CutoutBatch(np.array(part), images, [()] * len(part), zero_points_ab_mag=ZERO_POINTS), P_LENS[part])
    is_candidate = P_LENS >= 0.5
    alone = photometry({band: of[is_candidate] for band, of in stamps.items()}, MER_10, ZERO_POINTS)
    columns = found.arrays(
        N, np.array([4, 0]), {"arc_snr_vis": np.array([3.0, 0.0]), "arc_vis_minus_h": np.array([np.nan, 1.5])}
    )
    assert list(columns) == [column.name for column in PHOTOMETRY_COLUMNS]
    for name, values in alone.items():
        expected = np.full(N, np.nan, np.float32)
        expected[is_candidate] = values
        np.testing.assert_array_equal(columns[name].to_numpy(zero_copy_only=False), expected)
    assert columns["mag_vis_1arcsec"].null_count < N
    assert columns["mag_j_1arcsec"].null_count == N, "J has no zero point"
    assert columns["arc_snr_vis"].to_pylist() == [0.0, None, None, None, 3.0, None, None]
    assert columns["arc_vis_minus_h"].to_pylist() == [1.5, *[None] * 6]


def test_a_unit_without_candidates_has_empty_columns():
    columns = CandidatePhotometry(0.5, MER_10).arrays(3, np.empty(0, np.int64), {})
    assert {name: column.null_count for name, column in columns.items()} == {column.name: 3 for column in PHOTOMETRY_COLUMNS}
    assert {column.type for column in columns.values()} == {PHOTOMETRY_COLUMNS[0].type}
