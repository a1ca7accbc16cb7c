"""Score every object of some shards with truth, for an evaluation."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

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
from scanner.sources.shards import DATA_SET_KEY, TRUTH_FIELDS, Shard
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, footer_of

Footers = Mapping[str, pq.FileMetaData]
"""Parquet metadata of each shard, by its URI, in the order of a listing."""


def shard_footers(shards_uri: str) -> Footers:
    """Read the Parquet metadata of every shard under a folder or prefix.

    Raises:
        TrainingError: there are no shards, or a file is not Parquet.
    """
    footers = {file.uri: footer_of(file.uri) for file in list_files(shards_uri, ".parquet")}
    if not footers:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
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


def data_sets(footers: Iterable[pq.FileMetaData]) -> str:
    """Return `n=20000, seed=900001, geometry mer, preset euclid` for each data set, as far as its shards state them."""
    sizes: Counter[bytes] = Counter()
    for footer in footers:
        sizes[(footer.metadata or {}).get(DATA_SET_KEY, b"{}")] += footer.num_rows
    return "; ".join(", ".join([f"n={n}", *_stated(json.loads(spec))]) for spec, n in sizes.items())


def _stated(spec: Mapping[str, Any]) -> Iterator[str]:
    texts = {"seed": "seed={}", "geometry": "geometry {}", "preset": "preset {}"}
    return (text.format(spec[key]) for key, text in texts.items() if key in spec)
