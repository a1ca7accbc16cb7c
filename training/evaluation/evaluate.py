"""Evaluate an ensemble on simulated objects that it was not trained on: overall, by property, and per look-alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise, product
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from infra.frozen import Frozen
from scanner.catalogue.columns import network_names
from scanner.networks.log_odds import restated
from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import Cut, ValueWithInterval
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import network_column_name
from training.errors import TrainingError
from training.evaluation.calibrate import expected_calibration_error
from training.evaluation.cuts import measured_cuts
from training.evaluation.inspected import SHARES_FOUND, inspected_per_lens, threshold_of_share
from training.evaluation.matched_rates import MatchedRecall, matched_recalls_by_sample
from training.evaluation.metrics import (
    N_BOOTSTRAP,
    THRESHOLD,
    auroc,
    f_beta,
    interval,
    max_f_beta,
    recall_at_false_positives,
    recall_interval,
    reflected_interval,
    share_with_interval,
    threshold_at_rate,
    with_interval,
)
from training.evaluation.score_correlation import ScoreCorrelation, score_correlations

Numbers = NDArray[np.floating]
Flags = NDArray[np.bool_]

RATES = (0.01, 0.05)
"""False-positive rates at which recall is given."""
BINS: dict[str, tuple[float, ...]] = {
    "einstein_radius1_arcsec": (0, 0.6, 0.8, 1.0, 1.3, 1.8, np.inf),
    "source1_mag_vis": (0, 23, 24, 25, 26, np.inf),
    "source1_vis_minus_h": (-np.inf, 0.5, 1.0, 1.5, 2.0, np.inf),
    "arc_snr": (0, 20, 30, 50, 100, np.inf),
    "lens_mag_vis": (0, 18, 19, 20, 21, np.inf),
    "arc_to_lens_flux": (0, 0.1, 0.3, 0.8, np.inf),
    "n_galaxies_inside": (0, 1, 2, 3, np.inf),
}
"""Bin edges of each property, in the unit of the truth column."""
CELLS: dict[str, tuple[float, ...]] = {
    "arc_to_lens_flux": BINS["arc_to_lens_flux"],
    "n_galaxies_inside": BINS["n_galaxies_inside"],
    "einstein_radius1_arcsec": (0, 0.8, 1.3, 2, np.inf),
}
"""Bin edges of the properties that make up cells together: each alone may be found where a combination is not."""
_MIN_GROUP, _MIN_CELL = 20, 100
BLUE_BELOW_MAG, RED_ABOVE_MAG = 1.0, 1.5
"""VIS - H of blue and of red sources."""
_ARC_BIN_MAG = 0.5


class Group(Frozen):
    """Objects that share a property, and the fraction above the thresholds."""

    property: str
    group: str
    n: int
    above: tuple[ValueWithInterval, ...]
    """Fraction above the threshold of each of `RATES`."""
    kept: ValueWithInterval | None = None
    """Fraction at or above the ensemble's default cut, if one is given: the rest of a group of lenses is lost."""


class Evaluation(Frozen):
    """All results of an evaluation."""

    n_objects: dict[str, int]
    """Number of scored objects by kind; all other figures are of these objects."""
    n_rejected: dict[str, int]
    """Number of rejected objects by kind. A rejected lens is a missed lens that no recall counts."""
    prevalence: float | None
    """Fraction of lenses that p_lens assumes."""
    overall: dict[str, ValueWithInterval]
    networks: dict[str, ValueWithInterval]
    """AUROC of each network, over the objects that it looked at; none for one that saw lenses alone, or none."""
    groups: tuple[Group, ...]
    cuts: tuple[Cut, ...]
    matched: tuple[MatchedRecall, ...] = ()
    """Recall of each kind at small false-positive rates; empty in evaluations of earlier versions."""
    correlations: tuple[ScoreCorrelation, ...] = ()
    """Correlations of the networks' scores; empty for one network, and in evaluations of earlier versions."""
    n_seen: dict[str, int] = Field(default_factory=dict)
    """Number of these objects by network, for those networks of a committee that did not look at all of them."""


