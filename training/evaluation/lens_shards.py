"""Read the lenses with bright arcs of a folder of shards."""

import numpy as np

from infra.store.storage import list_files, read_bytes
from scanner.explain.sanity import Truth
from scanner.vocabulary.geometry import Geometry, Stamps
from training.errors import TrainingError
from training.evaluation.arc_truth import LEAST_ARC_SNR, bright_lenses
from training.evaluation.known_shards import decoded
from training.evaluation.map_measures import LEAST_OBJECTS


def read_bright_lenses(shards_uri: str, geometry: Geometry, n: int) -> tuple[Stamps, Truth]:
    """Return stamps and arcs of the first `n` bright lenses at most, as `bright_lenses`, reading no more shards than needed.

    Raises:
        TrainingError: there are no shards, a file is not a shard with components, or the shards hold too few such lenses.
    """
    parts: list[tuple[Stamps, Truth]] = []
    files = list_files(shards_uri, ".parquet")
    if not files:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    for file in files:
        shard = decoded(file.uri, read_bytes(file.uri))
        try:
            parts.append(bright_lenses(shard, geometry))
        except TrainingError as error:
            raise TrainingError(f"{file.uri}: {error}") from error
        if sum(len(truth) for _, truth in parts) >= n:
            break
    truth = np.concatenate([truth for _, truth in parts])[:n]
    if len(truth) < LEAST_OBJECTS:
        raise TrainingError(
            f"{shards_uri}: needs at least {LEAST_OBJECTS} lenses with arcs of S/N {LEAST_ARC_SNR:g} or more, has {len(truth)}"
        )
    stamps = {band: np.concatenate([stamps[band] for stamps, _ in parts])[:n] for band in geometry.grids}
    return stamps, truth
