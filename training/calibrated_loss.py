"""Loss after calibration: what is left of a network's cross-entropy when its scale and its offsets no longer count."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

MAX_SCALE = 20.0
"""Largest factor of the logits, so that the loss of classes that the network separates without error has a minimum."""


def calibrated_loss(logits: NDArray[np.floating], targets: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """Return the least weighted mean cross-entropy of `scale * logits + offsets`, in nats.

    Dropout between convolutions changes the variance of what follows, so that logits are shifted and narrowed when it is
    switched off (Li et al. 2019, CVPR, section 3, "variance shift"). The combiner calibrates a network's logits, so its epochs
    are compared by what calibration leaves.

    Args:
        logits: `[object, class]`.
        targets: Probability of each class, `[object, class]`; 1 for the class of a label.
        weights: Weight of each class in the loss, `[class]`.
    """
    z = logits.astype(np.float64)
    weighed = targets.astype(np.float64) * weights
    total = weighed.sum()
    of_object = weighed.sum(axis=1, keepdims=True)

    def loss_and_gradient(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_p = log_softmax(parameters[0] * z + parameters[1:], axis=1)
        slope = of_object * np.exp(log_p) - weighed
        return -(weighed * log_p).sum() / total, np.concatenate([[(slope * z).sum()], slope.sum(axis=0)]) / total

    n_classes = z.shape[1]
    bounds = [(0.0, MAX_SCALE), *[(None, None)] * n_classes]
    start = np.concatenate([[1.0], np.zeros(n_classes)])
    return float(minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds).fun)
