"""Sweep of a cascade's committee: rounded scores decide which rows could be candidates, and these are scored again in float32.

The same rows reach the committee as in float32. Where a network corrects the `p_lens` of the candidates, it is rounded too, and
only rows that could be candidates once they are corrected are scored again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.networks.cascade import Cascade, scores_of_exit
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.scan.sweep import N_MEASURED, Sweep, largest_error, margin_of, reaches, synthetic_stamps
from scanner.vocabulary.stages import COMMITTEE


@dataclass(frozen=True)
class CommitteeSweep(Sweep):
    """A cascade with rounded networks behind its first stage, the candidates' threshold and the allowed error."""

    ensemble: Cascade

    def could_be_candidates(self, rows: NDArray[np.int64], scores: EnsembleScores) -> NDArray[np.bool_]:
        """Return a mask `[n]` of the rows that could be candidates, and of the few that monitor the errors."""
        could_be = self.needs_rescoring(rows, scores.p_uncorrected)
        corrects_from = self.ensemble.corrects_from
        if corrects_from is not None and scores.p_corrected is not None:
            # Below this, the exact `p_lens` may be that of the committee.
            could_be &= ~reaches(scores.p_uncorrected, corrects_from, self.margin)
            could_be |= ~np.isnan(scores.p_corrected) & self.needs_rescoring(rows, scores.p_corrected)
        return could_be & self.saw(scores)

    def saw(self, scores: EnsembleScores) -> NDArray[np.bool_]:
        """Return a mask `[n]` of the rows that a rounded network scored: the committee's networks, or its early exit alone."""
        is_seen = np.asarray(scores.stage) == COMMITTEE
        return is_seen if scores.p_exit is None else is_seen | ~np.isnan(scores.p_exit)

    def check_again(self, fast: EnsembleScores, exact: EnsembleScores) -> None:
        """Compare what the networks behind the first stage gave for rows that could be candidates.

        Raises:
            SweepError: the log-odds of a row differ by more than half the margin.
        """
        # Rounding may lead a row past the early exit: then the two `p_lens` come from different networks.
        of_one_stage = np.asarray(fast.stage) == np.asarray(exact.stage)
        self.check(fast.p_uncorrected[of_one_stage], exact.p_uncorrected[of_one_stage])
        pairs = (fast.p_exit, exact.p_exit), (fast.p_corrected, exact.p_corrected)
        for of_fast, of_exact in pairs:
            if of_fast is not None and of_exact is not None:
                both = ~np.isnan(of_fast) & ~np.isnan(of_exact)
                self.check(of_fast[both], of_exact[both])


def make_committee_sweep(
    exact: Cascade,
    committee: Ensemble,
    corrects: Ensemble | None,
    precision: str,
    candidate_threshold: float,
    min_margin: float,
) -> CommitteeSweep:
    """Make the sweep of a committee, and of the network that corrects `p_lens`, in fast arithmetic.

    The margin is measured on synthetic images, and is at least `min_margin`.

    Raises:
        ValueError: the cascade corrects `p_lens`, and `corrects` is None.
    """
    if exact.correction and corrects is None:
        raise ValueError(f"cascade {exact.name} corrects p_lens: its sweep needs the network that does")
    margin = margin_of_committee(exact, committee, corrects, min_margin)
    return CommitteeSweep(exact.rounded(committee, corrects, margin), precision, candidate_threshold, margin)


def margin_of_committee(exact: Cascade, fast: Ensemble, corrects: Ensemble | None, min_margin: float) -> float:
    """Return the margin, in log-odds, of a cascade's committee, early exit and correction in fast arithmetic.

    It is at least `min_margin`. All are measured on every synthetic image, whatever the first stage makes of it.
    """
    stamps = synthetic_stamps(exact.geometry, N_MEASURED)
    outputs = fast.outputs(stamps), exact.committee.outputs(stamps)
    errors = [largest_error(*(exact.committee.combined(of).p_lens for of in outputs))]
    if exact.early_exit:
        errors.append(largest_error(*(scores_of_exit(exact.early_exit, of).p_lens for of in outputs)))
    if exact.correction and corrects:
        margins = [of.logit_margins for of in outputs]
        of_stage = [of.outputs(stamps).logit_margins for of in (corrects, exact.correction.ensemble)]
        both = ({**of, **of_last} for of, of_last in zip(margins, of_stage, strict=True))
        errors.append(largest_error(*(exact.correction.corrected(of).p_lens for of in both)))
    return margin_of(errors, min_margin)
