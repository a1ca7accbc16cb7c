"""Judge how changes of one thing move the scores of the same objects: the bias probes of `simulation.products.probes`.

The change of an object is that of its log-odds of a lens. The gate compares medians over lenses, and shares on either side of
the candidates' threshold, with `probe_limits`.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.networks.log_odds import log_odds
from scanner.purity import ValueWithInterval
from scanner.vocabulary.kinds import KINDS, UNCHANGED
from training.evaluation.exceeding import beyond
from training.evaluation.metrics import N_BOOTSTRAP, share_with_interval
from training.evaluation.probe_limits import (
    LEAST_NOTICED,
    LEAST_STATED,
    LIMITS,
    MOST_FALSE_ALARMS,
    REASON_OF_FALSE_ALARMS,
    REASON_OF_NOTICED,
    Limit,
)
from training.evaluation.probe_scores import ProbedScores, together

_NONLENS = KINDS[0]
_ROUNDING = 1e-9


Scores = Mapping[str, Mapping[str, ProbedScores]]
"""Kind to change to scores."""


class KindEffect(Frozen):
    """Effect of a change on objects of one kind, or on all lenses."""

    n: int
    median_change: ValueWithInterval
    """Median of the changes of the log-odds of `p_lens`, object by object."""
    below_before: float
    """Share of these objects below the candidates' threshold before the change."""
    below_after: ValueWithInterval
    noticed: ValueWithInterval | None = None
    """Share of the rows that say that a band is shifted; None if they were not checked."""
    n_silent_above: int | None = None
    """Number of rows at or above the threshold after the change that do not say so."""


class ProbeEffect(Frozen):
    """One row of the table."""

    probe: str
    lenses: KindEffect
    kinds: dict[str, KindEffect]
    """Effect on each kind of object that was probed."""
    networks: dict[str, ValueWithInterval]
    """Median change of each network's own log-odds, over the lenses that it looked at before and after, if there are any."""
    limit: str
    """Limits in a few words; empty if the probe has none."""
    reason: str
    """Why the limits are as they are."""
    failures: tuple[str, ...]
    """A sentence for each limit that is exceeded."""


class DropOut(Frozen):
    """Outcome of rows without one band."""

    band: str
    how: str
    """`blank` (every pixel is 0) or `missing` (no image)."""
    n: int
    n_scored: int
    """Rows that some of the networks scored alone."""
    n_stated: int
    """Rows that say that the band is missing: rejected, or scored with a note."""


