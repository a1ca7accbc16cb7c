"""Simulate objects, and keep what an ensemble makes of them, not their pixels: a hundred thousand take a few megabytes.

Objects are made in blocks. Each block has a file, so that a run that was killed goes on with the missing blocks.
"""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infra.local_pool import LocalPool
from infra.progress import Progress, no_progress
from infra.store.storage import absolute, create_if_absent, join, read_bytes
from scanner.networks.card_file import read_card
from scanner.networks.engines import ResolvedEngineName
from scanner.networks.package import load_scorer
from scanner.sources.shards import DATA_SET_KEY, Shard, shard_of
from simulation.products.dataset import DatasetSpec, per_object, simulate_objects
from simulation.products.render import SimulationError
from simulation.run import results
from simulation.simulator import ONE_THREAD

ROWS_PER_BLOCK = 200
"""Number of objects whose pixels a process holds at once; 160 kB each in 10 arcsec stamps."""
_ENSEMBLE_KEY = b"lensscan.ensemble_sha256"
_TRUTH = ("index", "kind", "morphology")

Task = tuple[DatasetSpec, int]
"""A data set, and the number of a block of it."""


class BlockWriter(ABC):
    """Makes blocks of objects in a worker, which writes them itself."""

    prefix: str
    """Beginning of the names of the blocks' files."""

    def __init__(self, package: Path, engine: ResolvedEngineName, out_uri: str) -> None:
        """Load an ensemble package, and write under `out_uri`."""
        self.scorer, self._out_uri = load_scorer(package, engine, checks_pixels=False), out_uri

    @abstractmethod
    def outputs(self, shard: Shard) -> dict[str, pa.Array | pa.ChunkedArray]:
        """Return the columns that are kept of the objects of a shard, beside those of their truth."""

    def block(self, task: Task) -> str:
        """Simulate one block, write what is kept of it unless its file exists, and return its URI."""
        spec, number = task
        uri = block_uri(self._out_uri, number, self.prefix)
        shard = shard_of(simulate_objects(spec, _indices(spec, number)))
        table = pa.table({**{name: shard.truth[name] for name in _TRUTH}, **self.outputs(shard)})
        about = {DATA_SET_KEY: per_object(spec).encode(), _ENSEMBLE_KEY: self.scorer.sha256.encode()}
        sink = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(about), sink, compression="zstd", write_page_checksum=True)
        create_if_absent(uri, sink.getvalue(), f"{os.getpid()}-{number}")
        return uri


def objects_of_blocks(
    writer: type[BlockWriter],
    spec: DatasetSpec,
    package: Path,
    engine: ResolvedEngineName,
    out_uri: str,
    n_workers: int = 1,
    progress: Progress = no_progress,
) -> pa.Table:
    """Make the missing blocks of a data set, and return a row for each object, in order.

    Columns are `index`, `kind` and `morphology` of the truth, and those of the writer.

    Args:
        writer: What makes a block.
        spec: The data set, in the geometry of the ensemble.
        package: Folder of the ensemble package.
        engine: Engine that runs the networks.
        out_uri: Folder or `s3://` prefix of the blocks; existing blocks are kept.
        n_workers: Number of processes.
        progress: Called with (objects that are done, objects in all).

    Raises:
        SimulationError: the folder holds blocks of other objects or of another ensemble, also if another run wrote them
            meanwhile.
        PackageError: the package cannot be used.
    """
    out_uri = absolute(out_uri)
    sha256 = read_card(package).sha256
    uris = [block_uri(out_uri, number, writer.prefix) for number in _numbers(spec)]
    tables = {number: _block(uri, spec, number, sha256) for number, uri in enumerate(uris)}
    missing = [number for number, table in tables.items() if table is None]
    n_done = spec.n - sum(len(_indices(spec, number)) for number in missing)
    progress(n_done, spec.n)
    for _, number in _made(writer, [(spec, number) for number in missing], package, engine, out_uri, n_workers):
        # Another run may have made the file meanwhile, which a block does not replace.
        tables[number] = _block(uris[number], spec, number, sha256)
        if tables[number] is None:
            raise SimulationError(f"{uris[number]}: was removed while this run made the blocks; run the command again")
        n_done += len(_indices(spec, number))
        progress(n_done, spec.n)
    return _together(tables.values())


def done_blocks(writer: type[BlockWriter], spec: DatasetSpec, sha256: str, out_uri: str) -> pa.Table:
    """Return the objects of those blocks that are there, as `objects_of_blocks` returns all; at least one block must be.

    Raises:
        SimulationError: there is no block, or one holds other objects, or outputs of another ensemble.
    """
    tables = [_block(block_uri(out_uri, number, writer.prefix), spec, number, sha256) for number in _numbers(spec)]
    if all(table is None for table in tables):
        raise SimulationError(f"{out_uri}: holds no blocks of scored objects")
    return _together(tables)


def nonlenses(n: int, seed: int, geometry: str) -> DatasetSpec:
    """Return a data set of non-lenses alone, in the shares of the preset `euclid`.

    Raises:
        ValueError: a number is out of range, or there is no such geometry.
    """
    return DatasetSpec.model_validate({"n": n, "seed": seed, "kinds": (("nonlens", 1.0),), "geometry": geometry})


def block_uri(out_uri: str, number: int, prefix: str) -> str:
    """Return the URI of a block's file."""
    return join(out_uri, f"{prefix}-{number:05d}.parquet")


def _made(
    writer: type[BlockWriter], tasks: list[Task], package: Path, engine: ResolvedEngineName, out_uri: str, n_workers: int
) -> Iterator[Task]:
    """Make blocks and yield the task of each, in order of completion."""
    if not tasks:
        return
    if n_workers == 1:
        alone = writer(package, engine, out_uri)
        for task in tasks:
            alone.block(task)
            yield task
        return
    factory = f"{writer.__module__}:{writer.__name__}"
    with closing(LocalPool(factory, (package, engine, out_uri), min(n_workers, len(tasks)), 1, ONE_THREAD)) as pool:
        yield from (task for task, _ in results(pool, "block", tasks))


def _block(uri: str, spec: DatasetSpec, number: int, sha256: str) -> pa.Table | None:
    """Return a block, None if it is not there; raises `SimulationError` if it holds other objects, or other outputs."""
    try:
        table = _decoded(uri, read_bytes(uri))
    except FileNotFoundError:
        return None
    about = table.schema.metadata or {}
    if about.get(DATA_SET_KEY) != per_object(spec).encode() or about.get(_ENSEMBLE_KEY) != sha256.encode():
        raise SimulationError(f"{uri} holds other objects, or scores of another ensemble; use another folder")
    if table["index"].to_pylist() != list(_indices(spec, number)):
        change = "grow" if table.num_rows < len(_indices(spec, number)) else "get shorter"
        raise SimulationError(f"{uri} holds {table.num_rows} objects: its last block cannot {change}; use another folder")
    return table


def _together(tables: Iterable[pa.Table | None]) -> pa.Table:
    return pa.concat_tables(table for table in tables if table is not None).replace_schema_metadata(None)


def _decoded(uri: str, data: bytes) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except pa.ArrowException as error:
        raise SimulationError(f"{uri}: not a block of scored objects ({' '.join(str(error).split())[:200]})") from error


def _numbers(spec: DatasetSpec) -> range:
    return range(-(-spec.n // ROWS_PER_BLOCK))


def _indices(spec: DatasetSpec, number: int) -> range:
    first = number * ROWS_PER_BLOCK
    return range(first, min(first + ROWS_PER_BLOCK, spec.n))
