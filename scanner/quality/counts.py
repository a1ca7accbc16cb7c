"""Count the outcomes and the scores of a night from its unit files."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.frozen import Frozen
from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, FileInfo, open_read
from scanner.catalogue.outcomes import SCORED, count_statuses
from scanner.vocabulary.skips import SkipCode

LOG_ODDS_EDGES = tuple(float(edge) for edge in range(-14, 15, 2))
"""Edges of the histogram of ln(p / (1 - p)) of `p_lens`; the first and the last bin have no outer edge."""
_SKIPPED = frozenset(code.status for code in SkipCode)


class UnitCounts(Frozen):
    """Outcomes of the rows of one unit, without those that the selection of sources skips."""

    by_status: dict[str, int]

    @property
    def n_rows(self) -> int:
        return sum(self.by_status.values())

    @property
    def n_scored(self) -> int:
        return self.by_status.get(SCORED, 0)


def count_units(files: Iterable[tuple[str, FileInfo]]) -> tuple[dict[str, UnitCounts], NDArray[np.int64]]:
    """Return the counts of each unit, and the histogram of the log odds of all scored rows, `[bin]`.

    Args:
        files: Id and file of each unit.

    Raises:
        OSError, pyarrow.ArrowException: a file is damaged.
    """
    counts: dict[str, UnitCounts] = {}
    histogram = np.zeros(len(LOG_ODDS_EDGES) + 1, np.int64)
    for unit_id, found, scores in map_ahead(_read, files, N_AHEAD):
        counts[unit_id] = found
        histogram += log_odds_histogram(scores)
    return counts, histogram


def log_odds_histogram(p_lens: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the number of probabilities, `[bin]`, between the edges of their log odds."""
    clipped = np.clip(p_lens.astype(np.float64), 1e-12, 1 - 1e-12)
    bins = np.searchsorted(LOG_ODDS_EDGES, np.log(clipped / (1 - clipped)), side="right")
    return np.bincount(bins, minlength=len(LOG_ODDS_EDGES) + 1).astype(np.int64)


def _read(entry: tuple[str, FileInfo]) -> tuple[str, UnitCounts, NDArray[np.float32]]:
    unit_id, file = entry
    with open_read(file.uri) as source:
        rows = pq.read_table(source, columns=["status", "p_lens"], partitioning=None, page_checksum_verification=True)
    statuses = Counter({status: n for status, n in count_statuses(rows).items() if status not in _SKIPPED})
    return unit_id, UnitCounts(by_status=dict(statuses)), rows["p_lens"].drop_null().to_numpy().astype(np.float32)
