"""Simulate objects, score them, and keep scores and kinds alone."""

from functools import partial
from pathlib import Path

import pyarrow as pa

from scanner.networks.engines import ResolvedEngineName
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shards import Shard
from scanner.vocabulary.network_columns import network_column_name
from simulation.object_blocks import BlockWriter, objects_of_blocks


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


score_simulated = partial(objects_of_blocks, ScoringSimulator)
"""Simulate and score the objects of a data set, with the arguments of `objects_of_blocks` after the first."""
