"""Foretell how many objects a list of candidates holds: from a scored sample, and from the evaluation of the ensemble."""

from pathlib import Path

from infra.frozen import Frozen
from scanner.networks.card_file import read_card

MIN_SAMPLE = 200
"""Smallest number of scored objects whose share of candidates is taken for that of the whole input."""


class Expectation(Frozen):
    """An expected number of candidates with its 95 % interval."""

    value: float
    low: float
    high: float


def by_sample(n_candidates: int, n_scored: int, n_objects: int) -> Expectation | None:
    """Return the number among `n_objects` if they are like the scored ones (Wilson's interval); None for a small sample."""
    if n_scored < MIN_SAMPLE:
        return None
    # Imported here: only a prediction needs it, and it takes as long to import as the rest of a plan.
    from scipy.stats import binomtest

    limits = binomtest(n_candidates, n_scored).proportion_ci(method="wilson")
    share = n_candidates / n_scored
    return Expectation(value=share * n_objects, low=limits.low * n_objects, high=limits.high * n_objects)


def by_evaluation(package: Path, threshold: float, n_objects: int) -> Expectation | None:
    """Return the number that the ensemble's evaluation expects; None if it was not evaluated about this threshold."""
    purity = read_card(package).purity_table
    if purity is None or not purity.cuts[0].p_lens <= threshold <= purity.cuts[-1].p_lens:
        return None
    found = purity.expected(threshold, n_objects).n_candidates
    return Expectation(value=found.value, low=found.low, high=found.high)
