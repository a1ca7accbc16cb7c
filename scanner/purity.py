"""The purity and the length of a list of candidates for every cut in `p_lens`, as an evaluation of the ensemble foretells."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.vocabulary.prior import one_in, rounded


class ValueWithInterval(Frozen):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Cut(Frozen, allow_inf_nan=False):
    """Expected results of a threshold of p_lens among a million objects at the assumed prevalence."""

    p_lens: float = Field(gt=0, lt=1)
    n_false_positives: int = Field(ge=0)
    """Counted non-lenses at or above the threshold; the purity and the number to inspect depend on this count."""
    recall: ValueWithInterval
    purity: ValueWithInterval | None
    """Fraction of lenses among the candidates; None if no object reaches the threshold."""
    expected_purity: Annotated[float, Field(ge=0, le=1)] | None
    """Mean p_lens of the candidates: their purity if p_lens is well calibrated."""
    to_inspect_per_million: ValueWithInterval
    natural_recall: ValueWithInterval | None = Field(default=None, exclude_if=lambda value: value is None)
    """Recall of lenses among which compound ones are as rare as `p_compound` assumes; None in earlier evaluations."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.purity is None) != (self.expected_purity is None):
            raise ValueError(f"purity and expected_purity of the cut {self.p_lens:g} must both be there, or neither")
        for name, most in {"recall": 1.0, "purity": 1.0, "to_inspect_per_million": np.inf}.items():
            found = getattr(self, name)
            if found is not None and not 0 <= found.low <= found.value <= found.high <= most:
                raise ValueError(
                    f"{name} of the cut {self.p_lens:g} must have 0 <= low <= value <= high <= {most:g}, got {found}"
                )
        return self

    @property
    def is_reached(self) -> bool:
        """Whether lenses of the evaluation reach the threshold."""
        return self.purity is not None and min(self.recall.low, self.purity.low) > 0

    @property
    def credible_purity(self) -> ValueWithInterval | None:
        """The purity; where no false positive was counted, so that it is 1, the expected purity within the same interval."""
        if self.purity is None or self.expected_purity is None or self.n_false_positives:
            return self.purity
        value = min(max(self.expected_purity, self.purity.low), self.purity.high)
        return self.purity.model_copy(update={"value": value})


class Expected(Frozen):
    """Expected content of the list of all objects at or above a cut; intervals are those of the evaluation."""

    n_candidates: ValueWithInterval
    n_lenses: ValueWithInterval
    purity: ValueWithInterval


