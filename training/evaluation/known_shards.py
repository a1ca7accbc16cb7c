"""Read shards whose objects have known kinds; every error names the file."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.store.storage import open_read
from scanner.files.parquet_checked import BadParquetError, errors_as_bad_parquet
from scanner.sources.shards import Shard, decode_shard, shard_kinds
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.stated_data import check_stated


def footer_of(uri: str) -> pq.FileMetaData:
    """Read the Parquet metadata of a shard.

    Raises:
        TrainingError: the file is not Parquet, or its description of a data set is damaged.
    """
    try:
        with open_read(uri) as stream, errors_as_bad_parquet():
            footer = pq.read_metadata(stream)
    except BadParquetError as error:
        raise TrainingError(f"{uri}: not a readable Parquet shard: {error.args[0]}") from error
    check_stated(uri, footer)
    return footer


def decoded(uri: str, data: bytes) -> Shard:
    """Return the shard in the bytes of the file at `uri`; its objects may have no kinds.

    Raises:
        TrainingError: the file is not a shard.
    """
    try:
        return decode_shard(data)
    except ValueError as error:
        raise TrainingError(f"{uri}: {error}") from error


def kinds_in(uri: str, shard: Shard) -> NDArray[np.int8]:
    """Return the kinds of a shard's objects, `[object]`, index into `KINDS`.

    Raises:
        TrainingError: an object has no kind, or an unknown one.
    """
    return _indices(uri, shard.truth["kind"].to_pylist())


def read_kinds(uris: Iterable[str]) -> NDArray[np.int8]:
    """Read the kinds of all objects of shards, `[object]`, index into `KINDS`, without their pixels.

    Raises:
        TrainingError: a file is not a shard, or an object has no kind, or an unknown one.
    """
    parts = [np.empty(0, np.int8)]
    for uri in uris:
        try:
            with open_read(uri) as source:
                kinds = shard_kinds(source)
        except ValueError as error:
            raise TrainingError(f"{uri}: {error}") from error
        parts.append(_indices(uri, kinds))
    return np.concatenate(parts)


def kind_counts(kinds: NDArray[np.integer]) -> dict[str, int]:
    """Return the number of objects of each kind; `kinds` is `[object]`, index into `KINDS`."""
    return dict(zip(KINDS, np.bincount(kinds, minlength=len(KINDS)).tolist(), strict=True))


def _indices(uri: str, kinds: Sequence[str | None]) -> NDArray[np.int8]:
    unknown = sorted({str(kind) for kind in kinds if kind not in KINDS})
    if unknown:
        raise TrainingError(f"{uri}: kind must be one of {KINDS} in every row, got {unknown}")
    return np.array([KINDS.index(kind) for kind in kinds if kind], dtype=np.int8)
