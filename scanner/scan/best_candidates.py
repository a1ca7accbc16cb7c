"""Explain the candidates of a unit: measure all while the unit is scored, keep the stamps of the best, and map these."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.maps import map_arrays
from scanner.explain.photometry import arc_photometry
from scanner.scan.candidate_photometry import CandidatePhotometry
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import Geometry, Stamps

if TYPE_CHECKING:
    # Not imported: a scan without candidates needs no torch.
    from scanner.explain.candidate_maps import CandidateMaps


class Mapper(Protocol):
    """Interface of an object that makes maps."""

    def maps(self, stamps: Stamps) -> "CandidateMaps": ...


@dataclass(frozen=True)
class CandidateMapping:
    """Mapper of a scan, and the candidates that get maps."""

    mapper: Mapper
    candidate_threshold: float
    most: int
    """Largest number of candidates with maps in a unit, at least 1."""
    geometry: Geometry

    def candidates(self) -> "FoundCandidates":
        """Return a collector of the candidates of a unit."""
        measured = CandidatePhotometry(self.candidate_threshold, self.geometry)
        return FoundCandidates(BestCandidates(self.candidate_threshold, self.most), measured)

    def with_maps(self, table: pa.Table, found: "FoundCandidates") -> pa.Table:
        """Return the table with the columns of photometry and of maps; `found` refers to its rows by number."""
        rows, stamps = found.best.ranked()
        values: dict[str, NDArray[np.generic]] = {}
        arcs: Mapping[str, NDArray[np.float64]] = {}
        if len(rows):
            maps = self.mapper.maps(stamps)
            values = {field.name: getattr(maps, field.name) for field in fields(maps)}
            arcs = arc_photometry(stamps, self.geometry, found.measured.zero_points_ab_mag)
        measured = found.measured.arrays(table.num_rows, rows, arcs)
        for name, column in (measured | map_arrays(table.num_rows, rows, values)).items():
            table = table.append_column(name, column)
        return table


@dataclass(frozen=True)
class FoundCandidates:
    """The candidates of a unit so far."""

    best: "BestCandidates"
    measured: CandidatePhotometry

    def offer(self, batch: CutoutBatch, p_lens: NDArray[np.float32]) -> None:
        """Take the candidates among the rows of a batch, whose final probabilities are `p_lens`, `[n]`."""
        self.best.offer(batch.rows, p_lens, batch.stamps)
        self.measured.offer(batch, p_lens)


class BestCandidates:
    """Stamps of the candidates with the highest `p_lens` so far; among equals, the first in the unit."""

    def __init__(self, candidate_threshold: float, most: int) -> None:
        self._threshold, self._most = candidate_threshold, most
        self._rows = np.empty(0, np.int64)
        self._p_lens = np.empty(0, np.float32)
        self._stamps: Stamps = {}

    def offer(self, rows: NDArray[np.int64], p_lens: NDArray[np.float32], stamps: Stamps) -> None:
        """Offer rows: their numbers in the unit `[n]`, final probabilities `[n]` and stamps, band to `[n, y, x]`."""
        chosen = np.flatnonzero(p_lens.astype(np.float64) >= self._threshold)
        if not len(chosen):
            return
        all_rows = np.concatenate([self._rows, rows[chosen]])
        all_p_lens = np.concatenate([self._p_lens, p_lens[chosen]])
        kept = np.lexsort((all_rows, -all_p_lens))[: self._most]
        if kept.max() < len(self._rows):
            return
        self._stamps = {band: _chosen([*self._of(band), images[chosen]], kept) for band, images in stamps.items()}
        self._rows, self._p_lens = all_rows[kept], all_p_lens[kept]

    def ranked(self) -> tuple[NDArray[np.int64], Stamps]:
        """Return row numbers `[n]` and stamps, band to `[n, y, x]`, best first; they do not depend on the batches."""
        return self._rows, self._stamps

    def _of(self, band: str) -> list[NDArray[np.float32]]:
        return [self._stamps[band]] if band in self._stamps else []


def _chosen(parts: list[NDArray[np.float32]], kept: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(np.concatenate(parts)[kept])
