"""Check, before hours are spent on training, that every split has objects of every class; only ids and kinds are read."""

import math

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.store.storage import list_files, open_read
from scanner.files.parquet_checked import errors_as_bad_parquet
from scanner.networks.architectures import LENS_OR_NOT
from scanner.vocabulary.kinds import KINDS
from training.config import TrainConfig
from training.dataset import SPLITS, Dataset, Split
from training.errors import TrainingError
from training.evaluation.known_shards import footer_of
from training.evaluation.stated_data import smaller_stamps

_CHANCE = 0.01
"""Accepted probability that a split lacks a class, for the number of objects that the message recommends."""


def check_splits(shards_uri: str, config: TrainConfig) -> int:
    """Check the training and validation split for every class of every network, the test split for lenses and non-lenses.

    Shards that cannot be read are left to `prepare_dataset`, which says what is wrong with them.

    Returns:
        Number of objects.

    Raises:
        TrainingError: a class has no object in a split; the message says how many objects are needed. Or the shards state a
            geometry whose stamps show less of the sky than the networks read.
    """
    files = list_files(shards_uri, ".parquet")
    objects = [_objects(file.uri) for file in files]
    if not objects or any(part is None for part in objects):
        return 0
    if smaller := smaller_stamps([footer_of(file.uri) for file in files], config.geometry):
        raise TrainingError(
            f"{shards_uri}: the networks read stamps of the geometry {config.geometry}, and those of {smaller} are smaller; "
            f"simulate with --geometry {config.geometry}, or choose another preset"
        )
    kinds, group_ids = (np.concatenate(parts) for parts in zip(*filter(None, objects), strict=True))
    dataset = Dataset({}, kinds, group_ids, "")
    # The most classes first: they need the most objects.
    of_networks = sorted({LENS_OR_NOT, *(spec.classes for spec in config.networks)}, key=len, reverse=True)
    for split in SPLITS:
        for classes in (LENS_OR_NOT,) if split == "test" else of_networks:
            _check(split, classes, dataset, config)
    return len(kinds)


def _objects(uri: str) -> tuple[NDArray[np.int8], NDArray[np.int64]] | None:
    """Return kinds and group ids of the objects of a shard, `[object]` each, as in `Dataset`; None if it cannot be used."""
    try:
        with open_read(uri) as file, errors_as_bad_parquet():
            table = pq.read_table(file, columns=["object_id", "kind", "index"])
        ids, kinds, indices = (table[name].to_pylist() for name in ("object_id", "kind", "index"))
        groups = [object_id if index is None else index for object_id, index in zip(ids, indices, strict=True)]
        return np.array([KINDS.index(kind) for kind in kinds], np.int8), np.array(groups, np.int64)
    except (KeyError, ValueError, TypeError):
        return None


def _check(split: Split, classes: tuple[str, ...], dataset: Dataset, config: TrainConfig) -> None:
    labels = dataset.labels(classes)
    rows = dataset.rows(split, config.validation_fraction, config.test_fraction)
    counts = np.bincount(labels[rows], minlength=len(classes))
    if counts.all():
        return
    n, shares = len(labels), np.bincount(labels, minlength=len(classes)) / len(labels)
    held_out = {"validation": config.validation_fraction, "test": config.test_fraction}
    share_of_split = held_out.get(split, 1 - sum(held_out.values()))
    found = ", ".join(f"{count} {name}" for name, count in zip(classes, counts.tolist(), strict=True))
    if not shares.all():
        missing = " and ".join(name for name, share in zip(classes, shares, strict=True) if not share)
        raise TrainingError(f"every class needs objects: the {n} objects hold no {missing}")
    needed = math.log(1 / _CHANCE) / (shares.min() * share_of_split)
    raise TrainingError(
        f"{split} split: every class needs objects, got {found} of {n} objects in all; {_rounded_up(needed)} objects are enough"
    )


def _rounded_up(number: float) -> int:
    """Round up to two digits."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / step) * step
