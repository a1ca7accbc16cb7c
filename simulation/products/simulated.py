"""Simulated objects in memory, as a caller in Python gets them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from scanner.catalogue.rows import Rows
from scanner.sources.shards import shard_of
from scanner.vocabulary.choices import GeometryName, PopulationPreset
from simulation.products.dataset import dataset_spec, simulate_objects
from simulation.products.render import SimulationError


@dataclass(frozen=True, eq=False, repr=False)
class Simulated:
    """Simulated objects and their truth, in the same order."""

    images: dict[str, NDArray[np.float32]]
    """Band to `[n, y, x]`, in ADU/s a pixel, y up, the object in the middle."""
    truth: Rows
    """A row for each object: `object_id`, `kind`, redshifts, Einstein radii, `arc_snr` and others."""

    def __repr__(self) -> str:
        kinds = Counter(self.truth.to_arrow()["kind"].to_pylist())
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        shapes = ", ".join(f"{band} {list(images.shape)}" for band, images in self.images.items())
        return f"Simulated {counts}; images {shapes}"


def simulate(
    n: int,
    seed: int,
    kinds: str | Sequence[str] | Mapping[str, float] | None,
    geometry: GeometryName,
    preset: PopulationPreset,
) -> Simulated:
    """Simulate n objects in this process; object i depends on the other arguments and i alone.

    Raises:
        SimulationError: an argument is out of range; the message names it.
    """
    for name, value, least in (("n", n, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise SimulationError(f"{name} must be an integer of at least {least}, got {value!r}")
    if geometry not in get_args(GeometryName):
        raise SimulationError(f"geometry must be one of {', '.join(get_args(GeometryName))}, got {geometry!r}")
    table = simulate_objects(dataset_spec(int(n), int(seed), preset, _kinds_text(kinds), geometry), range(n))
    shard = shard_of(table)
    return Simulated(dict(shard.stamps), Rows(shard.truth.add_column(0, table.schema.field("object_id"), table["object_id"])))


def _kinds_text(kinds: str | Sequence[str] | Mapping[str, float] | None) -> str | None:
    """Return kinds as `parse_kinds` reads them; None for the default."""
    if kinds is None or isinstance(kinds, str):
        return kinds
    return ",".join(f"{kind}={weight}" for kind, weight in kinds.items()) if isinstance(kinds, Mapping) else ",".join(kinds)
