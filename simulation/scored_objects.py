"""Simulate objects, score them, and keep scores and kinds alone."""

from pathlib import Path

import pyarrow as pa

from infra.progress import Progress, no_progress
from scanner.networks.engines import ResolvedEngineName
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shards import Shard
from scanner.vocabulary.network_columns import network_column_name
from simulation.object_blocks import BlockWriter, objects_of_blocks
from simulation.products.dataset import DatasetSpec


class ScoringSimulator(BlockWriter):
    """Makes blocks of scored objects."""

    prefix = "scored"

    def __init__(self, package: Path, engine: ResolvedEngineName, out_uri: str) -> None:
        """Load an ensemble package, and write under `out_uri`."""
        super().__init__(package, engine, out_uri)
        self._scanner = CutoutScanner(self.scorer, check_above=None)

    def outputs(self, shard: Shard) -> dict[str, pa.Array | pa.ChunkedArray]:
        """Return `status`, `p_lens`, `p_compound` and `p_<network>` of the objects of a shard."""
        scores = score_stamps(shard.stamps, self._scanner)
        names = ("status", "p_lens", "p_compound", *map(network_column_name, self.scorer.network_names))
        return {name: scores[name] for name in names}


def score_simulated(
    spec: DatasetSpec,
    package: Path,
    engine: ResolvedEngineName,
    out_uri: str,
    n_workers: int = 1,
    progress: Progress = no_progress,
) -> pa.Table:
    """Simulate and score the objects of a data set, and return a row for each, in order; existing blocks are kept.

    Columns are `index`, `kind` and `morphology` of the truth, `status`, `p_lens`, `p_compound` and `p_<network>`.

    Args:
        spec: The data set, in the geometry of the ensemble.
        package: Folder of the ensemble package.
        engine: Engine that runs the networks.
        out_uri: Folder or `s3://` prefix of the blocks.
        n_workers: Number of processes.
        progress: Called with (objects that are done, objects in all).

    Raises:
        SimulationError: the folder holds blocks of other objects or of another ensemble.
        PackageError: the package cannot be used.
    """
    return objects_of_blocks(ScoringSimulator, spec, package, engine, out_uri, n_workers, progress)
