"""Check that equal ids in several shards are not of different data sets: a scan keeps only the first object of an id."""

from collections.abc import Mapping

import numpy as np

from scanner.catalogue.units import PlanError
from scanner.sources.shards import NumberedObjects


def check_data_sets(shards: Mapping[str, NumberedObjects]) -> None:
    """Compare the ids of shards, by their URIs, that state different data sets; shards that state none are not compared.

    Raises:
        PlanError: an id is in shards of two data sets.
    """
    stated = {uri: shard for uri, shard in shards.items() if shard.data_set is not None}
    numbers = {data_set: number for number, data_set in enumerate({shard.data_set for shard in stated.values()})}
    if len(numbers) < 2:
        return
    uris, ids = list(stated), np.concatenate([shard.object_ids for shard in stated.values()])
    shard_of = np.repeat(np.arange(len(uris)), [len(shard.object_ids) for shard in stated.values()])
    data_set_of = np.array([numbers[shard.data_set] for shard in stated.values()])[shard_of]
    order = np.argsort(ids, kind="stable")
    # Among equal ids, which are now neighbours, a change of the data set shows wherever there are two.
    is_shared = (np.diff(ids[order]) == 0) & (np.diff(data_set_of[order]) != 0)
    if not is_shared.any():
        return
    place = int(is_shared.argmax())
    one, other = (uris[shard_of[order[i]]] for i in (place, place + 1))
    n_shared = len(np.unique(ids[order[:-1][is_shared]]))
    raise PlanError(
        f"{one} and {other} are shards of different data sets, and their objects share ids, such as {ids[order[place]]} "
        f"({n_shared} ids in all); scan one data set at a time, each in a folder of its own"
    )
