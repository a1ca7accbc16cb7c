"""Scores of simulated objects in small files, one for each part of a data set: what a killed reproduction goes on from.

An object depends on the seed and its index alone, so a part is the same for any number of objects of the data set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.files import replace_whole
from scanner.files.parquet_checked import BadParquetError, errors_as_bad_parquet
from scanner.networks.cascade import Scorer
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import TRUTH_FIELDS, shard_of
from training.errors import TrainingError

OBJECTS_PER_PART = 100
_TRUTH = "truth"


@dataclass(frozen=True)
class Part:
    """Consecutive objects of a data set, and the files of their truth and their scores."""

    folder: Path
    first: int
    """Index of the first object."""
    n: int

    @property
    def indices(self) -> range:
        return range(self.first, self.first + self.n)

    def file(self, label: str) -> Path:
        """Return the file of the scores with this label."""
        return self.folder / f"{self.first:06d}-{self.n}.{label}.parquet"

    def missing(self, labels: Sequence[str]) -> list[str]:
        """Return the labels without a file."""
        return [label for label in (_TRUTH, *labels) if not self.file(label).is_file()]


def parts_of(folder: Path, n: int) -> list[Part]:
    """Return the parts of a data set of `n` objects; the last may be smaller."""
    starts = range(0, n, OBJECTS_PER_PART)
    return [Part(folder, first, min(OBJECTS_PER_PART, n - first)) for first in starts]


def write_part(part: Part, shard: pa.Table, scorers: dict[str, Scorer]) -> None:
    """Write the truth of a part's objects, and their scores by each scorer; the pixels are not kept.

    Args:
        part: Where to write.
        shard: The objects, as a table of the shard format.
        scorers: Scorers by label.
    """
    part.folder.mkdir(parents=True, exist_ok=True)
    objects = shard_of(shard)
    for label, scorer in scorers.items():
        scanner = CutoutScanner(scorer, check_above=None)
        begin = partial(shard_batches, objects, np.arange(part.n), scanner.geometry, scanner.batch_size)
        _write(part.file(label), scanner.score_batches(BatchReader(begin, n_ahead=0)))
    _write(part.file(_TRUTH), objects.truth.select([field.name for field in TRUTH_FIELDS]))


def read_parts(parts: Sequence[Part], label: str | None = None) -> pa.Table:
    """Return the truth of the objects of some parts, or their scores with a label, in order.

    Raises:
        TrainingError: a file is damaged.
    """
    tables = []
    for part in parts:
        path = part.file(label or _TRUTH)
        try:
            with errors_as_bad_parquet():
                tables.append(pq.read_table(path))
        except BadParquetError as error:
            raise TrainingError(f"{path}: not a readable Parquet file; remove it and run the command again") from error
    return pa.concat_tables(tables)


def _write(path: Path, table: pa.Table) -> None:
    with replace_whole(path) as part:
        pq.write_table(table, part)
