"""How an ensemble does on simulated objects that it never saw: overall, by property, and per look-alike."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from scanner.pixels.shards import KINDS
from training.calibrate import expected_calibration_error, restated
from training.errors import TrainingError
from training.metrics import (
    THRESHOLD,
    auroc,
    binomial_interval,
    f_beta,
    interval,
    max_f_beta,
    recall_at_false_positives,
    threshold_at_rate,
)

Numbers = NDArray[np.floating]
Flags = NDArray[np.bool_]

RATES = (0.01, 0.05)
"""False-positive rates at which recall is given."""
CUTS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9)
"""Thresholds of p_lens for which purity is given."""
BINS: dict[str, tuple[float, ...]] = {
    "einstein_radius1_arcsec": (0, 0.6, 0.8, 1.0, 1.3, 1.8, np.inf),
    "source1_mag_vis": (0, 23, 24, 25, 26, np.inf),
    "source1_vis_minus_h": (-np.inf, 0.5, 1.0, 1.5, 2.0, np.inf),
    "arc_snr": (0, 20, 30, 50, 100, np.inf),
    "lens_mag_vis": (0, 18, 19, 20, 21, np.inf),
}
"""Edges, in the unit of the truth column."""
_MIN_GROUP = 20
BLUE_BELOW_MAG, RED_ABOVE_MAG = 1.0, 1.5
"""VIS - H of blue and of red sources."""
_ARC_BIN_MAG = 0.5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Group(_Frozen):
    """Objects with something in common, and the share of them above the thresholds."""

    property: str
    group: str
    n: int
    above: tuple[Measured, ...]
    """One for each of `RATES`."""


class Cut(_Frozen):
    """What a threshold of p_lens would give among a million objects at the assumed prevalence."""

    p_lens: float
    recall: float
    purity: float
    to_inspect_per_million: float


class Evaluation(_Frozen):
    """Every figure."""

    n_objects: dict[str, int]
    """By kind."""
    prevalence: float | None
    """Fraction of lenses that p_lens assumes."""
    overall: dict[str, Measured]
    networks: dict[str, Measured]
    """AUROC of each."""
    groups: tuple[Group, ...]
    cuts: tuple[Cut, ...]


def evaluate_scores(scores: pa.Table, truth: pa.Table, prevalence: float | None, rng: np.random.Generator) -> Evaluation:
    """Compare scores with the truth.

    Args:
        scores: One row an object, with `p_lens`, `p_compound` where told, and `p_<network>`; rejected rows are left out.
        truth: The same rows, with the truth columns of shards.
        prevalence: Fraction of lenses that `p_lens` assumes; None where it is not calibrated.
        rng: For bootstrap intervals.

    Raises:
        TrainingError: lenses or non-lenses are missing, or a row has no kind.
    """
    is_scored = np.array([status == "scored" for status in scores["status"].to_pylist()])
    scores, truth = scores.filter(pa.array(is_scored)), truth.filter(pa.array(is_scored))
    kinds = np.array(truth["kind"].to_pylist())
    unknown = sorted({str(kind) for kind in kinds.tolist() if kind not in KINDS})
    is_lens = kinds != "nonlens"
    if unknown or is_lens.all() or not is_lens.any():
        raise TrainingError(f"needs lenses and non-lenses of kinds {KINDS}, got {sorted(map(str, set(kinds.tolist())))}")
    p = scores["p_lens"].to_numpy().astype(np.float64)
    thresholds = [threshold_at_rate(p, is_lens, rate) for rate in RATES]
    networks = [name for name in scores.column_names if name.startswith("p_") and name not in {"p_lens", "p_compound"}]
    return Evaluation(
        n_objects={kind: int(np.sum(kinds == kind)) for kind in KINDS},
        prevalence=prevalence,
        overall=_overall(p, kinds, prevalence, rng) | _compound(scores, kinds, rng) | _colour_probe(p, truth, thresholds[-1]),
        networks={name[2:]: _ranked(auroc, scores[name].to_numpy(), is_lens, rng) for name in networks},
        groups=tuple(_groups(p, truth, thresholds)),
        cuts=_cuts(p, is_lens, prevalence),
    )


def _overall(p: Numbers, kinds: NDArray[np.str_], prevalence: float | None, rng: np.random.Generator) -> dict[str, Measured]:
    is_lens = kinds != "nonlens"
    found = {
        "auroc": _ranked(auroc, p, is_lens, rng),
        "tpr_at_0_false_positives": _ranked(partial(recall_at_false_positives, n_false=0), p, is_lens, rng),
        "tpr_at_10_false_positives": _ranked(partial(recall_at_false_positives, n_false=10), p, is_lens, rng),
        "f_beta_max": _ranked(max_f_beta, p, is_lens, rng),
    }
    # What is called a lens at p = 0.5 depends on how many lenses p expects: here, as many as there are.
    here = p if prevalence is None else restated(p, prevalence, float(is_lens.mean()))
    for name, statistic in {"precision": _precision, "recall": _recall, "accuracy": _accuracy, "f_beta": _f_beta}.items():
        found[f"{name}_at_half"] = _ranked(statistic, here, is_lens, rng)
    found["calibration_error"] = _ranked(expected_calibration_error, here, is_lens, rng)
    if prevalence is not None:
        natural = partial(expected_calibration_error, prevalence=prevalence)
        found["calibration_error_at_prevalence"] = _ranked(natural, p, is_lens, rng)
    for rate in RATES:
        threshold = threshold_at_rate(p, is_lens, rate)
        for kind in KINDS[1:]:
            if np.any(kinds == kind):
                found[f"recall_{kind}_at_{rate:g}"] = _share(p[kinds == kind] > threshold)
    return found


def _compound(scores: pa.Table, kinds: NDArray[np.str_], rng: np.random.Generator) -> dict[str, Measured]:
    """How well compound lenses are told from all else, and from single lenses."""
    if scores["p_compound"].null_count:
        return {}
    p, is_lens = scores["p_compound"].to_numpy().astype(np.float64), kinds != "nonlens"
    is_compound = is_lens & (kinds != "single")
    if not is_compound.any() or is_compound.all():
        return {}
    found = {"auroc_compound": _ranked(auroc, p, is_compound, rng)}
    if np.any(kinds == "single"):
        share = p / np.maximum(scores["p_lens"].to_numpy(), 1e-30)
        found["auroc_compound_among_lenses"] = _ranked(auroc, share[is_lens], is_compound[is_lens], rng)
    return found


def _colour_probe(p: Numbers, truth: pa.Table, threshold: float) -> dict[str, Measured]:
    """Recall of blue less that of red sources, arcs of the same magnitude compared: 0 for a network that sees shape alone."""
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
    return {"recall_blue_minus_red": Measured(value=value, low=value - 1.96 * error, high=value + 1.96 * error)}


def _groups(p: Numbers, truth: pa.Table, thresholds: Sequence[float]) -> list[Group]:
    kinds, morphologies = (np.array(truth[name].to_pylist(), dtype=object) for name in ("kind", "morphology"))
    is_lens = kinds != "nonlens"
    members = [("kind", kind, kinds == kind) for kind in KINDS[1:]]
    members += [("look-alike", str(m), ~is_lens & (morphologies == m)) for m in sorted(set(morphologies[~is_lens]) - {None})]
    members += [("morphology", str(m), is_lens & (morphologies == m)) for m in sorted(set(morphologies[is_lens]) - {None})]
    for name, edges in BINS.items():
        values = np.array(truth[name].to_pylist(), dtype=float)
        for low, high in pairwise(edges):
            members.append((name, f"{low:g} to {high:g}", is_lens & (values >= low) & (values < high)))
    return [
        Group(property=name, group=group, n=int(rows.sum()), above=tuple(_share(p[rows] > t) for t in thresholds))
        for name, group, rows in members
        if rows.sum() >= _MIN_GROUP
    ]


def _cuts(p: Numbers, is_lens: Flags, prevalence: float | None) -> tuple[Cut, ...]:
    if prevalence is None:
        return ()
    found = []
    for cut in CUTS:
        true, false = float((p[is_lens] >= cut).mean()) * prevalence, float((p[~is_lens] >= cut).mean()) * (1 - prevalence)
        purity = true / (true + false) if true + false else 0.0
        found.append(Cut(p_lens=cut, recall=true / prevalence, purity=purity, to_inspect_per_million=1e6 * (true + false)))
    return tuple(found)


def _ranked(statistic: Callable[..., float], p: Numbers, is_lens: Flags, rng: np.random.Generator) -> Measured:
    low, high = interval(statistic, p, is_lens, rng)
    return Measured(value=statistic(p, is_lens), low=low, high=high)


def _share(chosen: Flags) -> Measured:
    low, high = binomial_interval(int(chosen.sum()), len(chosen))
    return Measured(value=float(chosen.mean()), low=low, high=high)


def _precision(p: Numbers, is_lens: Flags) -> float:
    called = p >= THRESHOLD
    return float(is_lens[called].mean()) if called.any() else 0.0


def _recall(p: Numbers, is_lens: Flags) -> float:
    return float((p[is_lens] >= THRESHOLD).mean())


def _accuracy(p: Numbers, is_lens: Flags) -> float:
    return float(((p >= THRESHOLD) == is_lens).mean())


def _f_beta(p: Numbers, is_lens: Flags) -> float:
    return f_beta(_precision(p, is_lens), _recall(p, is_lens))
