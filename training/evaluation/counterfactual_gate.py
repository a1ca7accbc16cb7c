"""Judge how changes of a lens move its score: a gate for networks whose training prior is not that of the sky.

A source that becomes brighter is no reason against a lens; a ring that becomes larger or more crowded, and a deflector that
becomes fainter, are weak ones. Scores of `simulation.products.counterfactuals` are compared lens by lens.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.networks.log_odds import log_odds
from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import UNCHANGED
from training.evaluation.exceeding import beyond
from training.evaluation.metrics import N_BOOTSTRAP, share_with_interval

NO_ARCS = "no arcs"
BRIGHTER = tuple(f"source {mag} mag brighter" for mag in (1, 2, 3, 4))
MOST_FALL: Mapping[str, float] = MappingProxyType(
    {"3 galaxies inside": 1.0, "Einstein radius x 2.5": 1.0, "deflector 2 mag fainter": 1.5}
)
"""Largest accepted fall of the median log-odds of `p_lens`."""
LEAST_EXCLUDED = 0.95
"""Smallest accepted share of lenses without arcs below the candidates' threshold."""


class ChangeEffect(Frozen):
    """Effect of one change on the same lenses."""

    change: str
    median_change: ValueWithInterval
    """Median log-odds of `p_lens` after the change, less the median before."""
    below_cut: ValueWithInterval
    """Share of the changed lenses below the candidates' threshold."""


class CounterfactualGate(Frozen):
    """Effects of all changes, and the limits that they exceed."""

    n_lenses: int
    threshold: float
    effects: tuple[ChangeEffect, ...]
    failures: tuple[str, ...]
    """A sentence for each limit that is exceeded."""

    @property
    def passes(self) -> bool:
        return not self.failures


def judge(p_lens: Mapping[str, NDArray[np.floating]], threshold: float, seed: int) -> CounterfactualGate:
    """Compare the scores of the same lenses under each change.

    Args:
        p_lens: Change to `[lens]`; `unchanged` must be one.
        threshold: Smallest `p_lens` of a candidate.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: the scores before the change are missing, or numbers of lenses differ.
    """
    if UNCHANGED not in p_lens or len({len(values) for values in p_lens.values()}) != 1:
        raise ValueError(f"scores must be of equally many lenses, with {UNCHANGED!r} among the changes, got {list(p_lens)}")
    rng = np.random.default_rng(seed)
    odds = {change: log_odds(values) for change, values in p_lens.items()}
    effects = tuple(_effect(change, odds, p_lens[change], threshold, rng) for change in p_lens)
    return CounterfactualGate(
        n_lenses=len(p_lens[UNCHANGED]), threshold=threshold, effects=effects, failures=tuple(_failures(odds, effects))
    )


def _effect(
    change: str,
    odds: Mapping[str, NDArray[np.float64]],
    p_lens: NDArray[np.floating],
    threshold: float,
    rng: np.random.Generator,
) -> ChangeEffect:
    before, after = odds[UNCHANGED], odds[change]
    drawn = rng.integers(len(before), size=(N_BOOTSTRAP, len(before)))
    low, high = np.quantile(np.median(after[drawn], axis=1) - np.median(before[drawn], axis=1), [0.025, 0.975])
    return ChangeEffect(
        change=change,
        median_change=ValueWithInterval(value=float(np.median(after) - np.median(before)), low=float(low), high=float(high)),
        below_cut=share_with_interval(p_lens < threshold),
    )


def _failures(odds: Mapping[str, NDArray[np.float64]], effects: Sequence[ChangeEffect]) -> list[str]:
    found = []
    by_change = {effect.change: effect for effect in effects}
    steps = [UNCHANGED, *(change for change in BRIGHTER if change in odds)]
    for fainter, brighter in pairwise(steps):
        fall = float(np.median(odds[fainter]) - np.median(odds[brighter]))
        if fall > 0:
            found.append(
                f"{brighter}: the median log-odds must not fall as sources brighten, they fall by {beyond(fall, 0, 2)}"
            )
    for change, most in MOST_FALL.items():
        if change in by_change and by_change[change].median_change.value < -most:
            fall = -by_change[change].median_change.value
            found.append(f"{change}: the median log-odds must fall by at most {most:g}, they fall by {beyond(fall, most, 2)}")
    if NO_ARCS in by_change and by_change[NO_ARCS].below_cut.value < LEAST_EXCLUDED:
        share = beyond(100 * by_change[NO_ARCS].below_cut.value, 100 * LEAST_EXCLUDED, 1)
        found.append(f"{NO_ARCS}: at least {LEAST_EXCLUDED:.0%} must be below the candidates' threshold, {share}% are")
    return found


def gate_metrics(gate: CounterfactualGate) -> dict[str, float]:
    """Return the figures that a card keeps: `counterfactual_<change>` and `counterfactual_<change>_below_cut`."""
    figures: dict[str, float] = {}
    for effect in gate.effects:
        name = f"counterfactual_{effect.change.replace(' ', '_')}"
        figures |= {name: effect.median_change.value, f"{name}_below_cut": effect.below_cut.value}
    return figures


def gate_markdown(gate: CounterfactualGate) -> str:
    """Return the gate as a table, and what it found."""
    rows = [
        f"| {effect.change} | {effect.median_change.value:+.2f} ({effect.median_change.low:+.2f} to "
        f"{effect.median_change.high:+.2f}) | {effect.below_cut.value:.3f} ({effect.below_cut.low:.3f} to "
        f"{effect.below_cut.high:.3f}) |"
        for effect in gate.effects
    ]
    verdict = ["The gate is passed."] if gate.passes else [f"- {sentence}" for sentence in gate.failures]
    return "\n".join(
        [
            f"{gate.n_lenses} visible simulated lenses, each with the same noise before and after one change.",
            "",
            f"| change | median log-odds | share with p_lens below {gate.threshold:g} |",
            "| --- | --- | --- |",
            *rows,
            "",
            *verdict,
            "",
        ]
    )
