"""Make whole shards and tiles in a worker, which writes them itself and returns only their URIs."""

import os

from infra.store.storage import CreateOutcome, create_if_absent
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, is_shard_of, shard_uris, simulate_shard
from simulation.products.survey_tile import TileSpec, simulate_tile

# Matrix products of concurrent workers would each take all cores.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Simulator:
    """Makes shards and tiles under one URI."""

    def __init__(self, out_uri: str) -> None:
        """Write under `out_uri`."""
        self._out_uri = out_uri

    def shard(self, task: tuple[DatasetSpec, int]) -> str:
        """Simulate one shard, write it unless it exists, and return its URI.

        Raises:
            SimulationError: another run has written a shard of another data set there meanwhile.
        """
        spec, number = task
        uri = shard_uris(spec, self._out_uri)[number]
        attempt = f"{os.getpid()}-{number}"
        if create_if_absent(uri, encode_shard(simulate_shard(spec, number)), attempt) is CreateOutcome.EXISTS:
            # Another run has made the file meanwhile, perhaps of another data set.
            is_shard_of(spec, number, uri)
        return uri

    def tile(self, spec: TileSpec) -> list[str]:
        """Simulate one tile, write it unless it exists, and return the URIs of its files."""
        return simulate_tile(spec, self._out_uri)
