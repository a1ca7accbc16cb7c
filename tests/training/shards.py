"""Tiny shards in which lenses are bright rings, which networks learn in a few epochs."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from scanner.sources.shards import DATA_SET_KEY, encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.kinds import KINDS
from simulation.products.dataset import DatasetSpec, per_object


def write_shards(folder, n_objects, n_shards=2, seed=0, first_id=1000, mislabelled=(), kinds=KINDS):
    """Write `n_objects` objects, the kinds in turn; objects with ids in `mislabelled` are labelled as the next kind.

    The names of the kinds are `kinds`, if those of `KINDS` are not to be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number, ids in enumerate(np.array_split(np.arange(n_objects), n_shards)):
        drawn = [KINDS[i % len(KINDS)] for i in ids]
        stamps = {band: draw(grid, drawn, rng) for band, grid in CHALLENGE.grids.items()}
        said = [kinds[(i + (i + first_id in mislabelled)) % len(kinds)] for i in ids]
        table = shard_table(ids + first_id, stamps, {"kind": said}, CHALLENGE)
        (folder / f"shard-{number:05d}.parquet").write_bytes(encode_shard(table))
    return str(folder)


def state(folder, **spec):
    """Let the shards of a folder state the specification of a data set."""
    about = per_object(DatasetSpec(**{"n": 1, "seed": 1, **spec})).encode()
    for path in Path(folder).iterdir():
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), DATA_SET_KEY: about}), path)
    return str(folder)


def draw(grid, kinds, rng):
    """Draw images `[object, y, x]`: a galaxy, alone or with half a ring, one ring, or two."""
    axis = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
    y, x = np.meshgrid(axis, axis, indexing="ij")
    r = np.hypot(y, x)
    arc, ring, outer = (
        (x > 0) * np.exp(-(((r - 3) / 0.5) ** 2)),
        np.exp(-(((r - 3) / 0.5) ** 2)),
        np.exp(-(((r - 6) / 0.5) ** 2)),
    )
    sources = {"nonlens": 0 * r, "single": arc, "compound_arc": ring, "double_ring": ring + outer}
    scene = np.stack([3 * np.exp(-r) + 4 * sources[kind] for kind in kinds])
    return (scene + rng.normal(0, 0.3, scene.shape)).astype(np.float32)
