"""Make a cascade of trained networks: choose how the committee is pooled, its cuts and its stages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.progress import Progress, part_of
from infra.provenance import code_version, digest
from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import Pooling, SoftmaxStack
from scanner.networks.log_odds import restated
from scanner.networks.package import write_package
from scanner.networks.prevalence import compound_limit
from scanner.networks.stage_cards import CandidateStage, EarlyExit, FirstStage, SecondOpinion
from scanner.networks.training_data_card import DataSets, TrainingDataCard, data_lists
from scanner.vocabulary.kinds import KINDS
from training.calibration_shards import CalibrationShards
from training.candidate_stage import final_p_lens, make_candidate_stage
from training.cascade_networks import CascadeNetworks
from training.evaluation.card_text import CITATION
from training.evaluation.metrics import log_loss, metrics, recall_at_false_positives, threshold_at_rate
from training.evaluation.stated_data import simulations
from training.limits import SIMULATED_ALONE, mixture_limit
from training.margins import Margins, MoreNonLenses, random_half, read_margins
from training.stages import Data, after_stages, calibrated, make_stages

LIST_SHARE = 0.003
"""Largest share of natural objects in the list of the default cut: as many as a team can look at."""
CUT_LOSES = {"natural": 0.065, "broad": 0.10}
"""Largest shares of the lenses of each set that may lie below the deep cut, those that the stages exclude among them. Real
lenses score lower than simulated ones, so these are small: STUDY.md has the shares of real galaxies lensed into real hosts, and
of real non-lenses, at or above cuts."""
CORRECTED_FROM = 0.2
"""Multiple of the prevalence from which on a candidate network may correct `p_lens`: below the deep cut, so that it can also
lift an object to the candidates (STUDY.md)."""
MOST_RECALL_LOST = 0.03
"""Largest loss in the recall of natural lenses that a pooling may have for a higher recall of broad lenses: about the error of
a recall at 1 % of six thousand non-lenses."""
RATE = 0.01
"""False-positive rate on natural draws of the threshold at which the recall of broad lenses is compared."""
_NONLENS = KINDS.index("nonlens")
_POOLINGS: tuple[Pooling, ...] = ("each", "without_lowest", "mean_probability")
_WITHOUT_VETO = _POOLINGS[1:]
"""Poolings in which no network alone makes a lens a non-lens."""


PLens = Mapping[str, NDArray[np.float32]]
"""`p_lens` of the objects of each data set, `[object]`."""


class PoolingFigures(Frozen):
    """Figures of a pooling on objects that its regression was not fitted on."""

    pooling: Pooling
    log_loss: float
    """Mean log loss of lens against non-lens on natural draws, in nats per object."""
    natural_recall: float
    """Recall of natural lenses at `RATE` false positives."""
    broad_recall: float
    """Recall of broad lenses at the same threshold."""


def compare_poolings(natural: Margins, broad: Margins) -> tuple[PoolingFigures, ...]:
    """Fit each pooling on half of the natural objects, drawn at random; measure it on the others and on the broad objects."""
    fitted_on = random_half(len(natural.kinds))
    half, other = natural.rows(fitted_on), natural.rows(~fitted_on)
    return tuple(_figures_of(pooling, half, other, broad) for pooling in _POOLINGS)


def _figures_of(pooling: Pooling, half: Margins, other: Margins, broad: Margins) -> PoolingFigures:
    stack = calibrated(half, pooling)
    p, p_broad = (1 - stack.probabilities(part.by_network)[:, _NONLENS] for part in (other, broad))
    threshold = threshold_at_rate(p, other.is_lens, RATE)
    return PoolingFigures(
        pooling=pooling,
        log_loss=log_loss(p, other.is_lens),
        natural_recall=recall_at_false_positives(p, other.is_lens, int(RATE * np.sum(~other.is_lens))),
        broad_recall=float((p_broad[broad.is_lens] > threshold).mean()),
    )


def best_pooling(compared: Sequence[PoolingFigures]) -> Pooling:
    """Return the pooling with the highest recall of broad lenses among those with nearly the best recall of natural ones.

    Poolings outside `_WITHOUT_VETO` are left out even with a higher recall: real images may mislead one network alone. Of two
    that find as many broad lenses, the one that finds more natural ones is returned.
    """
    without_veto = [figures for figures in compared if figures.pooling in _WITHOUT_VETO]
    least = max(figures.natural_recall for figures in without_veto) - MOST_RECALL_LOST
    good = (figures for figures in without_veto if figures.natural_recall >= least)
    return max(good, key=lambda figures: (figures.broad_recall, figures.natural_recall)).pooling


def deep_cut(p_lens: PLens, data: Data, prevalence: float) -> float:
    """Return the largest cut that loses no more lenses than `CUT_LOSES`, at most twice the prevalence."""
    cuts = [2 * prevalence, 0.5]
    for name, margins in data.items():
        of_lenses = np.sort(p_lens[name][margins.is_lens])
        cuts.append(float(of_lenses[int(CUT_LOSES[name] * len(of_lenses))]))
    return min(cuts)


def list_cut(p_lens: NDArray[np.float32], natural: Margins, prevalence: float) -> float:
    """Return the smallest cut, at most 0.5, with at most `LIST_SHARE` of the objects at or above it at this prevalence.

    Args:
        p_lens: `p_lens` of the natural objects, `[object]`.
        natural: Their margins.
        prevalence: Fraction of lenses.
    """
    lenses, others = np.sort(p_lens[natural.is_lens]), np.sort(p_lens[~natural.is_lens])
    # Of each non-lens, the share of lenses and of non-lenses with at least its score.
    of_lenses = 1 - np.searchsorted(lenses, others) / len(lenses)
    of_others = 1 - np.searchsorted(others, others) / len(others)
    listed = prevalence * of_lenses + (1 - prevalence) * of_others
    is_short = listed <= LIST_SHARE
    return min(float(others[is_short.argmax() if is_short.any() else -1]), 0.5)


def rounded_down(cut: float) -> float:
    """Return a cut above 0 with two digits, at most as high: people read and type it."""
    return _with_two_digits(cut, math.floor)


def rounded_up(cut: float) -> float:
    """Return a cut above 0 with two digits, at least as high."""
    return _with_two_digits(cut, math.ceil)


def _with_two_digits(cut: float, rounded: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(cut)) - 1)
    nearly = cut / step
    # A cut that has two digits stays as it is.
    whole = round(nearly) if abs(nearly - round(nearly)) < 1e-9 else rounded(nearly)
    return float(f"{whole * step:.1e}")


@dataclass(frozen=True)
class FittedCascade:
    """The calibrations, limits and cut that are fitted to the margins of the networks of a cascade."""

    combiner: SoftmaxStack
    compared: tuple[PoolingFigures, ...]
    """Figures of all poolings, of which the combiner has the best."""
    first: FirstStage | None
    early_exit: EarlyExit | None
    candidate_stage: CandidateStage | None
    p_lens: PLens
    """`p_lens` that all stages together give the objects of each data set."""
    cut: float
    """The default cut, of the list."""
    deep_cut: float | None
    """A lower one, which loses few lenses; None if the default cut does so."""


def fit_cascade(networks: CascadeNetworks, data: Data, prevalence: float, compound_share: float) -> FittedCascade:
    """Choose the pooling of the committee, calibrate every stage, and set the limits of the stages and the cuts.

    Args:
        networks: Networks of the cascade.
        data: Their margins on natural draws, `natural`, and on objects of the preset `broad`, `broad`.
        prevalence: Fraction of lenses that `p_lens` assumes.
        compound_share: Fraction of the lenses that `p_compound` assumes to be compound.

    Raises:
        TrainingError: the committee keeps no lens of a data set.
    """
    of_committee = {name: margins.of(tuple(networks.committee)) for name, margins in data.items()}
    compared = compare_poolings(of_committee["natural"], of_committee["broad"])
    combiner = calibrated(of_committee["natural"], best_pooling(compared)).assuming(prevalence, compound_share)
    first = early_exit = candidate_stage = None
    if networks.first:
        p_of_committee = {name: final_p_lens(combiner, None, margins) for name, margins in data.items()}
        kept = rounded_down(deep_cut(p_of_committee, data, prevalence))
        first, early_exit = make_stages(networks.first[1], combiner, data, kept, compound_share)
    if networks.candidate:
        least = CORRECTED_FROM * prevalence
        opinion = _second_opinion(networks, data["natural"]) if networks.opinion else None
        candidate_stage = make_candidate_stage(networks.candidate[1], combiner, data["natural"], compound_share, least, opinion)
    p_lens = {
        name: after_stages(final_p_lens(combiner, candidate_stage, margins), first, early_exit, margins)
        for name, margins in data.items()
    }
    deep = rounded_down(deep_cut(p_lens, data, prevalence))
    cut = rounded_up(list_cut(p_lens["natural"], data["natural"], prevalence))
    lower = deep if deep < cut else None
    return FittedCascade(combiner, compared, first, early_exit, candidate_stage, p_lens, cut, lower)


def _second_opinion(networks: CascadeNetworks, natural: Margins) -> SecondOpinion:
    """Return the networks of the second opinion, calibrated together, each with a weight of its own."""
    cards = tuple(network.filed_by_name() for _, network in networks.opinion.values())
    return SecondOpinion(networks=cards, combiner=calibrated(natural.of(tuple(networks.opinion))))


def assemble(
    name: str,
    networks: CascadeNetworks,
    shards: CalibrationShards,
    out: Path,
    prevalence: float,
    compound_share: float,
    progress: Progress,
    more_nonlenses: MoreNonLenses | None = None,
    engine: EngineName = "auto",
) -> EnsembleCard:
    """Write the package `out/name`: a cascade of networks, or an ensemble of those of the committee if there is no first stage.

    Args:
        name: Name of the ensemble.
        networks: Its networks.
        shards: Every stage is calibrated on the natural ones; pooling and limits of the stages depend on the broad ones, too.
        out: Folder of the package's folder.
        prevalence: Fraction of lenses that `p_lens` assumes.
        compound_share: Fraction of the lenses that `p_compound` assumes to be compound.
        progress: Called with (objects scored, objects in all).
        more_nonlenses: Non-lenses in natural shares that every stage is calibrated on, too.
        engine: Engine that runs the networks.

    Raises:
        TrainingError: an object of the shards cannot be used, or the committee keeps no lens of theirs.
        PackageError: a package cannot be read.
    """
    data = _read_data(networks, shards, more_nonlenses, progress, engine)
    fitted = fit_cascade(networks, data, prevalence, compound_share)
    training_data = _training_data(shards, networks.packages(), more_nonlenses)
    card = _card(name, networks, data, fitted, training_data, prevalence, compound_share)
    # A second opinion that does not help is left out.
    weights = networks.weights()
    return write_package(out / name, card, {network.name: weights[network.name] for network in card.all_networks})


def _read_data(
    networks: CascadeNetworks,
    shards: CalibrationShards,
    more_nonlenses: MoreNonLenses | None,
    progress: Progress,
    engine: EngineName,
) -> Data:
    """Return the margins of all networks on the shards, and on further non-lenses among the natural draws."""
    n_natural, n_objects = shards.n_natural, shards.n_objects
    natural = read_margins(networks.everything, shards.natural_uri, part_of(progress, 0, n_objects), engine)
    broad = read_margins(networks.everything, shards.broad_uri, part_of(progress, n_natural, n_objects), engine)
    if more_nonlenses:
        natural = natural.with_nonlenses(more_nonlenses.margins)
    return {"natural": natural, "broad": broad}


def _card(
    name: str,
    networks: CascadeNetworks,
    data: Data,
    fitted: FittedCascade,
    training_data: TrainingDataCard,
    prevalence: float,
    compound_share: float,
) -> EnsembleCard:
    """Return the card of a cascade that was fitted to data."""
    natural = data["natural"]
    p_natural = restated(fitted.p_lens["natural"], prevalence, fitted.combiner.fitted_prevalence)
    return EnsembleCard(
        format_version=2,
        name=name,
        description=_description(networks),
        licence="MIT",
        geometry=networks.geometry,
        first=fitted.first,
        early_exit=fitted.early_exit,
        networks=tuple(network for _, network in networks.committee.values()),
        combiner=fitted.combiner,
        candidate_stage=fitted.candidate_stage,
        training_data=training_data,
        metrics=_metrics(p_natural, natural, fitted.compared) | _cut_metrics(fitted, data),
        default_cut=fitted.cut,
        deep_cut=fitted.deep_cut,
        calibration=(
            "Multinomial logistic regression of the kind on the networks' logit differences, "
            f"pooled as {fitted.combiner.pooling!r}, and a curve that corrects its log-odds of a lens, both fitted on "
            f"{len(natural.kinds)} natural draws that no network saw."
        ),
        assumed_prevalence=prevalence,
        limits=(SIMULATED_ALONE, mixture_limit("the natural draws"), compound_limit(compound_share)),
        citation=CITATION,
    )


def _description(networks: CascadeNetworks) -> str:
    n = len(networks.committee)
    what = f"A cascade: one small network, then a committee of {n}" if networks.first else f"{n} networks"
    last = ", then a network for the candidates" if networks.candidate else ""
    n_opinion = len(networks.opinion)
    return f"{what}{last}{f' with a second opinion of {n_opinion} more' if n_opinion else ''} ({code_version()})."


def _cut_metrics(fitted: FittedCascade, data: Data) -> dict[str, float]:
    """Return the share of lenses below each cut, and that of other objects at or above it, which is the work."""
    figures = {}
    cuts = {"cut": fitted.cut} if fitted.deep_cut is None else {"cut": fitted.cut, "deep_cut": fitted.deep_cut}
    for what, cut in cuts.items():
        for name, margins in data.items():
            kept = fitted.p_lens[name] >= cut
            figures[f"{what}_{name}_lenses_lost"] = float(1 - kept[margins.is_lens].mean())
            figures[f"{what}_{name}_nonlenses_kept"] = float(kept[~margins.is_lens].mean())
    return figures


def _metrics(p: NDArray[np.float64], natural: Margins, compared: Sequence[PoolingFigures]) -> dict[str, float]:
    """Return the metrics of `p_lens` in the fitted mixture, `[object]`, and those of the poolings."""
    figures = metrics(p, natural.kinds, np.random.default_rng(0))
    for of in compared:
        figures |= {f"pooling_{of.pooling}_{name}": value for name, value in of.model_dump(exclude={"pooling"}).items()}
    return figures


def _training_data(
    shards: CalibrationShards, cards: Sequence[EnsembleCard], more_nonlenses: MoreNonLenses | None
) -> TrainingDataCard:
    described = [f"{card.name}: {card.training_data.description}" for card in cards]
    calibrated_on = DataSets(shards.digests, simulations((*shards.natural.values(), *shards.broad.values())))
    text = f"Calibrated on {shards.n_objects} further objects"
    if more_nonlenses:
        text += f", and on non-lenses alone: {more_nonlenses.data_set}"
        calibrated_on = DataSets(
            (*calibrated_on.digests, more_nonlenses.digest), (*calibrated_on.simulations, more_nonlenses.simulation)
        )
    return TrainingDataCard(
        description=f"{'. '.join(described)}. {text}",
        digest=digest(list(calibrated_on.digests)),
        n_objects={},
        **data_lists((card.training_data for card in cards), calibrated_on=calibrated_on),
    )
