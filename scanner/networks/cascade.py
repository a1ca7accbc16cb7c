"""A cascade: a small network looks at every object, and a committee of large ones at those that it cannot exclude."""

import numpy as np
from numpy.typing import NDArray

from scanner.networks.card import EnsembleCard
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.stages import COMMITTEE, FIRST


class FirstStage:
    """The first stage alone, with empty scores of the committee: what a scan computes for every row."""

    def __init__(self, ensemble: Ensemble, committee: tuple[str, ...]) -> None:
        """Take the first stage, in any precision, and the names of the committee's networks."""
        self.geometry: Geometry = ensemble.geometry
        self.network_names = (*ensemble.network_names, *committee)
        self._ensemble, self._committee = ensemble, committee

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band; what the committee outputs is NaN."""
        return _merged(self._ensemble.score(stamps), None, np.empty(0, np.int64), self._committee)


class Cascade:
    """Both stages of an ensemble package in memory."""

    def __init__(self, card: EnsembleCard, first: Ensemble, committee: Ensemble, exclude_below: float) -> None:
        """Send objects with a `p_lens` of the first stage of at least `exclude_below` to the committee."""
        self.card = card
        self.name = card.name
        self.sha256 = card.sha256
        self.geometry: Geometry = committee.geometry
        self.network_names = (*first.network_names, *committee.network_names)
        self.exclude_below = exclude_below
        self.committee = committee
        self._first = first

    @property
    def first_stage(self) -> FirstStage:
        """The first stage alone."""
        return FirstStage(self._first, self.committee.network_names)

    def with_committee(self, committee: Ensemble) -> "Cascade":
        """Return the cascade with the same committee in another precision; the same rows reach it."""
        return Cascade(self.card, self._first, committee, self.exclude_below)

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band; what the committee alone outputs is NaN, or "", for rows that it does not see.

        Raises:
            StampsError: a band is missing or unknown, a shape is not that of the geometry, or a pixel is not finite.
        """
        first = self._first.score(stamps)
        passed = np.flatnonzero(first.p_lens >= np.float32(self.exclude_below))
        seen = self.committee.score({band: images[passed] for band, images in stamps.items()}) if len(passed) else None
        return _merged(first, seen, passed, self.committee.network_names)


def _merged(
    first: EnsembleScores, seen: EnsembleScores | None, passed: NDArray[np.int64], committee: tuple[str, ...]
) -> EnsembleScores:
    n = len(first.p_lens)
    stage = np.full(n, FIRST, np.int8)
    stage[passed] = COMMITTEE
    p_networks = {**first.p_networks, **{name: np.full(n, np.nan, np.float32) for name in committee}}
    p_lens, disagreement = first.p_lens.copy(), np.full(n, np.nan, np.float32)
    p_compound, subclass, kinds = (
        _copied(first.p_compound),
        first.subclass and list(first.subclass),
        _copied(first.kinds_given_lens),
    )
    if seen is not None:
        for name in committee:
            p_networks[name][passed] = seen.p_networks[name]
        p_lens[passed], disagreement[passed] = seen.p_lens, seen.disagreement
        if p_compound is not None and seen.p_compound is not None:
            p_compound[passed] = seen.p_compound
        if kinds is not None and seen.kinds_given_lens is not None:
            kinds[passed] = seen.kinds_given_lens
        if subclass is not None and seen.subclass is not None:
            for row, name in zip(passed.tolist(), seen.subclass, strict=True):
                subclass[row] = name
    features = None
    if seen is not None and seen.features is not None:
        features = np.full((n, seen.features.shape[1]), np.nan, np.float32)
        features[passed] = seen.features
    return EnsembleScores(p_networks, disagreement, p_lens, p_compound, subclass, kinds, stage, first.p_lens, features)


def _copied(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if values is None else values.copy()


Scorer = Ensemble | Cascade
"""Scorer of the objects of a package: all its networks, or its two stages."""
