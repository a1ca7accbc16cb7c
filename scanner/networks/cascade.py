"""A cascade: a small network looks at every object, and a committee of large ones at those that it cannot exclude.

One network of the committee may look before the others, and exclude more: the committee's early exit. A network of its own may
look at the candidates alone, tell their kind, and correct their `p_lens`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from scanner.networks.candidate_network import CandidateNetwork
from scanner.networks.card import EnsembleCard
from scanner.networks.ensemble import Ensemble, EnsembleScores, NetworkOutputs
from scanner.networks.log_odds import log_odds
from scanner.networks.stage_cards import EarlyExit
from scanner.preprocess.prepared_stamps import PreparedStamps
from scanner.preprocess.stamp_checks import check_stamps
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.stages import COMMITTEE, FIRST

_OF_ONE_NETWORK = ("p_lens", "p_compound", "subclass", "kinds_given_lens")
"""Fields that one network alone can give a row."""


class FirstStage:
    """The first stage alone, with empty scores of the committee: what a scan computes for every row."""

    def __init__(self, ensemble: Ensemble, committee: tuple[str, ...]) -> None:
        """Take the first stage, in any precision, and the names of the committee's networks."""
        self.geometry: Geometry = ensemble.geometry
        self.network_names = (*ensemble.network_names, *committee)
        self._ensemble, self._committee = ensemble, committee

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band; what the committee outputs is NaN."""
        return _of_first(self._ensemble.score(stamps), self._committee)


class Cascade:
    """All stages of an ensemble package in memory."""

    def __init__(
        self,
        card: EnsembleCard,
        first: Ensemble,
        committee: Ensemble,
        exclude_below: float,
        early_exit: EarlyExit | None = None,
        candidate_network: CandidateNetwork | None = None,
    ) -> None:
        """Send objects with a `p_lens` of the first stage of at least `exclude_below` to the committee.

        With `early_exit`, one network of the committee looks first, and the others at the objects that it does not exclude.
        With `candidate_network`, that network tells the kind of the candidates, and may correct their `p_lens`.
        """
        self.card = card
        self.name = card.name
        self.sha256 = card.sha256
        self.geometry: Geometry = committee.geometry
        self.network_names = (*first.network_names, *committee.network_names)
        self.exclude_below = exclude_below
        self.early_exit = early_exit
        self.committee = committee
        self.candidate_network = candidate_network
        self._first = first

    @property
    def first_stage(self) -> FirstStage:
        """The first stage alone."""
        return FirstStage(self._first, self.committee.network_names)

    @property
    def correction(self) -> CandidateNetwork | None:
        """The candidate network, if it corrects `p_lens`."""
        return None if self.corrects_from is None else self.candidate_network

    @property
    def corrects_from(self) -> float | None:
        """The least `p_lens` of the committee that is corrected; None if none is."""
        return None if self.candidate_network is None else self.candidate_network.corrects_from

    def rounded(self, committee: Ensemble, corrects: Ensemble | None = None, margin: float = 0.0) -> "Cascade":
        """Return the cascade with its committee, and the network that corrects `p_lens`, in another precision.

        Without `corrects`, no candidate network is left. The same rows reach the committee. The limits of the early exit and of
        the candidate network fall by `margin`, in log-odds: if rounding changes log-odds by less, each of them sees all rows
        that it sees in exact arithmetic.
        """
        early_exit = self.early_exit
        if early_exit:
            lower = float(expit(log_odds(np.array(early_exit.exclude_below)) - margin))
            early_exit = early_exit.model_copy(update={"exclude_below": lower})
        network = self.candidate_network.rounded(corrects, margin) if self.candidate_network and corrects else None
        return Cascade(self.card, self._first, committee, self.exclude_below, early_exit, network)

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band; what the committee alone outputs is NaN, or "", for rows that it does not see.

        Raises:
            StampsError: a band is missing or unknown, a shape is not that of the geometry, or a pixel is not finite.
        """
        check_stamps(stamps, self.geometry, ())
        prepared = PreparedStamps.of(stamps)
        return self._continued(self.first_stage.score(prepared), prepared)

    def score_again(self, stamps: Stamps, first: EnsembleScores, is_near: NDArray[np.bool_]) -> EnsembleScores:
        """Return the scores of stamps whose first stage was scored in rounded arithmetic.

        Args:
            stamps: `[batch, y, x]` per band.
            first: Rounded scores of the first stage.
            is_near: `[batch]`: true where rounding may decide what passes; these rows get the exact scores.

        Raises:
            StampsError: as `score`.
        """
        check_stamps(stamps, self.geometry, ())
        prepared, near = PreparedStamps.of(stamps), np.flatnonzero(is_near)
        # All fields are copied, because what follows writes into them.
        scores = first.of(np.ones(len(is_near), bool))
        if len(near):
            _put(scores, near, self.first_stage.score(prepared.part(near)), (*_OF_ONE_NETWORK, "p_first"))
        return self._continued(scores, prepared)

    def _continued(self, scores: EnsembleScores, stamps: PreparedStamps) -> EnsembleScores:
        """Return scores of the first stage with what the other stages find; some of their arrays are overwritten."""
        scores = self._beyond_first(scores, stamps)
        if self.correction is None or scores.p_committee is not None:
            return scores
        # No row reached the committee, so nothing was corrected.
        return replace(scores, p_committee=scores.p_lens, p_corrected=np.full(len(scores.p_lens), np.nan, np.float32))

    def _beyond_first(self, scores: EnsembleScores, stamps: PreparedStamps) -> EnsembleScores:
        passed = np.flatnonzero(scores.p_of_sweep >= np.float32(self.exclude_below))
        if self.early_exit is None:
            if not len(passed):
                return scores
            seen = stamps.part(passed)
            return self._completed(scores, passed, seen, self.committee.outputs(seen))
        scores = replace(scores, p_exit=np.full(len(scores.p_lens), np.nan, np.float32))
        return self._beyond_exit(self.early_exit, scores, stamps, passed) if len(passed) else scores

    def _beyond_exit(
        self, early_exit: EarlyExit, scores: EnsembleScores, stamps: PreparedStamps, passed: NDArray[np.int64]
    ) -> EnsembleScores:
        """Return the scores with those of the committee in the rows `passed`, which its early exit sees first."""
        at_exit = stamps.part(passed)
        begun = self.committee.outputs(at_exit, (early_exit.network,))
        alone = scores_of_exit(early_exit, begun)
        _put(scores, passed, alone, (*_OF_ONE_NETWORK, "p_exit"))
        stays = alone.p_lens >= np.float32(early_exit.exclude_below)
        if not stays.any():
            return scores
        others = [name for name in self.committee.network_names if name != early_exit.network]
        seen = at_exit.part(np.flatnonzero(stays))
        ended = self.committee.outputs(seen, others)
        return self._completed(scores, passed[stays], seen, begun.of(stays) | ended)

    def _completed(
        self, scores: EnsembleScores, rows: NDArray[np.int64], stamps: PreparedStamps, outputs: NetworkOutputs
    ) -> EnsembleScores:
        """Return the scores with those of the committee, in the rows that it saw: `stamps` and `outputs` are of these."""
        seen = self.committee.combined(outputs)
        if self.candidate_network is not None:
            seen = self.candidate_network.looked_at(stamps, outputs.logit_margins, seen)
        if seen.p_committee is not None:
            unseen = np.full(len(scores.p_lens), np.nan, np.float32)
            scores = replace(scores, p_committee=scores.p_lens.copy(), p_corrected=unseen)
            _put(scores, rows, seen, ("p_committee", "p_corrected"))
        _put(scores, rows, seen, (*_OF_ONE_NETWORK, "disagreement"))
        n = len(scores.p_lens)
        stage = np.full(n, FIRST, np.int8)
        stage[rows] = COMMITTEE
        if seen.features is None:
            return replace(scores, stage=stage)
        features = np.full((n, seen.features.shape[1]), np.nan, np.float32)
        features[rows] = seen.features
        return replace(scores, stage=stage, features=features)