def evaluate_scores(
    scores: pa.Table,
    truth: pa.Table,
    prevalence: float | None,
    rng: np.random.Generator | int,
    natural: Numbers | None = None,
    own_cuts: Sequence[float] = (),
    sample: NonLensTail | None = None,
    compound_share: float | None = None,
) -> Evaluation:
    """Compare scores with the truth.

    Args:
        scores: One row per object, with `p_lens`, `p_compound` (may be null), and `p_<network>`; rejected rows are left out.
        truth: The same rows, with the truth columns of shards.
        prevalence: Fraction of lenses that `p_lens` assumes; None if `p_lens` is not calibrated.
        rng: Generator for bootstrap intervals, or its seed.
        natural: `nonlens_scores` of other objects; they set the thresholds of every recall at a rate or number of false
            positives, and the number to inspect per lens. By default the non-lenses of these objects do.
        own_cuts: Cuts of the ensemble in `p_lens`, of which the first is that of candidates; empty if it has none.
        sample: Sample of non-lenses of the ensemble, which sets the thresholds of matched false-positive rates if it is larger
            than the number of non-lenses here, and where it stores enough scores; `natural` replaces it there.
        compound_share: Fraction of the lenses on the sky that are compound; None if it is not known.

    Raises:
        TrainingError: scored lenses or non-lenses are missing, or a row has no kind.
    """
    rng = np.random.default_rng(rng)
    objects = _Scored.of(scores, truth)
    p, kinds, is_lens = objects.p, objects.kinds, objects.is_lens
    others = p[~is_lens] if natural is None else natural
    thresholds = [threshold_at_rate(others, np.zeros(len(others), bool), rate) for rate in RATES]
    return Evaluation(
        n_objects=_counts(kinds),
        n_rejected=_counts(objects.rejected),
        prevalence=prevalence,
        overall=_overall(objects, others, prevalence, thresholds, sample, rng),
        networks=_aurocs(objects, rng),
        groups=tuple(_groups(p, objects.truth, thresholds, own_cuts)),
        cuts=() if prevalence is None else measured_cuts(p, kinds, prevalence, own_cuts, compound_share),
        matched=matched_recalls_by_sample(p, kinds, others, sample if natural is None else None),
        correlations=score_correlations(objects.networks, is_lens),
        n_seen={name: int(is_seen.sum()) for name, is_seen in objects.seen.items() if not is_seen.all()},
    )


@dataclass(frozen=True)
class _Scored:
    """The scored objects of an evaluation, and the kinds of the rejected ones."""

    scores: pa.Table
    truth: pa.Table
    kinds: NDArray[np.str_]
    rejected: NDArray[np.str_]

    @classmethod
    def of(cls, scores: pa.Table, truth: pa.Table) -> Self:
        """Keep the scored objects; raise TrainingError if lenses or non-lenses are missing, or a row has no kind."""
        is_scored = np.array([status == "scored" for status in scores["status"].to_pylist()])
        kinds = np.array([str(kind) for kind in truth["kind"].to_pylist()])
        is_lens = kinds[is_scored] != "nonlens"
        if not set(kinds) <= set(KINDS) or is_lens.all() or not is_lens.any():
            got = f"{sorted(set(kinds.tolist()))}, only {sorted(set(kinds[is_scored].tolist()))} scored"
            raise TrainingError(f"needs lenses and non-lenses of kinds {KINDS}, got {got}")
        chosen = pa.array(is_scored)
        return cls(scores.filter(chosen), truth.filter(chosen), kinds[is_scored], kinds[~is_scored])

    @cached_property
    def p(self) -> Numbers:
        """`p_lens` of each object."""
        return self.scores["p_lens"].to_numpy().astype(np.float64)

    @cached_property
    def is_lens(self) -> Flags:
        """True for lenses of any kind."""
        return np.asarray(self.kinds != "nonlens")

    @cached_property
    def networks(self) -> dict[str, Numbers]:
        """Probabilities of each network, NaN for the objects that it did not look at."""
        return {name: self.scores[network_column_name(name)].to_numpy() for name in network_names(self.scores.schema)}

    @cached_property
    def seen(self) -> dict[str, Flags]:
        """Objects that each network looked at."""
        return {name: ~np.isnan(p_network) for name, p_network in self.networks.items()}


def _counts(kinds: NDArray[np.str_]) -> dict[str, int]:
    return {kind: int(np.sum(kinds == kind)) for kind in KINDS}


def _aurocs(objects: _Scored, rng: np.random.Generator) -> dict[str, ValueWithInterval]:
    """Return the AUROC of each network that looked at lenses and others, over these."""
    return {
        name: _ranked(auroc, objects.networks[name][seen], objects.is_lens[seen], rng)
        for name, seen in objects.seen.items()
        if 0 < objects.is_lens[seen].sum() < seen.sum()
    }


def nonlens_scores(scores: pa.Table, truth: pa.Table) -> Numbers:
    """Return `p_lens` of each scored non-lens.

    Raises:
        TrainingError: there are no scored non-lenses.
    """
    is_scored = np.array([status == "scored" for status in scores["status"].to_pylist()])
    is_lens = np.array([kind != "nonlens" for kind in truth["kind"].to_pylist()])[is_scored]
    if is_lens.all():
        raise TrainingError("thresholds need scored non-lenses, got none")
    return scores["p_lens"].to_numpy()[is_scored][~is_lens].astype(np.float64)


