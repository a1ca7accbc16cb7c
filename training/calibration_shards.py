"""The shards that a cascade is calibrated on, checked before a network sees them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scanner.networks.card import EnsembleCard
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.calibrate import MIN_OBJECTS_PER_KIND, can_stack
from training.evaluation.known_shards import kind_counts, read_kinds
from training.evaluation.shard_scores import Footers, shard_footers, shards_digest
from training.evaluation.stated_data import FOR_TRAINING, other_pixels, presets, same_objects, simulations
from training.margins import random_half

_NONLENS = KINDS.index("nonlens")


@dataclass(frozen=True)
class CalibrationShards:
    """Shards of natural draws and of the preset `broad`, neither of which any network saw."""

    natural_uri: str
    broad_uri: str
    natural: Footers
    broad: Footers
    digests: tuple[str, str]
    """Digests of the natural and of the broad shards."""

    @classmethod
    def read(cls, natural_uri: str, broad_uri: str, n_more_nonlenses: int = 0) -> Self:
        """Read what the shards say of themselves.

        Args:
            natural_uri: Folder or `s3://` prefix of shards of natural draws.
            broad_uri: Folder or `s3://` prefix of shards of the preset `broad`.
            n_more_nonlenses: Number of non-lenses that are calibrated on, too, behind the natural draws.

        Raises:
            TrainingError: there are no shards, a file is none, they hold too few objects of a kind, or they state a preset of
                the other ones.
        """
        natural, broad = shard_footers(natural_uri), shard_footers(broad_uri)
        _check_presets(natural_uri, presets(natural.values()), broad_uri, presets(broad.values()))
        _check_natural(natural_uri, read_kinds(natural), n_more_nonlenses)
        _check_broad(broad_uri, read_kinds(broad))
        return cls(natural_uri, broad_uri, natural, broad, (shards_digest(natural), shards_digest(broad)))

    def check_for(self, geometry: str, packages: Iterable[EnsembleCard]) -> None:
        """Check that the shards can calibrate the networks of packages.

        Raises:
            TrainingError: a network was trained on them, or they state a geometry that `other_pixels` returns.
        """
        # A package without counts was calibrated; unless it tells what on, what its networks were trained on is unknown.
        known_of = [card for card in packages if card.training_data.n_objects or card.training_data.calibrated_on]
        both = zip((self.natural_uri, self.broad_uri), (self.natural, self.broad), self.digests, strict=True)
        for uri, footers, digest in both:
            if other := other_pixels(footers.values(), geometry):
                raise TrainingError(f"{uri}: the networks read stamps of the geometry {geometry}, the shards hold {other}")
            for card in known_of:
                known = card.training_data.trained_on
                if digest in known.digests or same_objects(simulations(footers.values()), known.simulations):
                    raise TrainingError(f"{uri}: {card.name} was trained on these objects; calibrate on others")

    @property
    def n_natural(self) -> int:
        """Number of natural draws."""
        return _n_rows(self.natural)

    @property
    def n_objects(self) -> int:
        """Number of all objects."""
        return _n_rows(self.natural) + _n_rows(self.broad)


def _check_presets(natural_uri: str, natural: set[str], broad_uri: str, broad: set[str]) -> None:
    """Check the presets that shards state: natural ones hold as many objects of a kind as the sky, broad ones do not."""
    if unnatural := natural & set(FOR_TRAINING):
        raise TrainingError(
            f"{natural_uri}: natural draws are needed, as of the preset euclid, got shards of the preset {min(unnatural)}"
        )
    if broad and not broad & set(FOR_TRAINING):
        raise TrainingError(f"{broad_uri}: shards of the preset broad are needed, got those of the preset {min(broad)}")


def _n_rows(footers: Footers) -> int:
    return sum(footer.num_rows for footer in footers.values())


def _check_natural(uri: str, kinds: NDArray[np.int8], n_more_nonlenses: int) -> None:
    """Check that poolings can be fitted on one half of the natural objects and measured on the other."""
    # The halves of the fit, which has the further non-lenses behind the natural objects: another number has other halves.
    kinds = np.append(kinds, np.full(n_more_nonlenses, _NONLENS, kinds.dtype))
    more = f" with {n_more_nonlenses} simulated non-lenses," if n_more_nonlenses else ""
    fitted_on = random_half(len(kinds))
    for half in (kinds[fitted_on], kinds[~fitted_on]):
        if not can_stack(half):
            raise TrainingError(
                f"{uri}:{more} needs at least {MIN_OBJECTS_PER_KIND} objects of each kind in each of two random halves, "
                f"got {kind_counts(half)} in one and {kind_counts(kinds)} in all"
            )


def _check_broad(uri: str, kinds: NDArray[np.int8]) -> None:
    is_lens = kinds != _NONLENS
    if is_lens.all() or not is_lens.any():
        raise TrainingError(f"{uri}: needs lenses and non-lenses, got {kind_counts(kinds)}")
