"""Plots of an evaluation: ROC, reliability, here and at natural prevalence, and completeness."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scanner.networks.log_odds import restated
from scanner.networks.nonlens_sample import NonLensTail
from scanner.vocabulary.network_columns import network_column_name
from scanner.vocabulary.prior import one_in
from training.evaluation.evaluate import BINS, RATES, Evaluation
from training.evaluation.metrics import binomial_interval, roc_curve
from training.evaluation.reliability import LEAST_P, ReliabilityBin, reliability_bins

Scores = dict[str, NDArray[np.floating]]
_N_BINS = 10
_LEAST_SHOWN = 1e-6
"""Smallest fraction of lenses that the plot at natural prevalence shows; smaller ones are drawn there."""
_LABELS = {
    "einstein_radius1_arcsec": "Einstein radius [arcsec]",
    "source1_mag_vis": "source VIS magnitude, unlensed",
    "source1_vis_minus_h": "source VIS - H [mag]",
    "arc_snr": "S/N of the arcs",
    "lens_mag_vis": "lens galaxy VIS magnitude",
    "arc_to_lens_flux": "flux of arcs over lens",
    "n_galaxies_inside": "galaxies inside the ring",
}


def draw_evaluation(
    folder: Path, evaluation: Evaluation, scores: Scores, is_lens: NDArray[np.bool_], sample: NonLensTail | None = None
) -> None:
    """Draw `roc.png`, `reliability.png`, `reliability_log.png` (if `p_lens` is calibrated) and `completeness.png`.

    Args:
        folder: Folder of the plots.
        evaluation: Evaluation of the same objects.
        scores: Lens probabilities `[object]` of the ensemble (`p_lens`) and of each network, by name; NaN where a network
            did not look at the object.
        is_lens: `[object]`.
        sample: Sample of non-lenses of the ensemble, if it has one.
    """
    _draw_roc(folder / "roc.png", scores, is_lens)
    here = scores["p_lens"]
    if evaluation.prevalence is not None:
        here = restated(here, evaluation.prevalence, float(is_lens.mean()))
    _draw_reliability(folder / "reliability.png", here, is_lens)
    _draw_completeness(folder / "completeness.png", evaluation)
    if evaluation.prevalence is not None:
        bins = reliability_bins(scores["p_lens"], is_lens, evaluation.prevalence, sample)
        _draw_reliability_log(folder / "reliability_log.png", bins, evaluation.prevalence)


def draw_scored(
    folder: Path,
    evaluation: Evaluation,
    scores: pa.Table,
    truth: pa.Table,
    networks: Sequence[str],
    sample: NonLensTail | None = None,
) -> None:
    """Draw the plots of an evaluation from the tables that `evaluate_scores` compared; `networks` are names."""
    is_scored = np.array(scores["status"].to_pylist()) == "scored"
    is_lens = (np.array(truth["kind"].to_pylist()) != "nonlens")[is_scored]
    columns = {"p_lens": "p_lens", **{name: network_column_name(name) for name in networks}}
    found = {name: scores[column].to_numpy()[is_scored] for name, column in columns.items()}
    draw_evaluation(folder, evaluation, found, is_lens, sample)


def _draw_roc(path: Path, scores: Scores, is_lens: NDArray[np.bool_]) -> None:
    figure, axes = _figure(1, 5.0)
    for name, p in scores.items():
        # As in the metrics: the objects that the network looked at, if there are lenses and others among them.
        seen = ~np.isnan(p)
        if not 0 < is_lens[seen].sum() < seen.sum():
            continue
        true, false = roc_curve(p[seen], is_lens[seen])
        axes[0].step(false / false[-1], true / true[-1], where="post", label=name, linewidth=2 if name == "p_lens" else 1)
    axes[0].set(xscale="log", xlim=(1 / int((~is_lens).sum()), 1), ylim=(0, 1))
    axes[0].set(xlabel="false positive rate", ylabel="recall")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _draw_reliability(path: Path, p: NDArray[np.floating], is_lens: NDArray[np.bool_]) -> None:
    figure, axes = _figure(1, 5.0)
    bins = np.minimum((p * _N_BINS).astype(int), _N_BINS - 1)
    for b in np.unique(bins):
        inside = bins == b
        share = float(is_lens[inside].mean())
        low, high = binomial_interval(int(is_lens[inside].sum()), int(inside.sum()))
        axes[0].errorbar(p[inside].mean(), share, [[share - low], [high - share]], fmt="ko", markersize=4)
    axes[0].plot([0, 1], [0, 1], "--", linewidth=1, color="grey")
    axes[0].set(xlabel="p_lens, restated for this mixture", ylabel="fraction of lenses", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path, dpi=110)


def _draw_reliability_log(path: Path, bins: Sequence[ReliabilityBin], prevalence: float) -> None:
    figure = Figure(figsize=(5.6, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panel, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    panel.plot([LEAST_P, 1], [LEAST_P, 1], "--", linewidth=1, color="grey", label="perfect")
    panel.axvline(prevalence, linewidth=1, color="tab:orange", label=f"assumed prevalence, 1 in {one_in(prevalence)}")
    for of in (of for of in bins if of.n_lenses + of.n_nonlenses):
        value, low, high = of.fraction.value, max(of.fraction.low, _LEAST_SHOWN), of.fraction.high
        is_limit = value < _LEAST_SHOWN or not of.n_nonlenses
        shown = max(value, _LEAST_SHOWN)
        panel.errorbar(
            of.mean_p,
            shown,
            [[shown - low], [max(high - shown, 0)]],
            fmt="o",
            markersize=4.5,
            linewidth=1.2,
            color="black",
            markerfacecolor="white" if is_limit else "black",
        )
    panel.plot([], [], "o", markersize=4.5, markerfacecolor="white", color="black", label="lenses or non-lenses alone")
    lowest = min([LEAST_P, *(of.fraction.low for of in bins if of.n_lenses)])
    panel.set(yscale="log", xlim=(LEAST_P * 0.8, 1.25), ylim=(max(lowest, _LEAST_SHOWN) * 0.6, 1.6))
    panel.set_ylabel("fraction of lenses at the assumed prevalence")
    panel.legend(fontsize=8, loc="upper left")
    edges = [of.low for of in bins] + [bins[-1].high]
    for name, colour, n in (
        ("lenses", "tab:red", [of.n_lenses for of in bins]),
        ("non-lenses", "tab:blue", [of.n_nonlenses for of in bins]),
    ):
        counts.stairs(n, edges, color=colour, label=name, baseline=0.5)
    counts.set(xscale="log", yscale="log", xlabel="p_lens", ylabel="objects", ylim=(0.5, None))
    counts.legend(fontsize=8)
    for axes in (panel, counts):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _draw_completeness(path: Path, evaluation: Evaluation) -> None:
    figure, axes = _figure(len(BINS), 3.0, n_rows=2)
    for panel, name in zip(axes, BINS, strict=True):
        groups = [group for group in evaluation.groups if group.property == name]
        for i, rate in enumerate(RATES):
            values = np.array([[g.above[i].value, g.above[i].low, g.above[i].high] for g in groups]).reshape(-1, 3)
            errors = [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]
            panel.errorbar(
                range(len(groups)), values[:, 0], errors, fmt="o-", markersize=4, label=f"{rate:.0%} false positives"
            )
        panel.set_xticks(range(len(groups)), [group.group for group in groups], rotation=45, ha="right", fontsize=7)
        panel.set(title=_LABELS[name], ylim=(0, 1))
        panel.title.set_fontsize(9)
    axes[0].set_ylabel("recall")
    axes[-1].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def _figure(n_panels: int, side_inch: float, n_rows: int = 1) -> tuple[Figure, list[Axes]]:
    n_columns = -(-n_panels // n_rows)
    figure = Figure(figsize=(side_inch * n_columns, side_inch * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    for panel in axes[n_panels:]:
        panel.remove()
    for panel in axes[:n_panels]:
        panel.grid(alpha=0.3)
    return figure, axes[:n_panels]
