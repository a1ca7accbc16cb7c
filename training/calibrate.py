"""Fit the combiner of an ensemble on objects that its networks were not fitted on."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from scanner.networks.combiner import Margins, SoftmaxStack, stack_features
from scanner.pixels.shards import KINDS

MIN_OBJECTS_PER_KIND = 5
CLIP = 20.0
"""Margins beyond this are all equally sure: p differs from 0 or 1 by 2e-9."""
INVERSE_REGULARISATION = 1.0
"""L2, on scaled margins; scikit-learn's default."""


def can_stack(kinds: NDArray[np.integer]) -> bool:
    """Are there enough objects of every kind to fit on?"""
    return int(np.bincount(kinds, minlength=len(KINDS)).min()) >= MIN_OBJECTS_PER_KIND


def fit_stack(margins: Margins, kinds: NDArray[np.integer], prevalence: float | None = None) -> SoftmaxStack:
    """Multinomial logistic regression of the kind on the networks' margins.

    Args:
        margins: Network name to `[object]`.
        kinds: `[object]`, index into `KINDS`.
        prevalence: Fraction of lenses to assume; None: that of these objects.

    Raises:
        ValueError: fewer than `MIN_OBJECTS_PER_KIND` of a kind.
    """
    counts = np.bincount(kinds, minlength=len(KINDS))
    if not can_stack(kinds):
        got = dict(zip(KINDS, counts.tolist(), strict=True))
        raise ValueError(f"needs at least {MIN_OBJECTS_PER_KIND} objects of each kind, got {got}")
    networks = tuple(margins)
    features = stack_features(margins, networks, CLIP)
    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000).fit((features - centre) / scale, kinds)
    return SoftmaxStack(
        kind="softmax_stack",
        networks=networks,
        classes=KINDS,
        clip=CLIP,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(tuple(row) for row in model.coef_.tolist()),
        biases=tuple(model.intercept_.tolist()),
        training_fractions=tuple((counts / counts.sum()).tolist()),
        prevalence=prevalence,
    )


def expected_calibration_error(p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], n_bins: int = 10) -> float:
    """Mean |fraction of lenses - mean p| over bins of p, weighted by their numbers (Naeini et al. 2015)."""
    bins = np.minimum((p_lens * n_bins).astype(int), n_bins - 1)
    gaps = [abs(float(np.sum(is_lens[bins == b]) - np.sum(p_lens[bins == b], dtype=np.float64))) for b in range(n_bins)]
    return sum(gaps) / len(p_lens)
