"""Compare `p_compound` with the truth, and count which kinds of lens are taken for which."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from infra.frozen import Frozen
from scanner.networks.log_odds import log_odds, restated
from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import expected_calibration_error
from training.evaluation.compound_selection import COMPOUND_KINDS, wilson
from training.evaluation.metrics import auroc, interval, reflected_interval

N_BINS = 10
_NO_PENALTY = 1e6
_TINY = 1e-30


class ReliabilityBin(Frozen):
    """Lenses with about the same p(compound | lens)."""

    p: float
    """Mean probability."""
    n: int
    compound: ValueWithInterval
    """Share of compound lenses among them."""


class Reliability(Frozen):
    """Reliability of p(compound | lens) among lenses."""

    error: ValueWithInterval
    """Expected calibration error."""
    bins: tuple[ReliabilityBin, ...]


class CompoundCalibration(Frozen):
    """Reliability of an ensemble's `p_compound`, and confusion of its `subclass`, on one data set."""

    n_lenses: int
    assumed_share: float
    """Share of compound lenses among lenses that `p_compound` assumes."""
    compound_share: float
    """Share of compound lenses among the lenses, to which the probabilities are restated."""
    auroc: ValueWithInterval
    """Chance that p(compound | lens) of a compound lens exceeds that of a single one."""
    as_given: Reliability
    """Reliability of every lens."""
    recalibrated: Reliability
    """Reliability of one half of the lenses after a logistic curve was fitted to the other half."""
    slope: float
    """The curve's factor of the log-odds; 1 for a calibrated probability."""
    offset: float
    """The number that the curve adds; 0 for a calibrated probability."""
    confusion: dict[str, dict[str, int]]
    """Number of objects by kind, then by predicted `subclass`."""


def compound_calibration(
    kinds: NDArray[np.str_],
    p_lens: NDArray[np.floating],
    p_compound: NDArray[np.floating],
    subclass: NDArray[np.str_],
    assumed_share: float,
    rng: np.random.Generator,
) -> CompoundCalibration | None:
    """Judge `p_compound` among lenses; None without 10 single and 10 compound ones in each half.

    Args:
        kinds: `[object]`, of `KINDS`: what the object is.
        p_lens: `[object]`.
        p_compound: `[object]`.
        subclass: `[object]`, of `KINDS`: what the ensemble takes it for.
        assumed_share: Share of compound lenses among lenses that `p_compound` assumes.
        rng: Generator of bootstrap resamples.
    """
    confusion = confusion_matrix(kinds, subclass)
    is_lens = kinds != KINDS[0]
    is_compound = np.isin(kinds[is_lens], COMPOUND_KINDS)
    is_fitted = np.arange(len(is_compound)) % 2 == 0
    if min(_smallest(is_compound[half]) for half in (is_fitted, ~is_fitted)) < 10:
        return None
    share = float(is_compound.mean())
    given = p_compound[is_lens].astype(np.float64) / np.maximum(p_lens[is_lens].astype(np.float64), _TINY)
    p = restated(np.minimum(given, 1.0), assumed_share, share)
    curve = LogisticRegression(C=_NO_PENALTY).fit(log_odds(p[is_fitted])[:, None], is_compound[is_fitted])
    better = curve.predict_proba(log_odds(p[~is_fitted])[:, None])[:, 1]
    low, high = interval(auroc, p, is_compound, rng)
    return CompoundCalibration(
        n_lenses=len(is_compound),
        assumed_share=assumed_share,
        compound_share=share,
        auroc=ValueWithInterval(value=auroc(p, is_compound), low=low, high=high),
        as_given=_reliability(p, is_compound, rng),
        recalibrated=_reliability(better, is_compound[~is_fitted], rng),
        slope=float(curve.coef_[0, 0]),
        offset=float(curve.intercept_[0]),
        confusion=confusion,
    )


def confusion_matrix(kinds: NDArray[np.str_], subclass: NDArray[np.str_]) -> dict[str, dict[str, int]]:
    """Return the number of objects by kind, then by predicted kind; kinds without objects are left out."""
    return {
        kind: {other: int(np.sum((kinds == kind) & (subclass == other))) for other in KINDS}
        for kind in KINDS
        if np.any(kinds == kind)
    }


def _reliability(p: NDArray[np.float64], is_compound: NDArray[np.bool_], rng: np.random.Generator) -> Reliability:
    error = partial(expected_calibration_error, n_bins=N_BINS)
    low, high = reflected_interval(error, p, is_compound, rng)
    number = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    bins = [
        ReliabilityBin(
            p=float(p[number == b].mean()),
            n=int(np.sum(number == b)),
            compound=wilson(float(is_compound[number == b].mean()), int(np.sum(number == b))),
        )
        for b in np.unique(number)
    ]
    return Reliability(error=ValueWithInterval(value=error(p, is_compound), low=low, high=high), bins=tuple(bins))


def _smallest(flags: NDArray[np.bool_]) -> int:
    return int(min(flags.sum(), (~flags).sum()))
