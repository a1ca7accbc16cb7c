"""Count all rows of some plans: outcomes, scores and the area of the sky, unit by unit."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.progress import Progress, no_progress
from scanner.catalogue.outcomes import SCORED, skipped_mask
from scanner.catalogue.shown import ShownPlan
from scanner.networks.log_odds import log_odds
from scanner.review.all_rows import all_rows
from scanner.review.report.coverage import Coverage

LEAST_DEX, MOST_DEX, BINS_PER_DEX = -9, 8, 4
"""Range of log10(p/(1-p)) of the histogram, and its bins per power of ten; scores beyond it are in the first or last bin."""
BIN_EDGES_DEX = np.linspace(LEAST_DEX, MOST_DEX, (MOST_DEX - LEAST_DEX) * BINS_PER_DEX + 1)
_COLUMNS = ("ra", "dec", "status", "detail", "p_lens")


class Tally:
    """Counts of rows, gathered unit by unit; memory holds a few units and the cells of the sky."""

    def __init__(self, cuts: Sequence[float] = ()) -> None:
        self.statuses: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        """First detail of each status that has one."""
        self.scores = np.zeros(len(BIN_EDGES_DEX) - 1, np.int64)
        """Number of scored rows in each bin of `BIN_EDGES_DEX`."""
        self.coverage = Coverage()
        self.n_without_position = 0
        self.n_at_cuts = dict.fromkeys(cuts, 0)
        """Number of rows with at least each `p_lens`."""

    def add(self, table: pa.Table) -> None:
        """Add rows with the columns of a unit file."""
        for entry in table["status"].value_counts().to_pylist():
            self.statuses[entry["values"]] += entry["counts"]
        self._add_details(table)
        self._add_scores(table["p_lens"])
        ra, dec = (table[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
        has_position = np.isfinite(ra) & np.isfinite(dec)
        self.n_without_position += int((~has_position).sum())
        is_looked_at = has_position & ~skipped_mask(table).to_numpy()
        is_scored = pc.equal(table["status"], SCORED).to_numpy()
        self.coverage.add(ra[is_looked_at], dec[is_looked_at], is_scored[is_looked_at])

    @property
    def n_rows(self) -> int:
        return self.statuses.total()

    @property
    def n_scored(self) -> int:
        return self.statuses[SCORED]

    def _add_details(self, table: pa.Table) -> None:
        for status in table["status"].unique().to_pylist():
            if status not in self.details and status != SCORED:
                details = table["detail"].filter(pc.equal(table["status"], status))
                if found := next((text for text in details.slice(0, 1).to_pylist() if text), None):
                    self.details[status] = found

    def _add_scores(self, p_lens: pa.ChunkedArray) -> None:
        p = p_lens.drop_null().to_numpy().astype(np.float64)
        dex = np.clip(log_odds(p) / np.log(10), LEAST_DEX, np.nextafter(MOST_DEX, 0))
        self.scores += np.histogram(dex, BIN_EDGES_DEX)[0]
        for cut in self.n_at_cuts:
            # A cut in float32 may lie a rounding error below the same cut in float64.
            self.n_at_cuts[cut] += int((p >= np.float32(cut)).sum())


def tally_of(root_uri: str, plans: Iterable[ShownPlan], cuts: Sequence[float] = (), progress: Progress = no_progress) -> Tally:
    """Count the rows of plans that readers see; `progress` and errors are as for `all_rows`."""
    tally = Tally(cuts)
    for table in all_rows(root_uri, plans, _COLUMNS, progress):
        tally.add(table)
    return tally
