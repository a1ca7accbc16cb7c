"""Simulate objects, and keep the margins that every network of an ensemble gives them: what a calibration is fitted on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from scanner.networks.engines import ResolvedEngineName
from scanner.networks.ensemble import Ensemble
from scanner.sources.shards import Shard
from simulation.object_blocks import BlockWriter, objects_of_blocks
from simulation.products.dataset import DatasetSpec

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


def margins_of_simulated(
    spec: DatasetSpec,
    package: Path,
    engine: ResolvedEngineName,
    out_uri: str,
    n_workers: int = 1,
    progress: Progress = no_progress,
) -> dict[str, NDArray[np.float64]]:
    """Simulate the objects of a data set, and return each network's margins `[object, class - 1]`; existing blocks are kept.

    Args:
        spec: The data set, in the geometry of the ensemble.
        package: Folder of the package of an ensemble without stages.
        engine: Engine that runs the networks.
        out_uri: Folder or `s3://` prefix of the blocks.
        n_workers: Number of processes.
        progress: Called with (objects that are done, objects in all).

    Raises:
        SimulationError: the folder holds blocks of other objects or of other networks.
        PackageError: the package cannot be used.
    """
    table = objects_of_blocks(MarginSimulator, spec, package, engine, out_uri, n_workers, progress)
    names = [name for name in table.column_names if name.startswith(_COLUMN)]
    return {name.removeprefix(_COLUMN): _array(table[name]) for name in names}


def _lists(margins: NDArray[np.float64]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(margins.ravel(), pa.float64()), margins.shape[1])


def _array(lists: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.concatenate([chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in lists.chunks])