def scores_of_exit(early_exit: EarlyExit, outputs: NetworkOutputs) -> EnsembleScores:
    """Return the scores that the network of an early exit gives alone, from its outputs."""
    margins = outputs.logit_margins[early_exit.network]
    combined = early_exit.combiner.combine({early_exit.network: margins})
    return EnsembleScores(
        p_networks={early_exit.network: combined.p_lens},
        disagreement=np.full(len(margins), np.nan, np.float32),
        p_lens=combined.p_lens,
        p_compound=combined.p_compound,
        subclass=combined.subclass,
        kinds_given_lens=combined.kinds_given_lens,
        p_exit=combined.p_lens,
    )


def _of_first(first: EnsembleScores, committee: tuple[str, ...]) -> EnsembleScores:
    """Return scores of rows that the first stage alone has seen; later stages write into them, but not into `p_first`."""
    n = len(first.p_lens)
    return EnsembleScores(
        p_networks={**first.p_networks, **{name: np.full(n, np.nan, np.float32) for name in committee}},
        disagreement=np.full(n, np.nan, np.float32),
        p_lens=first.p_lens.copy(),
        p_compound=first.p_compound,
        subclass=first.subclass,
        kinds_given_lens=first.kinds_given_lens,
        stage=np.full(n, FIRST, np.int8),
        p_first=first.p_lens,
    )


def _put(scores: EnsembleScores, rows: NDArray[np.int64], of_rows: EnsembleScores, names: Sequence[str]) -> None:
    """Write the scores of some rows, their networks' probabilities and the fields `names`, into those of all rows."""
    for network, values in of_rows.p_networks.items():
        scores.p_networks[network][rows] = values
    for name in names:
        # No field is None: the card makes sure that every stage separates the kinds.
        held, values = getattr(scores, name), getattr(of_rows, name)
        if name == "subclass":
            for row, value in zip(rows.tolist(), values, strict=True):
                held[row] = value
        else:
            held[rows] = values


Scorer = Ensemble | Cascade
"""Scorer of the objects of a package: all its networks, or its stages."""
