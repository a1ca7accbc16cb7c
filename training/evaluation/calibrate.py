"""Fit the combiner of an ensemble on objects that its networks were not fitted on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from scanner.networks.combiner import LogitMargins, Pooling, SoftmaxStack, stack_features
from scanner.networks.lens_curve import LensCurve
from scanner.vocabulary.kinds import KINDS
from training.evaluation.known_shards import kind_counts

MIN_OBJECTS_PER_KIND = 5
CLIP = 20.0
"""Largest absolute logit margin: p differs from 0 or 1 by 2e-9 there, so larger margins count as equally certain."""
INVERSE_REGULARISATION = 1.0
"""Inverse strength of the L2 penalty on scaled margins; scikit-learn's default."""

CURVE_KNOTS = (-4.0, 0.0, 4.0)
"""Log-odds of a lens, in the mixture that a model is fitted on, between which the curve that corrects them is straight."""
CURVE_PRIOR = 10.0
"""Inverse variance of the prior of the logarithm of each slope of that curve, about 0: without data all slopes are 1.
Few non-lenses lie beyond the last knot: with the variance 1, chance made that slope 1.6, where many more gave 1.1."""
_NONLENS = KINDS.index("nonlens")


def can_stack(kinds: NDArray[np.integer]) -> bool:
    """Return whether there are enough objects of every kind to fit a stack."""
    return int(np.bincount(kinds, minlength=len(KINDS)).min()) >= MIN_OBJECTS_PER_KIND


def fit_stack(margins: LogitMargins, kinds: NDArray[np.integer], pooling: Pooling = "each") -> SoftmaxStack:
    """Fit a multinomial logistic regression of the kind on the networks' margins.

    Args:
        margins: Network name to `[object, class - 1]`.
        kinds: `[object]`, index into `KINDS`.
        pooling: Whether each network's margins are read, or pooled ones.

    Raises:
        ValueError: there are fewer than `MIN_OBJECTS_PER_KIND` objects of a kind.
    """
    if not can_stack(kinds):
        raise ValueError(f"needs at least {MIN_OBJECTS_PER_KIND} objects of each kind, got {kind_counts(kinds)}")
    counts = np.bincount(kinds, minlength=len(KINDS))
    networks = tuple(margins)
    fitted = fit_scaled(stack_features(margins, networks, CLIP, pooling), kinds)
    return SoftmaxStack(
        kind="softmax_stack",
        networks=networks,
        classes=KINDS,
        clip=CLIP,
        pooling=pooling,
        **fitted._asdict(),
        training_fractions=tuple((counts / counts.sum()).tolist()),
        prevalence=None,
    )


class ScaledRegression(NamedTuple):
    """A multinomial logistic regression on features that are centred and scaled first."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    """`[class][feature]`."""
    biases: tuple[float, ...]


def fit_scaled(features: NDArray[np.float64], classes: NDArray[np.integer]) -> ScaledRegression:
    """Fit the regression of the classes, `[object]`, on features `[object, feature]`."""
    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000).fit((features - centre) / scale, classes)
    weights = tuple(tuple(row) for row in model.coef_.tolist())
    return ScaledRegression(tuple(centre.tolist()), tuple(scale.tolist()), weights, tuple(model.intercept_.tolist()))


def with_lens_curve(stack: SoftmaxStack, margins: LogitMargins, kinds: NDArray[np.integer]) -> SoftmaxStack:
    """Return a stack whose log-odds of a lens are corrected by the likeliest rising curve.

    The regression of `fit_stack` is straight, and more non-lenses than it expects have high margins.

    Args:
        stack: Stack without a curve, as from `fit_stack`.
        margins: Network name to `[object, class - 1]`, of natural draws.
        kinds: `[object]`, index into `KINDS`.
    """
    p = stack.assuming(None, None).probabilities(margins)
    straight = np.log(np.delete(p, _NONLENS, axis=1).sum(axis=1)) - np.log(p[:, _NONLENS])
    return stack.model_copy(update={"lens_curve": fit_lens_curve(straight, kinds != _NONLENS)})


def fit_lens_curve(log_odds: NDArray[np.float64], is_lens: NDArray[np.bool_]) -> LensCurve:
    """Fit the likeliest rising curve from log-odds of a lens to calibrated ones, both `[object]`.

    It bends at `CURVE_KNOTS`. The prior of each slope's logarithm is normal about 0, with the variance 1 / `CURVE_PRIOR`.
    """
    knots = np.array(CURVE_KNOTS)
    lengths = np.diff(knots, append=np.inf)
    # How far each object goes along each piece: down from the first knot, then up from each knot to the next.
    along = np.stack(
        [
            np.minimum(log_odds - knots[0], 0),
            *(np.clip(log_odds - knot, 0, n) for knot, n in zip(knots, lengths, strict=True)),
        ]
    )

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return minus the log posterior and its gradient, for the height of the first knot and the slopes' logarithms."""
        slopes = np.exp(parameters[1:])
        found = parameters[0] + slopes @ along
        value = np.sum(np.logaddexp(0, found) - is_lens * found) + CURVE_PRIOR / 2 * np.sum(parameters[1:] ** 2)
        excess = expit(found) - is_lens
        return float(value), np.append(excess.sum(), slopes * (along @ excess) + CURVE_PRIOR * parameters[1:])

    fitted = minimize(loss, np.append(knots[0], np.zeros(len(along))), jac=True, method="L-BFGS-B").x
    slopes = np.exp(fitted[1:])
    becomes = fitted[0] + np.append(0, np.cumsum(slopes[1:-1] * lengths[:-1]))
    return LensCurve(at=CURVE_KNOTS, becomes=tuple(becomes.tolist()), slopes=(float(slopes[0]), float(slopes[-1])))


def fit_tied_stack(margins: LogitMargins, kinds: NDArray[np.integer]) -> SoftmaxStack:
    """Fit a stack on the mean of the networks' margins, so that every network has the same weight.

    Raises:
        ValueError: as for `fit_stack`, or networks differ in their number of classes.
    """
    widths = {values.shape[1] for values in margins.values()}
    if len(widths) > 1:
        raise ValueError(f"networks must have equally many classes to be averaged, got {sorted(n + 1 for n in widths)}")
    n = len(margins)
    mean = np.mean([np.clip(values, -CLIP, CLIP) for values in margins.values()], axis=0)
    tied = fit_stack({"mean": mean}, kinds)
    shared = {"centre": tied.centre * n, "scale": tied.scale * n}
    weights = tuple(tuple(w / n for w in row) * n for row in tied.weights)
    return tied.model_copy(update={"networks": tuple(margins), "weights": weights, **shared})


def expected_calibration_error(
    p_lens: NDArray[np.floating], is_lens: NDArray[np.bool_], n_bins: int = 10, prevalence: float | None = None
) -> float:
    """Return the mean |fraction of lenses - mean p| over bins of p, weighted by their numbers (Naeini et al. 2015).

    Noise of the fractions only raises this error. A constant p = 0 scores the fraction of lenses: little if lenses are rare.

    Args:
        p_lens: `[object]`.
        is_lens: `[object]`.
        n_bins: Number of bins of equal width in p.
        prevalence: Weight lenses and non-lenses as if this fraction were lenses; by default each object counts once.
    """
    weights = np.ones(len(p_lens))
    if prevalence is not None:
        share = is_lens.mean()
        weights = np.where(is_lens, prevalence / share, (1 - prevalence) / (1 - share))
    bins = np.minimum((p_lens * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights * (is_lens - p_lens.astype(np.float64)), minlength=n_bins)
    return float(np.abs(gaps).sum() / weights.sum())