class ProbeReport(Frozen):
    """Effects of all probes, and the limits that they exceed."""

    n_objects: dict[str, int]
    threshold: float
    effects: tuple[ProbeEffect, ...]
    drop_outs: tuple[DropOut, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for each limit that is exceeded, which begins with the probe."""
        return (*(f for effect in self.effects for f in effect.failures), *_drop_out_failures(self.drop_outs))

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Names of the probes that exceed a limit."""
        dropped = {f"{of.band} {of.how}" for of in self.drop_outs if of.n_stated < LEAST_STATED * of.n}
        return (*(effect.probe for effect in self.effects if effect.failures), *sorted(dropped))

    @property
    def passes(self) -> bool:
        return not self.failures


def judge_probes(scores: Scores, drop_outs: tuple[DropOut, ...], threshold: float, seed: int) -> ProbeReport:
    """Compare the scores of the same objects under each change.

    Args:
        scores: Scores of every kind of lens, and of non-lenses where a change was made to them; `unchanged` must be a change
            of each kind.
        drop_outs: Rows without a band.
        threshold: Smallest `p_lens` of a candidate.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: the scores before the change are missing, or numbers of objects differ.
    """
    for kind, changes in scores.items():
        if UNCHANGED not in changes or len({len(of.p_lens) for of in changes.values()}) != 1:
            raise ValueError(f"scores must be of equally many objects, with {UNCHANGED!r} among the changes of {kind}")
    probes = list(dict.fromkeys(probe for changes in scores.values() for probe in changes))
    rng = np.random.default_rng(seed)
    return ProbeReport(
        n_objects={kind: len(changes[UNCHANGED].p_lens) for kind, changes in scores.items()},
        threshold=threshold,
        effects=tuple(_effect(probe, scores, threshold, rng) for probe in probes),
        drop_outs=drop_outs,
    )


def _effect(probe: str, scores: Scores, threshold: float, rng: np.random.Generator) -> ProbeEffect:
    pairs = {kind: (changes[UNCHANGED], changes[probe]) for kind, changes in scores.items() if probe in changes}
    of_lenses = [pair for kind, pair in pairs.items() if kind != _NONLENS]
    before, after = (together([pair[i] for pair in of_lenses]) for i in (0, 1))
    lenses = _on_kind(before, after, threshold, rng)
    kinds = {kind: _on_kind(*pair, threshold, rng) for kind, pair in pairs.items()}
    return ProbeEffect(
        probe=probe,
        lenses=lenses,
        kinds=kinds,
        networks=_networks(before, after, rng),
        limit=_limit_text(probe),
        reason=_reason(probe),
        failures=tuple(f"{probe}: {found}" for found in _failures(probe, lenses, kinds)),
    )


def _on_kind(before: ProbedScores, after: ProbedScores, threshold: float, rng: np.random.Generator) -> KindEffect:
    is_below, noticed = after.p_lens < threshold, after.is_noticed
    return KindEffect(
        n=len(before.p_lens),
        median_change=_median(log_odds(after.p_lens) - log_odds(before.p_lens), rng),
        below_before=float(np.mean(before.p_lens < threshold)),
        below_after=share_with_interval(is_below),
        noticed=None if noticed is None else share_with_interval(noticed),
        n_silent_above=None if noticed is None else int(np.sum(~is_below & ~noticed)),
    )


def _networks(before: ProbedScores, after: ProbedScores, rng: np.random.Generator) -> dict[str, ValueWithInterval]:
    """Return the median change of each network over the objects that it looked at twice, without networks that have none."""
    found = {}
    for name, p_after in after.p_networks.items():
        changes = log_odds(p_after) - log_odds(before.p_networks[name])
        if not np.isnan(changes).all():
            found[name] = _median(changes[~np.isnan(changes)], rng)
    return found


def _median(changes: NDArray[np.float64], rng: np.random.Generator) -> ValueWithInterval:
    """Return the median with its 95 % interval from bootstrap resamples of objects."""
    drawn = changes[rng.integers(len(changes), size=(N_BOOTSTRAP, len(changes)))]
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return ValueWithInterval(value=float(np.median(changes)), low=float(low), high=float(high))


def _failures(probe: str, lenses: KindEffect, kinds: Mapping[str, KindEffect]) -> Iterator[str]:
    if probe in LIMITS:
        yield from _beyond(LIMITS[probe], lenses, kinds)
    if probe in LEAST_NOTICED:
        yield from _unnoticed(LEAST_NOTICED[probe], lenses)
    if probe == UNCHANGED:
        yield from _false_alarms("lenses", lenses)
        if _NONLENS in kinds:
            yield from _false_alarms("non-lenses", kinds[_NONLENS])


def _beyond(limit: Limit, lenses: KindEffect, kinds: Mapping[str, KindEffect]) -> Iterator[str]:
    """Yield the limits that all lenses exceed, or else that one kind of them exceeds with its whole interval."""
    moved = _moved(limit, lenses.median_change)
    if moved:
        yield f"the log-odds {moved}"
    else:
        for kind, of_kind in kinds.items():
            if kind != _NONLENS and (surely := _moved_surely(limit, of_kind.median_change)):
                yield f"the log-odds of {kind} {surely}"
    lost = lenses.below_after.value - lenses.below_before
    if limit.most_lost is not None and lost > limit.most_lost + _ROUNDING:
        yield f"at most {limit.most_lost:g} of the lenses may fall below the threshold, {beyond(lost, limit.most_lost, 3)} do"
    if limit.most_gained is not None and _NONLENS in kinds:
        gained = kinds[_NONLENS].below_before - kinds[_NONLENS].below_after.value
        if gained > limit.most_gained + _ROUNDING:
            share = beyond(gained, limit.most_gained, 3)
            yield f"at most {limit.most_gained:g} of the non-lenses may rise above the threshold, {share} do"


def _moved(limit: Limit, change: ValueWithInterval) -> str:
    """Return the limit that a median exceeds, and the median; an empty text if it exceeds none."""
    if limit.most_fall is not None and change.value < -limit.most_fall:
        return f"may fall by at most {limit.most_fall:g}, they fall by {beyond(-change.value, limit.most_fall, 2)}"
    if limit.most_rise is not None and change.value > limit.most_rise:
        return f"may rise by at most {limit.most_rise:g}, they rise by {beyond(change.value, limit.most_rise, 2)}"
    return ""


def _moved_surely(limit: Limit, change: ValueWithInterval) -> str:
    """Return what `_moved` does, if the whole interval lies beyond the limit."""
    nearest = change.high if change.value < 0 else change.low
    return _moved(limit, change) if _moved(limit, change.model_copy(update={"value": nearest})) else ""


def _unnoticed(least: float, lenses: KindEffect) -> Iterator[str]:
    if lenses.noticed is None:
        yield f"at least {least:g} of the lenses' rows must say so, none was asked"
    elif lenses.noticed.value < least:
        yield f"at least {least:g} of the lenses' rows must say so, {beyond(lenses.noticed.value, least, 3)} do"


def _false_alarms(what: str, of_kind: KindEffect) -> Iterator[str]:
    if of_kind.noticed is not None and of_kind.noticed.value > MOST_FALSE_ALARMS:
        share = beyond(of_kind.noticed.value, MOST_FALSE_ALARMS, 3)
        yield f"at most {MOST_FALSE_ALARMS:g} of the {what} may be said to have a shifted band, {share} are"


def _drop_out_failures(drop_outs: tuple[DropOut, ...]) -> Iterator[str]:
    for of in drop_outs:
        if of.n_stated < LEAST_STATED * of.n:
            yield f"{of.band} {of.how}: every row must say so or be rejected, {of.n - of.n_stated} of {of.n} do not"


def _limit_text(probe: str) -> str:
    if probe == UNCHANGED:
        return f"false alarms {MOST_FALSE_ALARMS:g}"
    if probe in LEAST_NOTICED:
        return f"noticed {LEAST_NOTICED[probe]:g}"
    limit = LIMITS.get(probe)
    if limit is None:
        return ""
    parts = {"fall": limit.most_fall, "rise": limit.most_rise, "lost": limit.most_lost, "gained": limit.most_gained}
    return ", ".join(f"{name} {most:g}" for name, most in parts.items() if most is not None)


def _reason(probe: str) -> str:
    if probe == UNCHANGED:
        return REASON_OF_FALSE_ALARMS
    if probe in LEAST_NOTICED:
        return REASON_OF_NOTICED
    return LIMITS[probe].reason if probe in LIMITS else ""
