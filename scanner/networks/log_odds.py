"""The log-odds of a lens, ln(p / (1 - p)): from a network's logits, from logit margins, and from probabilities.

A network's probability of a lens is that of all its classes except the first, `nonlens`, together.
"""

import numpy as np
from numpy.typing import NDArray

_MIN_P, _MAX_P = 1e-30, 1 - 2.0**-24


def logit_margins(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return `[batch, class - 1]` for logits `[batch, class]`: logit of each class except `nonlens` minus that of `nonlens`.

    Combiners are fitted on margins that were subtracted in the logits' own precision, so scores must subtract them so too.
    """
    return (logits[:, 1:] - logits[:, :1]).astype(np.float64)


def lens_probability(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a network's softmax probability of a lens, `[batch]`, for its logit margins `[batch, class - 1]`."""
    # Imported here, because cards are read without scipy, which takes a third of a second.
    from scipy.special import expit

    return np.asarray(expit(np.logaddexp.reduce(margins, axis=1)), dtype=np.float64)


def lens_log_odds(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log-odds of a lens `[...]` for logits `[..., class]`, in float64 throughout.

    Maps show changes of log-odds, because the probability of a good candidate hardly changes.
    """
    from scipy.special import logsumexp

    wide = logits.astype(np.float64)
    return np.asarray(logsumexp(wide[..., 1:], axis=-1) - wide[..., 0])


def log_odds(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ln(p / (1 - p)) of probabilities, clipped to 1e-30 at 0 and to the resolution of float32 at 1."""
    p = np.clip(np.asarray(p, np.float64), _MIN_P, _MAX_P)
    return np.asarray(np.log(p) - np.log1p(-p))


def restated(p_lens: NDArray[np.floating], prevalence: float, new_prevalence: float) -> NDArray[np.float64]:
    """Convert probabilities `[object]` to another fraction of lenses, with the same mix of lenses (Saerens et al. 2002)."""
    factor = new_prevalence / (1 - new_prevalence) / (prevalence / (1 - prevalence))
    p = p_lens.astype(np.float64)
    return np.asarray(p * factor / (p * factor + (1 - p)))
