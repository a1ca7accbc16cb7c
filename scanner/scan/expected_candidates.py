"""Foretell how many objects a list of candidates holds: from a scored sample, and from the evaluation of the ensemble."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from infra.frozen import Frozen
from scanner.networks.package import read_card

MIN_SAMPLE = 200
"""Smallest number of scored objects whose share of candidates is taken for that of the whole input."""
_EVALUATION = "evaluation.json"


class Expectation(Frozen):
    """An expected number of candidates with its 95 % interval."""

    value: float
    low: float
    high: float


def by_sample(n_candidates: int, n_scored: int, n_objects: int) -> Expectation | None:
    """Return the number among `n_objects` if they are like the scored ones (Wilson's interval); None for a small sample."""
    if n_scored < MIN_SAMPLE:
        return None
    limits = binomtest(n_candidates, n_scored).proportion_ci(method="wilson")
    share = n_candidates / n_scored
    return Expectation(value=share * n_objects, low=limits.low * n_objects, high=limits.high * n_objects)


def by_evaluation(package: Path, threshold: float, n_objects: int) -> Expectation | None:
    """Return the number that the ensemble's evaluation expects; None if it was not evaluated about this threshold."""
    cuts = _cuts(package)
    if not cuts or not min(cuts) <= threshold <= max(cuts):
        return None
    known = np.log([cuts[p_lens] for p_lens in sorted(cuts)])
    place = np.log(sorted(cuts))
    value, low, high = (float(np.exp(np.interp(np.log(threshold), place, numbers))) for numbers in known.T)
    return Expectation(value=value * n_objects / 1e6, low=low * n_objects / 1e6, high=high * n_objects / 1e6)


def _cuts(package: Path) -> dict[float, tuple[float, float, float]]:
    """Return candidates per million objects, with limits, by cut in `p_lens`; empty without an evaluation of this ensemble."""
    try:
        evaluation = json.loads((package / _EVALUATION).read_text())
    except FileNotFoundError:
        return {}
    if evaluation["sha256"] != read_card(package).sha256:
        return {}
    numbers = {cut["p_lens"]: cut["to_inspect_per_million"] for cut in evaluation["cuts"]}
    return {p_lens: (found["value"], found["low"], found["high"]) for p_lens, found in numbers.items() if found["low"] > 0}
