"""The realism of injected lenses: how well a simple classifier tells them from real candidates.

Compared are injected single lenses and real candidates, both with a `p_lens` of at least `LIKELY_P_LENS`: hardly any real lens
is compound, and below that most candidates are none. The classifier is a logistic regression on what both have alike: log odds
of each network, shares of the kinds, and photometry but for the depth. Its scores are those of five-fold cross-validation.
"""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from scanner.catalogue.injected import MIN_REAL, Realism
from scanner.vocabulary.network_columns import P_PREFIX

_FOLDS = 5
_CLIP = 12.0
"""Largest log odds: probabilities in float32 end there."""
_DEPTH = "sky_sigma_"
_Numbers = NDArray[np.float64]


def realism(injected: Sequence[Mapping[str, float | None]], real: Sequence[Mapping[str, float | None]]) -> Realism | None:
    """Return how well the two can be told apart; None if either has fewer than `MIN_REAL`, or they share no number.

    Args:
        injected: Numbers of each likely injected lens by the names of their columns; None or NaN where there is none.
        real: Numbers of each likely real candidate. Columns that are missing in more than a tenth of either are left out.
    """
    if min(len(injected), len(real)) < MIN_REAL:
        return None
    names = sorted(set.intersection(*(set(one) for one in (injected[0], real[0]))))
    arrays = [np.array([[_number(name, row.get(name)) for name in names] for row in rows]) for rows in (injected, real)]
    is_there = np.logical_and.reduce([np.isfinite(values).mean(axis=0) >= 0.9 for values in arrays])
    is_there &= np.array([not name.startswith(_DEPTH) for name in names])
    if not is_there.any():
        return None
    features = np.concatenate(arrays)[:, is_there]
    features = np.where(np.isfinite(features), features, np.nanmedian(features, axis=0))
    is_injected = np.repeat([True, False], [len(injected), len(real)])
    auroc = _cross_validated_auroc(features, is_injected)
    low, high = _interval(auroc, len(injected), len(real))
    return Realism(auroc=auroc, low=low, high=high, n_injected=len(injected), n_real=len(real))


def _number(name: str, value: float | None) -> float:
    if value is None:
        return np.nan
    if not name.startswith(P_PREFIX):
        return float(value)
    with np.errstate(divide="ignore"):
        return float(np.clip(np.log(value) - np.log1p(-value), -_CLIP, _CLIP))


def _cross_validated_auroc(features: _Numbers, is_injected: NDArray[np.bool_]) -> float:
    """Return the mean area of the folds, each scored by a classifier of the others."""
    # Imported here: it takes seconds, and only this needs it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(classifier, features, is_injected, cv=folds, scoring="roc_auc").mean())


def _interval(auroc: float, n_injected: int, n_real: int) -> tuple[float, float]:
    """Return the 95 % interval of an area, as if the classifier were given (Hanley & McNeil 1982, Radiology 143, 29)."""
    both_injected, both_real = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc) + (n_injected - 1) * (both_injected - auroc**2) + (n_real - 1) * (both_real - auroc**2)
    half = 1.96 * sqrt(variance / (n_injected * n_real))
    return max(auroc - half, 0.0), min(auroc + half, 1.0)
