"""The shards that a cascade is calibrated on, checked before a network sees them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.calibrate import MIN_OBJECTS_PER_KIND, can_stack
from training.evaluation.known_shards import kind_counts, read_kinds
from training.evaluation.shard_scores import Footers, shard_footers
from training.margins import random_half

_NONLENS = KINDS.index("nonlens")


@dataclass(frozen=True)
class CalibrationShards:
    """Shards of natural draws and of the preset `broad`, neither of which any network saw."""

    natural_uri: str
    broad_uri: str
    natural: Footers
    broad: Footers

    @classmethod
    def read(cls, natural_uri: str, broad_uri: str) -> Self:
        """Read what the shards say of themselves.

        Raises:
            TrainingError: there are no shards, a file is none, or they hold too few objects of a kind.
        """
        natural, broad = shard_footers(natural_uri), shard_footers(broad_uri)
        _check_natural(natural_uri, read_kinds(natural))
        _check_broad(broad_uri, read_kinds(broad))
        return cls(natural_uri, broad_uri, natural, broad)

    @property
    def n_natural(self) -> int:
        """Number of natural draws."""
        return _n_rows(self.natural)

    @property
    def n_objects(self) -> int:
        """Number of all objects."""
        return _n_rows(self.natural) + _n_rows(self.broad)


def _n_rows(footers: Footers) -> int:
    return sum(footer.num_rows for footer in footers.values())


def _check_natural(uri: str, kinds: NDArray[np.int8]) -> None:
    """Check that poolings can be fitted on one half of the natural objects and measured on the other."""
    fitted_on = random_half(len(kinds))
    for half in (kinds[fitted_on], kinds[~fitted_on]):
        if not can_stack(half):
            raise TrainingError(
                f"{uri}: needs at least {MIN_OBJECTS_PER_KIND} objects of each kind in each of two random halves, "
                f"got {kind_counts(half)} in one and {kind_counts(kinds)} in all"
            )


def _check_broad(uri: str, kinds: NDArray[np.int8]) -> None:
    is_lens = kinds != _NONLENS
    if is_lens.all() or not is_lens.any():
        raise TrainingError(f"{uri}: needs lenses and non-lenses, got {kind_counts(kinds)}")
