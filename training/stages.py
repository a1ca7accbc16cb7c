"""The stages of a cascade that exclude objects: calibrate each, and set the limit below which it excludes them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.networks.combiner import Pooling, SoftmaxStack
from scanner.networks.network_card import NetworkCard
from scanner.networks.stage_cards import EarlyExit, FirstStage
from training.errors import TrainingError
from training.evaluation.calibrate import fit_stack, with_lens_curve
from training.margins import Margins

MOST_LOST = 0.005
"""Largest share that a cascade may exclude of the lenses that the committee keeps at its default cut, in each set.

A first stage knows unfamiliar lenses less well: STUDY.md has what this share costs in real galaxies lensed into real hosts.
"""
MOST_LOST_BEFORE_EXIT = 0.0045
"""The part of `MOST_LOST` that the first stage may use if the committee has an early exit.

The rest, which one network excludes alone, is small: with more, faint arcs raise the score of real hosts less often
(STUDY.md)."""

Data = Mapping[str, Margins]
"""Margins on the natural objects, `natural`, that every stage is calibrated on, and on those of other data sets."""


def calibrated(margins: Margins, pooling: Pooling = "each") -> SoftmaxStack:
    """Return the regression and the curve that calibrate networks, all those of `margins`, on these objects."""
    return with_lens_curve(fit_stack(margins.by_network, margins.kinds, pooling), margins.by_network, margins.kinds)


def make_stages(
    card: NetworkCard, committee: SoftmaxStack, data: Data, cut: float, compound_share: float
) -> tuple[FirstStage, EarlyExit | None]:
    """Make the first stage of one network, and the early exit of the committee if that has several.

    Raises:
        TrainingError: the committee keeps no lens of a data set.
    """
    if len(committee.networks) < 2:
        return make_first_stage(card, committee, data, cut, compound_share), None
    first = make_first_stage(card, committee, data, cut, compound_share, MOST_LOST_BEFORE_EXIT)
    return first, make_early_exit(first, committee, data, cut, compound_share)


def make_first_stage(
    card: NetworkCard, committee: SoftmaxStack, data: Data, cut: float, compound_share: float, most_lost: float = MOST_LOST
) -> FirstStage:
    """Calibrate the first stage, and set its limit by the lenses that the committee keeps at its cut.

    Raises:
        TrainingError: the committee keeps no lens of a data set.
    """
    combiner = calibrated(data["natural"].of((card.name,))).assuming(committee.prevalence, compound_share)
    limit = limit_of_first_stage(combiner, committee, list(data.values()), cut, most_lost)
    passed = {name: _passed(combiner, margins, limit) for name, margins in data.items()}
    figures = _figures(passed, committee, data, cut)
    return FirstStage(network=card, combiner=combiner, exclude_below=limit, metrics=figures)


def limit_of_first_stage(
    first: SoftmaxStack, committee: SoftmaxStack, data: Sequence[Margins], cut: float, most_lost: float = MOST_LOST
) -> float:
    """Return the largest limit that loses at most `most_lost` of the lenses that the committee keeps, in each data set.

    Raises:
        TrainingError: the committee keeps no lens of a data set.
    """
    limits = []
    for margins in data:
        kept = _kept(committee, margins, cut)
        of_kept = np.sort(first.combine(margins.by_network).p_lens[kept])
        limits.append(float(of_kept[int(most_lost * len(of_kept))]))
    return min(limits)


def make_early_exit(first: FirstStage, committee: SoftmaxStack, data: Data, cut: float, compound_share: float) -> EarlyExit:
    """Choose the network of the committee that excludes most natural non-lenses that the first stage passes.

    It and the first stage together lose at most `MOST_LOST` of the lenses that the committee keeps at its cut, in each set.

    Raises:
        TrainingError: the committee keeps no lens of a data set.
    """
    made = (_early_exit(name, first, committee, data, cut, compound_share) for name in committee.networks)
    return min(made, key=lambda early_exit: early_exit.metrics["natural_nonlenses_passed"])


def _early_exit(
    network: str, first: FirstStage, committee: SoftmaxStack, data: Data, cut: float, compound_share: float
) -> EarlyExit:
    combiner = calibrated(data["natural"].of((network,))).assuming(committee.prevalence, compound_share)
    passed_first = {name: _passed(first.combiner, margins, first.exclude_below) for name, margins in data.items()}
    limits = []
    for name, margins in data.items():
        kept = _kept(committee, margins, cut)
        may_lose = int(MOST_LOST * kept.sum()) - int((kept & ~passed_first[name]).sum())
        of_kept = np.sort(combiner.combine(margins.by_network).p_lens[kept & passed_first[name]])
        limits.append(float(of_kept[may_lose]))
    limit = min(limits)
    passed = {name: passed_first[name] & _passed(combiner, margins, limit) for name, margins in data.items()}
    return EarlyExit(network=network, combiner=combiner, exclude_below=limit, metrics=_figures(passed, committee, data, cut))


def after_stages(
    p_lens: NDArray[np.float32], first: FirstStage | None, early_exit: EarlyExit | None, margins: Margins
) -> NDArray[np.float32]:
    """Return the `p_lens` of a cascade `[object]`: that of a stage that excludes an object, else the given one.

    Args:
        p_lens: What the committee and a stage after it would give every object, `[object]`.
        first: First stage, if there is one.
        early_exit: Early exit of the committee, if it has one.
        margins: Margins of their networks on these objects.
    """
    # The early exit does not see what the first stage excludes.
    for stage in (early_exit, first):
        if stage:
            alone = stage.combiner.combine(margins.by_network).p_lens
            p_lens = np.where(alone < np.float32(stage.exclude_below), alone, p_lens)
    return p_lens


def _kept(committee: SoftmaxStack, margins: Margins, cut: float) -> NDArray[np.bool_]:
    """Return a mask of the lenses that the committee keeps, at least one."""
    kept = margins.is_lens & (committee.combine(margins.by_network).p_lens >= cut)
    if not kept.any():
        raise TrainingError("the committee must keep lenses of every data set at its default cut, it keeps none of one")
    return kept


def _passed(stage: SoftmaxStack, margins: Margins, limit: float) -> NDArray[np.bool_]:
    return stage.combine(margins.by_network).p_lens >= limit


def _figures(passed: Mapping[str, NDArray[np.bool_]], committee: SoftmaxStack, data: Data, cut: float) -> dict[str, float]:
    """Return the shares of lenses and of others that pass, and the share lost of the lenses that the committee would keep."""
    figures = {}
    for name, margins in data.items():
        figures[f"{name}_nonlenses_passed"] = float(passed[name][~margins.is_lens].mean())
        figures[f"{name}_lenses_passed"] = float(passed[name][margins.is_lens].mean())
        figures[f"{name}_lenses_lost"] = float(1 - passed[name][_kept(committee, margins, cut)].mean())
    return figures
