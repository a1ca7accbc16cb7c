"""Gather the scores of probed objects, table by table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.vocabulary.network_columns import network_column_name
from training.errors import TrainingError

SHIFT_NOTE = "misregistered"
"""Word in `detail` of a row with a shifted band."""


@dataclass(frozen=True)
class ProbedScores:
    """Scores of the objects of one kind under one change; arrays are `[object]`, in the same order for every change."""

    p_lens: NDArray[np.floating]
    p_networks: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    """Probability of a lens of each network; NaN where it did not look."""
    is_noticed: NDArray[np.bool_] | None = None
    """Whether the row says that a band is shifted; None if that was not asked."""


class ScoreColumns:
    """Scores of the objects of one kind, by change, in the order in which they were added."""

    def __init__(self, network_names: Sequence[str]) -> None:
        self._network_names = tuple(network_names)
        self._parts: dict[str, list[ProbedScores]] = {}

    def add(self, change: str, table: pa.Table, *, is_asked: bool) -> None:
        """Add rows of `score_fields` under a change; `is_asked`: their bands were checked for shifts.

        Raises:
            TrainingError: a row was rejected, so that its change has no score.
        """
        rejected = [status for status in table["status"].to_pylist() if status != "scored"]
        if rejected:
            raise TrainingError(f"{change}: every probed object must be scored, got {rejected[0]}")
        networks = {name: table[network_column_name(name)].to_numpy().astype(np.float64) for name in self._network_names}
        noticed = np.array([SHIFT_NOTE in detail for detail in table["detail"].to_pylist()], np.bool_) if is_asked else None
        part = ProbedScores(table["p_lens"].to_numpy().astype(np.float64), networks, noticed)
        self._parts.setdefault(change, []).append(part)

    def scores(self) -> dict[str, ProbedScores]:
        """Return the scores of all rows by change."""
        return {change: together(parts) for change, parts in self._parts.items()}


def together(parts: Sequence[ProbedScores]) -> ProbedScores:
    """Return the scores of several groups of objects in one."""
    noticed = [part.is_noticed for part in parts if part.is_noticed is not None]
    return ProbedScores(
        np.concatenate([part.p_lens for part in parts]),
        {name: np.concatenate([part.p_networks[name] for part in parts]) for name in parts[0].p_networks},
        np.concatenate(noticed) if noticed else None,
    )
