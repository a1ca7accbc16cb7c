"""Match candidates with a list of positions on the sky, such as known lenses or another survey's objects."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.nearest import NONE, NearestPositions
from scanner.sources.positions import SkyPositions

MATCH_ID, SEPARATION = "match_id", "separation_arcsec"
PREFIX = "match_"
"""Beginning of the names of the list's other columns."""


class Matches(NamedTuple):
    """Candidates with a position of the list nearby."""

    rows: pa.Table
    """Candidates in their order, each with its nearest position: `match_id`, `separation_arcsec`, and `match_` columns."""
    n_positions_matched: int
    """Number of positions that have a candidate within the radius."""


def crossmatch(candidates: pa.Table, positions: SkyPositions, radius_arcsec: float) -> Matches:
    """Match each candidate with the nearest position within a radius.

    Args:
        candidates: Rows of the catalogue; those without `ra` and `dec` match nothing.
        positions: The list; positions that are NaN match nothing.
        radius_arcsec: Largest separation.

    Raises:
        ValueError: the radius is not above 0 and below 180 degrees.
    """
    ra, dec = (candidates[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
    nearest, separations_arcsec = NearestPositions(positions.ra, positions.dec).of(ra, dec, radius_arcsec)
    back, _ = NearestPositions(ra, dec).of(positions.ra, positions.dec, radius_arcsec)
    ours = np.flatnonzero(nearest != NONE)
    rows = _joined(candidates, positions, ours, nearest[ours], separations_arcsec[ours])
    return Matches(rows, int((back != NONE).sum()))


def _joined(
    candidates: pa.Table,
    positions: SkyPositions,
    ours: NDArray[np.int64],
    theirs: NDArray[np.int64],
    separations_arcsec: NDArray[np.float64],
) -> pa.Table:
    table = candidates.take(pa.array(ours))
    chosen = pa.array(theirs)
    for name, column in {MATCH_ID: positions.object_ids, **_prefixed(positions)}.items():
        table = table.append_column(name, column.take(chosen))
        if name == MATCH_ID:
            field = pa.field(SEPARATION, pa.float64(), metadata={"unit": "arcsec", "description": "separation of the match"})
            table = table.append_column(field, pa.array(separations_arcsec))
    return table


def _prefixed(positions: SkyPositions) -> dict[str, pa.ChunkedArray]:
    return {f"{PREFIX}{name}": column for name, column in positions.others.items() if f"{PREFIX}{name}" != MATCH_ID}
