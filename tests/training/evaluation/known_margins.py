"""Logit margins of two networks, drawn from normal distributions whose posterior is known."""

import numpy as np


def drawn(n, seed=0):
    """Draw two margins and the kinds from known normal distributions; return them with the posterior."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    means = np.array([[-2.0, -1.0], [1.0, 0.0], [1.5, 2.0], [3.0, 1.0]])
    x = rng.normal(means[kinds], 1.0)
    likelihood = np.exp(-0.5 * ((x[:, None, :] - means) ** 2).sum(axis=2)) * [0.4, 0.3, 0.2, 0.1]
    return {"a": x[:, :1], "b": x[:, 1:]}, kinds, likelihood / likelihood.sum(axis=1, keepdims=True)
