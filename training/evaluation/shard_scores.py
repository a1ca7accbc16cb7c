"""Score every object of some shards with truth, for an evaluation."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.progress import Progress
from infra.provenance import digest, sha256_bytes
from infra.store.storage import list_files, read_bytes
from scanner.networks.cascade import Scorer
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import TRUTH_FIELDS, Shard
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, footer_of

Footers = Mapping[str, pq.FileMetaData]
"""Parquet metadata of each shard, by its URI, in the order of a listing."""


def shard_footers(shards_uri: str) -> Footers:
    """Read the Parquet metadata of every shard under a folder or prefix.

    Raises:
        TrainingError: there are no shards, a file is not Parquet, or all shards together hold no object.
    """
    footers = {file.uri: footer_of(file.uri) for file in list_files(shards_uri, ".parquet")}
    if not footers:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    if not any(footer.num_rows for footer in footers.values()):
        raise TrainingError(f"{shards_uri}: its shards must hold objects, got none in {', '.join(list(footers)[:3])}")
    return footers


def shards_digest(uris: Iterable[str]) -> str:
    """Return the digest of shards as a card states it (`training.dataset.Dataset.digest`); every byte is read."""
    return digest([sha256_bytes(read_bytes(uri)) for uri in uris])


def score_shards(
    footers: Footers, ensemble: Scorer, progress: Progress, chosen: Callable[[Shard], NDArray[np.int64]] | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return one row of scores and one of truth (`TRUTH_FIELDS`) for each object, in order; `progress` counts objects.

    Args:
        footers: The shards.
        ensemble: Scorer of the objects.
        progress: Called with (objects of the shards that are done, objects in all).
        chosen: Returns the rows of a shard to score, ascending; by default all.

    Raises:
        TrainingError: a file is not a shard.
    """
    scanner = CutoutScanner(ensemble, check_above=None)
    n_objects, n_done = sum(footer.num_rows for footer in footers.values()), 0
    scores, truths = [], []
    for uri, footer in footers.items():
        shard = decoded(uri, read_bytes(uri))
        rows = np.arange(len(shard.object_ids)) if chosen is None else chosen(shard)
        begin = partial(shard_batches, shard, rows, scanner.geometry, scanner.batch_size)
        scores.append(scanner.score_batches(BatchReader(begin, n_ahead=0)))
        truths.append(shard.truth.select([field.name for field in TRUTH_FIELDS]).take(pa.array(rows)))
        n_done += footer.num_rows
        progress(n_done, n_objects)
    return pa.concat_tables(scores), pa.concat_tables(truths)