def _overall(
    objects: _Scored,
    others: Numbers,
    prevalence: float | None,
    thresholds: Sequence[float],
    sample: NonLensTail | None,
    rng: np.random.Generator,
) -> dict[str, ValueWithInterval]:
    return (
        _of_p_lens(objects.p, objects.kinds, others, prevalence, thresholds, rng)
        | _work_by_sample(objects.p[objects.is_lens], sample, prevalence)
        | _compound(objects.scores, objects.kinds, rng)
        | _colour_probe(objects.p, objects.truth, thresholds[-1])
    )


def _of_p_lens(
    p: Numbers,
    kinds: NDArray[np.str_],
    others: Numbers,
    prevalence: float | None,
    thresholds: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, ValueWithInterval]:
    is_lens = kinds != "nonlens"
    measured = {
        "auroc": _ranked(auroc, p, is_lens, rng),
        "tpr_at_0_false_positives": _recall_before(p[is_lens], others, n_false=0),
        "tpr_at_10_false_positives": _recall_before(p[is_lens], others, n_false=10),
        "f_beta_max": _ranked(max_f_beta, p, is_lens, rng),
    }
    # The objects called lenses at p = 0.5 depend on the prevalence that p assumes: here, the share of lenses in these objects.
    here = p if prevalence is None else restated(p, prevalence, float(is_lens.mean()))
    for name, statistic in {"precision": _precision, "recall": _recall, "accuracy": _accuracy, "f_beta": _f_beta}.items():
        measured[f"{name}_at_half"] = _ranked(statistic, here, is_lens, rng)
    measured |= {
        "calibration_error": _ranked(expected_calibration_error, here, is_lens, rng, reflected_interval),
        "calibration_error_floor": _calibration_floor(here, rng),
    }
    if prevalence is not None:
        natural = partial(expected_calibration_error, prevalence=prevalence)
        measured["calibration_error_at_prevalence"] = _ranked(natural, p, is_lens, rng, reflected_interval)
        for share in SHARES_FOUND:
            name = f"inspected_per_lens_at_{share:g}"
            measured[name] = inspected_per_lens(p[is_lens], others, len(others), prevalence, share)
    for rate, threshold in zip(RATES, thresholds, strict=True):
        for kind in KINDS[1:]:
            if np.any(kinds == kind):
                measured[f"recall_{kind}_at_{rate:g}"] = share_with_interval(p[kinds == kind] > threshold)
    return measured


def _work_by_sample(lenses: Numbers, sample: NonLensTail | None, prevalence: float | None) -> dict[str, ValueWithInterval]:
    """Return the objects to inspect per lens by the card's sample of non-lenses, where that reaches down to the threshold."""
    if sample is None or prevalence is None:
        return {}
    highest = sample.p_lens.astype(np.float64)
    return {
        f"inspected_per_lens_at_{share:g}_by_sample": inspected_per_lens(lenses, highest, sample.n, prevalence, share)
        for share in SHARES_FOUND
        if threshold_of_share(lenses, share) >= sample.least
    }


def _compound(scores: pa.Table, kinds: NDArray[np.str_], rng: np.random.Generator) -> dict[str, ValueWithInterval]:
    """Measure how well p_compound separates compound lenses from all other objects, and from single lenses."""
    if scores["p_compound"].null_count:
        return {}
    p, is_lens = scores["p_compound"].to_numpy().astype(np.float64), kinds != "nonlens"
    is_compound = is_lens & (kinds != "single")
    if not is_compound.any():
        return {}
    measured = {"auroc_compound": _ranked(auroc, p, is_compound, rng)}
    if np.any(kinds == "single"):
        share = p / np.maximum(scores["p_lens"].to_numpy(), 1e-30)
        measured["auroc_compound_among_lenses"] = _ranked(auroc, share[is_lens], is_compound[is_lens], rng)
    return measured


