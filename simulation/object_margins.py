"""Simulate objects, and keep the margins that every network of an ensemble gives them: what a calibration is fitted on."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.networks.ensemble import Ensemble
from scanner.sources.shards import Shard
from simulation.object_blocks import BlockWriter

_BATCH = 50
_COLUMN = "margins_"
"""Beginning of the name of a network's column."""


class MarginSimulator(BlockWriter):
    """Makes blocks of margins, by an ensemble without stages: each network sees every object."""

    prefix = "margins"

    def outputs(self, shard: Shard) -> dict[str, pa.Array | pa.ChunkedArray]:
        """Return a column `margins_<network>` of lists for each network.

        Raises:
            TypeError: the ensemble is a cascade.
        """
        if not isinstance(self.scorer, Ensemble):
            raise TypeError(f"{self.scorer.name}: margins of every network need an ensemble without stages, got a cascade")
        margins: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.scorer.network_names}
        for start in range(0, len(shard.object_ids), _BATCH):
            stamps = {band: images[start : start + _BATCH] for band, images in shard.stamps.items()}
            for name, values in self.scorer.logit_margins(stamps).items():
                margins[name].append(values)
        return {_COLUMN + name: _lists(np.concatenate(parts)) for name, parts in margins.items()}


def margins_in(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return each network's margins, `[object, class - 1]`, in a table of blocks of margins."""
    names = [name for name in table.column_names if name.startswith(_COLUMN)]
    return {name.removeprefix(_COLUMN): _array(table[name]) for name in names}


def _lists(margins: NDArray[np.float64]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(margins.ravel(), pa.float64()), margins.shape[1])


def _array(lists: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.concatenate([chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in lists.chunks])
