"""The candidate network of a cascade in memory: it looks at candidates alone, tells their kind, and may correct `p_lens`.

With it, the networks of a second opinion look, which correct `p_lens`, too.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from scanner.networks.combiner import Combined, LogitMargins, SoftmaxStack
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.networks.kind_regression import LENS_KINDS
from scanner.networks.lens_regression import least_looked_at
from scanner.networks.log_odds import log_odds
from scanner.networks.stage_cards import CandidateStage
from scanner.preprocess.prepared_stamps import PreparedStamps
from scanner.vocabulary.kinds import KINDS

_NONLENS = KINDS[0]


class CandidateNetwork:
    """The networks of a candidate stage, its regressions, and the least `p_lens` of the committee that it looks at."""

    def __init__(
        self,
        ensemble: Ensemble,
        stage: CandidateStage,
        from_p_lens: float,
        committee: SoftmaxStack,
        margin: float = 0.0,
    ) -> None:
        """Take the networks of the stage as an ensemble.

        If the stage has a regression of lenses, it corrects the `p_lens` that `committee` gives, from its own limit on. The
        networks also look at objects whose log-odds lie up to `margin` below the limit: their `p_corrected` is known, and
        their scores stay those of the committee.
        """
        self.ensemble, self.stage, self.from_p_lens = ensemble, stage, from_p_lens
        self._committee = committee
        self._least = least_looked_at(from_p_lens, stage.lens)
        self._looks_from = float(expit(log_odds(np.array(self._least)) - margin)) if margin else self._least

    @property
    def corrects_from(self) -> float | None:
        """The least `p_lens` of the committee that is corrected; None if none is."""
        return None if self.stage.lens is None else self.stage.lens.from_p_lens

    def rounded(self, ensemble: Ensemble, margin: float) -> "CandidateNetwork":
        """Return the same with the networks in another precision, and with another margin."""
        return CandidateNetwork(ensemble, self.stage, self.from_p_lens, self._committee, margin)

    def looked_at(self, stamps: PreparedStamps, margins: LogitMargins, scores: EnsembleScores) -> EnsembleScores:
        """Return a committee's scores with the kinds of its candidates, and with their corrected `p_lens`.

        Args:
            stamps: `[batch, y, x]` per band, of the objects that the committee saw.
            margins: Logit margins of the committee's networks, by name.
            scores: Scores of the committee.

        Raises:
            StampsError, ValueError: as `Ensemble.score`.
        """
        of_committee = scores.p_lens.astype(np.float64)
        corrects_from = self.corrects_from
        if corrects_from is not None:
            scores = replace(scores, p_committee=scores.p_lens, p_corrected=np.full(len(of_committee), np.nan, np.float32))
        rows = np.flatnonzero(of_committee >= self._looks_from)
        if not len(rows):
            return scores
        outputs = self.ensemble.outputs(stamps.part(rows))
        of_rows = {name: values[rows] for name, values in margins.items()}
        is_told = of_committee[rows] >= self._least
        of_all = {**of_rows, **outputs.logit_margins}
        if corrects_from is not None:
            scores = _with_p_lens(scores, rows, self.corrected(of_all), of_committee[rows] >= corrects_from)
        fitted = self.stage.combiner.fitted_probabilities(of_all)[is_told]
        return _with_kinds(scores, rows[is_told], fitted, self.stage.combiner.at_assumed_share(fitted))

    def corrected(self, margins: LogitMargins) -> Combined:
        """Return corrected scores for logit margins of the committee's networks, and of those of the stage.

        Raises:
            ValueError: the stage corrects no `p_lens`.
        """
        return self.stage.corrected(self._committee, margins)


def _with_p_lens(
    scores: EnsembleScores, rows: NDArray[np.int64], combined: Combined, chosen: NDArray[np.bool_]
) -> EnsembleScores:
    """Return the scores with the `p_lens` and subclass of `combined`, which has those of `rows`, in the chosen ones."""
    p_lens, subclass = scores.p_lens.copy(), list(scores.subclass or ())
    p_corrected = np.full(len(p_lens), np.nan, np.float32)
    p_corrected[rows] = combined.p_lens
    p_lens[rows[chosen]] = combined.p_lens[chosen]
    for k in np.flatnonzero(chosen):
        subclass[rows[k]] = (combined.subclass or ())[k]
    return replace(scores, p_lens=p_lens, subclass=subclass, p_corrected=p_corrected)


def _with_kinds(
    scores: EnsembleScores, rows: NDArray[np.int64], fitted: NDArray[np.float64], assumed: NDArray[np.float64]
) -> EnsembleScores:
    """Return the scores with other kinds in `rows`: p(kind | lens), `[row, kind of lens]`, as fitted and as assumed."""
    if scores.kinds_given_lens is None or scores.p_compound is None or scores.subclass is None:
        raise ValueError("a candidate network needs a committee that distinguishes the kinds")
    kinds, p_compound, subclass = scores.kinds_given_lens.copy(), scores.p_compound.copy(), list(scores.subclass)
    kinds[rows] = assumed
    p_compound[rows] = scores.p_lens[rows] * assumed[:, 1:].sum(axis=1)
    for row, k in zip(rows.tolist(), fitted.argmax(axis=1).tolist(), strict=True):
        # An object that the committee takes for a non-lens stays one.
        if subclass[row] != _NONLENS:
            subclass[row] = LENS_KINDS[k]
    return replace(scores, kinds_given_lens=kinds, p_compound=p_compound, subclass=subclass)
