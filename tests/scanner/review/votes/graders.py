"""Simulated graders of known skill."""

import numpy as np
from scipy.stats import rankdata

from scanner.review.votes.grade_arrays import UNKNOWN, GradeArrays


def random_confusions(rng, n_graders):
    """Return confusion matrices `[grader, answer, grade]` of graders between careless and good."""
    skill = np.linspace(0.3, 1.0, n_graders)[:, None]
    lens = skill * rng.dirichlet([8, 6, 3, 1], n_graders) + (1 - skill) * rng.dirichlet([4, 4, 4, 4], n_graders)
    other = skill * rng.dirichlet([1, 2, 5, 16], n_graders) + (1 - skill) * rng.dirichlet([4, 4, 4, 4], n_graders)
    return np.stack([other, lens], 1)


def simulated(rng, confusions, priors, seen=1.0, n_gold=0):
    """Return what graders say of objects, a share `seen` of which each sees, and whether each object is a lens.

    The answers of the last `n_gold` objects are known.
    """
    n_graders, n = len(confusions), len(priors)
    is_lens = rng.random(n) < priors
    u = rng.random((n, n_graders, 1))
    chances = confusions[:, is_lens.astype(int)].swapaxes(0, 1)
    grades = (u > chances.cumsum(2)[:, :, :3]).sum(2)
    subject, grader = np.nonzero(rng.random((n, n_graders)) < seen)
    answer = np.full(n, UNKNOWN)
    if n_gold:
        answer[-n_gold:] = is_lens[-n_gold:]
    names = (tuple(f"{what}{i:05}" for i in range(number)) for what, number in (("g", n_graders), ("object:", n)))
    return GradeArrays(*names, grader, subject, grades[subject, grader], answer), is_lens


def auroc(score, is_lens):
    """Return the chance that a lens has a higher score than another object, by ranks."""
    n_lenses = is_lens.sum()
    return (rankdata(score)[is_lens].sum() - n_lenses * (n_lenses + 1) / 2) / (n_lenses * (~is_lens).sum())
