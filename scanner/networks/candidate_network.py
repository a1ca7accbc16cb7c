"""The candidate network of a cascade in memory: it looks at candidates alone, tells their kind, and may correct `p_lens`."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scanner.networks.combiner import Combined, LogitMargins, SoftmaxStack
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.networks.kind_regression import LENS_KINDS, KindRegression
from scanner.networks.lens_regression import LensRegression, corrected, least_looked_at
from scanner.vocabulary.geometry import Stamps
from scanner.vocabulary.kinds import KINDS

_NONLENS = KINDS[0]


class CandidateNetwork:
    """The candidate network, the regressions that combine it with the committee, and the least `p_lens` that it looks at."""

    def __init__(
        self,
        ensemble: Ensemble,
        combiner: KindRegression,
        from_p_lens: float,
        committee: SoftmaxStack,
        lens: LensRegression | None = None,
    ) -> None:
        """Take the candidate network as an ensemble of one network.

        With `lens`, that regression corrects the `p_lens` that `committee` gives, from its own least `p_lens` on.
        """
        self._ensemble, self._combiner, self.from_p_lens = ensemble, combiner, from_p_lens
        self._committee, self.lens = committee, lens

    def looked_at(
        self, stamps: Stamps, seen: NDArray[np.int64], margins: LogitMargins, scores: EnsembleScores
    ) -> EnsembleScores:
        """Return a committee's scores with the kinds of its candidates, and with their corrected `p_lens`.

        Args:
            stamps: `[batch, y, x]` per band.
            seen: Rows of the batch that the committee saw.
            margins: Logit margins of the committee's networks on the rows that it saw, by name.
            scores: Scores of the committee for these rows.

        Raises:
            StampsError, ValueError: as `Ensemble.score`.
        """
        of_committee = scores.p_lens.astype(np.float64)
        if self.lens is not None:
            scores = replace(scores, p_committee=scores.p_lens)
        rows = np.flatnonzero(of_committee >= least_looked_at(self.from_p_lens, self.lens))
        if not len(rows):
            return scores
        outputs = self._ensemble.outputs({band: images[seen[rows]] for band, images in stamps.items()})
        of_rows = {name: values[rows] for name, values in margins.items()}
        if self.lens is not None:
            combined = corrected(self._committee, self.lens, of_rows, outputs.logit_margins[self._combiner.network])
            scores = _with_p_lens(scores, rows, combined, of_committee[rows] >= self.lens.from_p_lens)
        fitted = self._combiner.fitted_probabilities({**of_rows, **outputs.logit_margins})
        return _with_kinds(scores, rows, fitted, self._combiner.at_assumed_share(fitted))


def _with_p_lens(
    scores: EnsembleScores, rows: NDArray[np.int64], combined: Combined, chosen: NDArray[np.bool_]
) -> EnsembleScores:
    """Return the scores with the `p_lens` and subclass of `combined`, which has those of `rows`, in the chosen ones."""
    p_lens, subclass = scores.p_lens.copy(), list(scores.subclass or ())
    p_lens[rows[chosen]] = combined.p_lens[chosen]
    for k in np.flatnonzero(chosen):
        subclass[rows[k]] = (combined.subclass or ())[k]
    return replace(scores, p_lens=p_lens, subclass=subclass)


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
