"""Measure the candidates of a unit while it is scored, and put the numbers into its table."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.explain.photometry import photometry
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import Geometry

_Numbers = NDArray[np.float64]


class CandidatePhotometry:
    """Photometry of the candidates so far, on the stamps that the networks read."""

    def __init__(self, candidate_threshold: float, geometry: Geometry) -> None:
        self._threshold, self._geometry = candidate_threshold, geometry
        self._rows: list[NDArray[np.int64]] = []
        self._measured: list[dict[str, _Numbers]] = []
        self.zero_points_ab_mag: Mapping[str, float] = {}
        """Zero points of the unit's mosaics, by band."""

    def offer(self, batch: CutoutBatch, p_lens: NDArray[np.float32]) -> None:
        """Measure the candidates among the rows of a batch, whose final probabilities are `p_lens`, `[n]`."""
        chosen = p_lens.astype(np.float64) >= self._threshold
        if not chosen.any():
            return
        self.zero_points_ab_mag = batch.zero_points_ab_mag
        stamps = {band: images[chosen] for band, images in batch.stamps.items()}
        self._rows.append(batch.rows[chosen])
        self._measured.append(photometry(stamps, self._geometry, batch.zero_points_ab_mag))

    def arrays(
        self, n_rows: int, mapped_rows: NDArray[np.int64], arcs: Mapping[str, _Numbers]
    ) -> dict[str, pa.Array | pa.ChunkedArray]:
        """Return `PHOTOMETRY_COLUMNS` for a table of `n_rows` rows, null where nothing was measured.

        Args:
            n_rows: Number of rows of the table.
            mapped_rows: Numbers of the rows with maps, `[m]`.
            arcs: Photometry of the arcs of these rows, `[m]` by name; may be empty if `mapped_rows` is.
        """
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        columns = {}
        for column in PHOTOMETRY_COLUMNS:
            numbers = np.full(n_rows, np.nan, np.float32)
            if column.name in arcs:
                numbers[mapped_rows] = arcs[column.name]
            elif self._measured and column.name in self._measured[0]:
                numbers[rows] = np.concatenate([measured[column.name] for measured in self._measured])
            columns[column.name] = pa.array(numbers, column.type, mask=~np.isfinite(numbers))
        return columns