class PurityTable(Frozen):
    """Purity and numbers of lists cut at any `p_lens`, from the cuts of an evaluation.

    Between the cuts, the logarithms of purity, recall and number are interpolated linearly in ln(p/(1-p)) of `p_lens`. Above
    the highest cut its values hold; below the lowest nothing is known, but that the list is longer and less pure. The purity at
    a cut is the largest of those up to this cut, because a higher cut makes no list less pure. Where no false positive was
    counted, it is the expected purity, within the interval of the count, because no number of objects shows a purity of 1.
    """

    prevalence: float = Field(gt=0, lt=1)
    """Fraction of lenses that `p_lens` and the numbers assume."""
    cuts: tuple[Cut, ...] = Field(min_length=1)
    """Cuts that lenses of the evaluation reach, the lowest first."""
    compound_shares: tuple[float, float] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Share of compound lenses among those that `p_lens` counts, and the share on the sky that `p_compound` assumes."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        thresholds = [cut.p_lens for cut in self.cuts]
        if any(low >= high for low, high in pairwise(thresholds)) or not all(cut.is_reached for cut in self.cuts):
            raise ValueError(f"cuts must rise in p_lens, and lenses must reach each, got {thresholds}")
        return self

    @classmethod
    def of(
        cls, cuts: Sequence[Cut], prevalence: float | None, compound_shares: tuple[float, float] | None = None
    ) -> Self | None:
        """Return the table of the cuts that lenses reach; None if there are none, or `p_lens` is not calibrated."""
        reached = tuple(cut for cut in cuts if cut.is_reached)
        if not reached or prevalence is None:
            return None
        return cls(prevalence=prevalence, cuts=reached, compound_shares=compound_shares)

    def at(self, p_lens: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the purity of the lists cut at each `p_lens` `[n]`, and its lower and upper 95 % limit, `[n]` each.

        Below the lowest cut all three are NaN.
        """
        known = [(found.value, found.low, found.high) for cut in self.cuts if (found := cut.credible_purity)]
        # A cut in float32 may lie a rounding error below the same cut in float64.
        is_known = np.asarray(p_lens, np.float64) >= self.cuts[0].p_lens * (1 - 1e-7)
        limits = (self._between(p_lens, values) for values in np.maximum.accumulate(known).T)
        value, low, high = (np.where(is_known, values, np.nan) for values in limits)
        return value, low, high

    def expected(self, p_lens: float, n_objects: float) -> Expected:
        """Return what the list of all objects at or above `p_lens` should hold, if `n_objects` are scanned.

        Raises:
            ValueError: `p_lens` lies below the lowest cut.
        """
        self._check_evaluated(p_lens)
        value, low, high = map(float, self.at(np.array(p_lens)))
        lenses = self._number(p_lens, [cut.recall for cut in self.cuts], n_objects * self.prevalence)
        counted = self._number(p_lens, [cut.to_inspect_per_million for cut in self.cuts], n_objects / 1e6)
        n = lenses.value / value
        return Expected(
            n_candidates=ValueWithInterval(value=n, low=min(counted.low, n), high=max(counted.high, n)),
            n_lenses=lenses,
            purity=ValueWithInterval(value=value, low=low, high=high),
        )

    def recall(self, p_lens: float) -> ValueWithInterval:
        """Return the share of lenses at or above `p_lens`; with compound ones as rare as on the sky, if the cuts know it.

        Raises:
            ValueError: `p_lens` lies below the lowest cut.
        """
        self._check_evaluated(p_lens)
        natural = [cut.natural_recall for cut in self.cuts if cut.natural_recall is not None and cut.natural_recall.low > 0]
        recalls = natural if self.knows_natural else [cut.recall for cut in self.cuts]
        return self._number(p_lens, recalls, 1.0)

    @property
    def knows_natural(self) -> bool:
        """Whether `recall` is that of lenses among which compound ones are as rare as on the sky."""
        return all(cut.natural_recall is not None and cut.natural_recall.low > 0 for cut in self.cuts)

    def in_words(self, p_lens: float) -> str:
        """Say what the list of all objects at or above `p_lens` should hold; outside the cuts, what the nearest cut tells."""
        lowest, highest = self.cuts[0].p_lens, self.cuts[-1].p_lens
        is_below = p_lens < lowest
        expected = self.expected(max(p_lens, lowest), 1e6)
        purity, n = expected.purity, rounded(expected.n_candidates.value)
        if is_below:
            share, number = f"less than {_percent(purity.value)} %", f"more than {n}"
        else:
            share = f"about {_percent(purity.value)} % ({_percent(purity.low)}-{_percent(purity.high)} %)"
            number = f"about {n}"
        sentence = (
            f"If one object in {one_in(self.prevalence)} is a lens, {share} of the objects at or above p_lens {p_lens:g} are "
            f"lenses: {number} candidates per million objects."
        )
        if is_below:
            return f"{sentence} The lowest evaluated cut is {lowest:g}, and a lower cut makes the list longer and less pure."
        above = f" The highest evaluated cut is {highest:g}; these are its numbers."
        return f"{sentence}{above if p_lens > highest else ''}"

    def _check_evaluated(self, p_lens: float) -> None:
        if p_lens < self.cuts[0].p_lens:
            raise ValueError(f"p_lens must be at least the lowest evaluated cut, {self.cuts[0].p_lens:g}, got {p_lens:g}")

    def _number(self, p_lens: float, of_cuts: Sequence[ValueWithInterval], factor: float) -> ValueWithInterval:
        known = np.array([(found.value, found.low, found.high) for found in of_cuts])
        value, low, high = (factor * float(self._between(np.array(p_lens), values)) for values in known.T)
        return ValueWithInterval(value=value, low=low, high=high)

    def _between(self, p_lens: NDArray[np.floating], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate positive values `[cut]` at each `p_lens`."""
        known = _log_odds(np.array([cut.p_lens for cut in self.cuts]))
        return np.asarray(np.exp(np.interp(_log_odds(np.asarray(p_lens, np.float64)), known, np.log(values))))


def _percent(fraction: float) -> str:
    return rounded(100 * fraction)


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(p/(1-p)), which `np.interp` limits at 0 and 1; SciPy's takes longer to import than all else here."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - np.log1p(-p))
