"""The kind network of a cascade in memory: it looks at the candidates alone, and tells single from compound lenses."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scanner.networks.combiner import LogitMargins
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.networks.kind_regression import LENS_KINDS, KindRegression
from scanner.vocabulary.geometry import Stamps
from scanner.vocabulary.kinds import KINDS

_NONLENS = KINDS[0]


class KindNetwork:
    """The kind network, the regression that combines it with the committee, and the least `p_lens` that it looks at."""

    def __init__(self, ensemble: Ensemble, combiner: KindRegression, from_p_lens: float) -> None:
        """Take the kind network as an ensemble of one network."""
        self._ensemble, self._combiner, self.from_p_lens = ensemble, combiner, from_p_lens

    def with_kinds(
        self, stamps: Stamps, seen: NDArray[np.int64], margins: LogitMargins, scores: EnsembleScores
    ) -> EnsembleScores:
        """Return a committee's scores with the kinds of its candidates; their `p_lens` stays the same.

        Args:
            stamps: `[batch, y, x]` per band.
            seen: Rows of the batch that the committee saw.
            margins: Logit margins of the committee's networks on the rows that it saw, by name.
            scores: Scores of the committee for these rows.

        Raises:
            StampsError, ValueError: as `Ensemble.score`.
        """
        rows = np.flatnonzero(scores.p_lens.astype(np.float64) >= self.from_p_lens)
        if not len(rows):
            return scores
        outputs = self._ensemble.outputs({band: images[seen[rows]] for band, images in stamps.items()})
        of_rows = {name: values[rows] for name, values in margins.items()}
        fitted = self._combiner.fitted_probabilities({**of_rows, **outputs.logit_margins})
        return _with_kinds(scores, rows, fitted, self._combiner.at_assumed_share(fitted))


def _with_kinds(
    scores: EnsembleScores, rows: NDArray[np.int64], fitted: NDArray[np.float64], assumed: NDArray[np.float64]
) -> EnsembleScores:
    """Return the scores with other kinds in `rows`: p(kind | lens), `[row, kind of lens]`, as fitted and as assumed."""
    if scores.kinds_given_lens is None or scores.p_compound is None or scores.subclass is None:
        raise ValueError("a kind network needs a committee that distinguishes the kinds")
    kinds, p_compound, subclass = scores.kinds_given_lens.copy(), scores.p_compound.copy(), list(scores.subclass)
    kinds[rows] = assumed
    p_compound[rows] = scores.p_lens[rows] * assumed[:, 1:].sum(axis=1)
    for row, k in zip(rows.tolist(), fitted.argmax(axis=1).tolist(), strict=True):
        # An object that the committee calls a non-lens in the fitted mixture stays one.
        if subclass[row] != _NONLENS:
            subclass[row] = LENS_KINDS[k]
    return replace(scores, kinds_given_lens=kinds, p_compound=p_compound, subclass=subclass)
