"""Graded objects as training data: shards to train on, shards held out, and the weight of each object."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import GEOMETRIES, Stamps
from training.dataset import hashed_fraction
from training.errors import TrainingError
from training.markers import read_marker, write_marker

HELD_OUT_FRACTION = 0.3
"""Share of the graded objects that networks never learn from, chosen by a hash of the object id."""
LEAST_WEIGHT = 0.5
"""Smallest weight of an object that is used: graders must be three times as sure of one answer as of the other."""
_ROWS_PER_SHARD = 500


class GradedObject(Frozen):
    """An object of a catalogue, and what its graders say."""

    object_id: int
    p_graded: float
    """Probability of a lens."""
    is_compound: bool
    """Whether at least half of its graders call it a compound lens."""

    @property
    def weight(self) -> float:
        """0 where graders are undecided, 1 where they are sure."""
        return abs(2 * self.p_graded - 1)

    @property
    def kind(self) -> str:
        """Kind that networks learn; grades do not tell the kinds of compound lenses apart, so the commoner stands for both."""
        if self.p_graded < 0.5:
            return "nonlens"
        return "compound_arc" if self.is_compound else "single"


class LeftOut(Frozen):
    """Graded objects that no network learns, as their pixels cannot be read."""

    n_objects: int
    first_reason: str

    @property
    def warning(self) -> str:
        """A sentence for people."""
        return f"{self.n_objects} graded objects are left out: their pixels cannot be read, of the first: {self.first_reason}"


@dataclass(frozen=True)
class GradedShards:
    """Folders of shards with the kinds of graded objects."""

    folder: Path

    @property
    def learnt(self) -> Path:
        """Folder of the shards to train on."""
        return self.folder / "learnt"

    @property
    def held_out(self) -> Path:
        """Folder of the shards that no network learns from."""
        return self.folder / "held_out"

    @property
    def is_complete(self) -> bool:
        """True once `write_graded` has finished."""
        return read_marker(self._weights) is not None

    @property
    def left_out(self) -> LeftOut | None:
        """Graded objects that are not in the shards; None if there are none."""
        content = read_marker(self.folder / "left_out.json")
        return LeftOut.model_validate(content) if content else None

    @property
    def _weights(self) -> Path:
        return self.folder / "weights.json"

    def weights(self) -> dict[int, float]:
        """Return the weight of each object by object_id.

        Raises:
            TrainingError: `write_graded` did not finish.
        """
        content = read_marker(self._weights)
        if content is None:
            raise TrainingError(f"{self.folder}: holds no graded objects")
        return {int(object_id): weight for object_id, weight in content.items()}


def write_graded(
    objects: Sequence[GradedObject], stamps: Stamps, geometry: str, folder: Path, left_out: LeftOut | None = None
) -> GradedShards:
    """Write graded objects as shards; those whose graders are undecided are left out.

    Args:
        objects: Different objects.
        stamps: Band to `[object, y, x]` in this geometry.
        geometry: Name of the geometry.
        folder: Folder of the shards, which this call fills anew.
        left_out: Other graded objects, which have no pixels.

    Raises:
        TrainingError: no object is decided, or all that are would be held out.
    """
    weights = np.array([one.weight for one in objects])
    is_used = weights >= LEAST_WEIGHT
    if not is_used.any():
        raise TrainingError(
            f"graders must agree on an object before networks can learn it, got {len(objects)} undecided objects"
        )
    ids = np.array([one.object_id for one in objects], np.int64)
    is_held = hashed_fraction(ids) < HELD_OUT_FRACTION
    if is_held[is_used].all():
        raise TrainingError(
            f"networks must have at least 1 graded object to learn, got 0: the hash of the ids holds out all {is_used.sum()} "
            "that graders agree on; grade more objects"
        )
    shards = GradedShards(folder)
    (folder / "weights.json").unlink(missing_ok=True)
    for part, chosen in ((shards.learnt, is_used & ~is_held), (shards.held_out, is_used & is_held)):
        part.mkdir(parents=True, exist_ok=True)
        for old in part.glob("*.parquet"):
            old.unlink()
        rows = np.flatnonzero(chosen)
        for number, start in enumerate(range(0, len(rows), _ROWS_PER_SHARD)):
            some = rows[start : start + _ROWS_PER_SHARD]
            images = {band: stamps[band][some] for band in GEOMETRIES[geometry].grids}
            table = shard_table(ids[some], images, {"kind": [objects[i].kind for i in some.tolist()]}, GEOMETRIES[geometry])
            (part / f"shard-{number:05}.parquet").write_bytes(encode_shard(table))
    write_marker(folder / "left_out.json", left_out.model_dump() if left_out else {})
    # Written last: shards without it are incomplete.
    used = {str(objects[i].object_id): objects[i].weight for i in np.flatnonzero(is_used).tolist()}
    write_marker(folder / "weights.json", used)
    return shards


def repeated(n_train: int, weights: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """Return how often each graded object comes in an epoch, `[object]`, at least once.

    Args:
        n_train: Number of other objects of an epoch.
        weights: `[object]`, above 0.
        share: Share of the epoch that the graded objects have together, if none comes less than once.
    """
    wanted = share / (1 - share) * n_train * weights / weights.sum()
    return np.maximum(np.round(wanted), 1).astype(np.int64)