def _colour_probe(p: Numbers, truth: pa.Table, threshold: float) -> dict[str, ValueWithInterval]:
    """Return the recall of blue minus red sources with arcs of equal magnitude: 0 for a network that uses shape alone."""
    columns = ("source1_mag_vis", "magnification1", "source1_vis_minus_h")
    mag, magnification, colour = (np.array(truth[name].to_pylist(), dtype=float) for name in columns)
    arc_mag = mag - 2.5 * np.log10(magnification)
    differences, variances, weights = [], [], []
    for bin_mag in np.unique(np.floor(arc_mag[np.isfinite(arc_mag)] / _ARC_BIN_MAG)):
        here = np.floor(arc_mag / _ARC_BIN_MAG) == bin_mag
        blue, red = (p[here & chosen] > threshold for chosen in (colour < BLUE_BELOW_MAG, colour > RED_ABOVE_MAG))
        if min(len(blue), len(red)) > 1:
            differences.append(blue.mean() - red.mean())
            variances.append(blue.var(ddof=1) / len(blue) + red.var(ddof=1) / len(red))
            weights.append(len(blue) * len(red) / (len(blue) + len(red)))
    if not weights:
        return {}
    share = np.array(weights) / sum(weights)
    value, error = float(share @ differences), float(np.sqrt(share**2 @ variances))
    return {"recall_blue_minus_red": with_interval(value, (value - 1.96 * error, value + 1.96 * error))}


def _groups(p: Numbers, truth: pa.Table, thresholds: Sequence[float], own_cuts: Sequence[float]) -> list[Group]:
    kinds, morphologies = (np.array(truth[name].to_pylist(), dtype=object) for name in ("kind", "morphology"))
    is_lens = kinds != "nonlens"
    members = [("kind", kind, kinds == kind) for kind in KINDS[1:]]
    members += [("look-alike", str(m), ~is_lens & (morphologies == m)) for m in sorted(set(morphologies[~is_lens]) - {None})]
    members += [("morphology", str(m), is_lens & (morphologies == m)) for m in sorted(set(morphologies[is_lens]) - {None})]
    for name, edges in BINS.items():
        values = np.array(truth[name].to_pylist(), dtype=float)
        for low, high in pairwise(edges):
            members.append((name, f"{low:g} to {high:g}", is_lens & (values >= low) & (values < high)))
    kept = [member for member in members if member[2].sum() >= _MIN_GROUP]
    return [
        Group(
            property=name,
            group=group,
            n=int(rows.sum()),
            above=tuple(share_with_interval(p[rows] > t) for t in thresholds),
            kept=share_with_interval(p[rows] >= own_cuts[0]) if own_cuts else None,
        )
        for name, group, rows in (*kept, *_cells(truth))
    ]


def _cells(truth: pa.Table) -> Iterator[tuple[str, str, Flags]]:
    """Yield the cells of the properties of `CELLS` together that hold enough lenses."""
    columns = {name: np.array(truth[name].to_pylist(), dtype=float) for name in CELLS}
    for bins in product(*(pairwise(edges) for edges in CELLS.values())):
        rows = np.ones(len(truth), bool)
        for values, (low, high) in zip(columns.values(), bins, strict=True):
            rows &= (values >= low) & (values < high)
        if rows.sum() >= _MIN_CELL:
            yield ", ".join(CELLS), "; ".join(f"{low:g} to {high:g}" for low, high in bins), rows


def _ranked(
    statistic: Callable[..., float],
    p: Numbers,
    is_lens: Flags,
    rng: np.random.Generator,
    interval_of: Callable[..., tuple[float, float]] = interval,
) -> ValueWithInterval:
    return with_interval(statistic(p, is_lens), interval_of(statistic, p, is_lens, rng))


def _recall_before(lenses: Numbers, others: Numbers, n_false: int) -> ValueWithInterval:
    p, is_lens = np.concatenate([lenses, others]), np.arange(len(lenses) + len(others)) < len(lenses)
    return with_interval(recall_at_false_positives(p, is_lens, n_false), recall_interval(p, is_lens, n_false))


def _calibration_floor(p: Numbers, rng: np.random.Generator) -> ValueWithInterval:
    """Return the calibration error if each object is a lens with its probability p: mean, and range of 95 % of such draws."""
    errors = [expected_calibration_error(p, rng.random(len(p)) < p) for _ in range(N_BOOTSTRAP)]
    low, high = np.quantile(errors, [0.025, 0.975])
    return with_interval(float(np.mean(errors)), (float(low), float(high)))


def _precision(p: Numbers, is_lens: Flags) -> float:
    called = p >= THRESHOLD
    return float(is_lens[called].mean()) if called.any() else 0.0


def _recall(p: Numbers, is_lens: Flags) -> float:
    return float((p[is_lens] >= THRESHOLD).mean())


def _accuracy(p: Numbers, is_lens: Flags) -> float:
    return float(((p >= THRESHOLD) == is_lens).mean())


def _f_beta(p: Numbers, is_lens: Flags) -> float:
    return f_beta(_precision(p, is_lens), _recall(p, is_lens))
