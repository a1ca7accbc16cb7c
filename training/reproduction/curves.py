"""Figures of curves and points: learning, ROC, t-SNE, the compound selection function, and reliability."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.checkpoint import EpochRecord
from training.evaluation.compound_calibration import CompoundCalibration
from training.evaluation.compound_selection import COMPOUND_KINDS
from training.evaluation.metrics import auroc, roc_curve
from training.reproduction.results import Selection
from training.reproduction.sample import ENSEMBLE, ScoredSample
from training.tsne import N_CELLS, TsneGrid

HISTORY_FILE = "history.json"
_COLOURS = {"compound_arc": "tab:blue", "double_ring": "tab:red"}
_WORDS = {"compound_arc": "compound arcs", "double_ring": "double rings"}


def read_history(folder: Path) -> dict[str, list[EpochRecord]]:
    """Return the epochs of each network's training from the package's history; empty if the package has none."""
    path = folder / HISTORY_FILE
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: [EpochRecord(**record) for record in records] for name, records in content.items()}


def learning_figure(history: Mapping[str, Sequence[EpochRecord]], quantity: str) -> Figure:
    """Draw `accuracy` (figure 4) or `loss` (figure 5) over the epochs, a panel for each network; a dot marks the kept epoch."""
    figure, axes = _figure(2, -(-len(history) // 2), 2.3)
    for panel, (name, records) in zip(axes, history.items(), strict=False):
        epochs = [record.epoch for record in records]
        for split, style in (("train", "-"), ("validation", "--")):
            panel.plot(epochs, [getattr(record, f"{split}_{quantity}") for record in records], style, label=split)
        best = min(records, key=lambda record: record.deciding_loss)
        panel.plot([best.epoch], [getattr(best, f"validation_{quantity}")], "ko", markersize=4, label="kept")
        panel.set(title=name, xlabel="epoch", ylabel=quantity)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[0].legend(fontsize=8)
    _drop(axes[len(history) :])
    return figure


def roc_figure(sample: ScoredSample, ensembles: Sequence[str]) -> Figure:
    """Draw the ROC of every network, single lenses against non-lenses (figure 6), a panel for each ensemble."""
    figure, axes = _figure(1, len(ensembles), 4.2)
    is_used = np.isin(sample.kinds, ("nonlens", "single"))
    is_lens = sample.is_lens[is_used]
    for panel, ensemble in zip(axes, ensembles, strict=True):
        for name, p in sample.outputs(ensemble).items():
            true, false = roc_curve(p[is_used], is_lens)
            label = f"{name} {auroc(p[is_used], is_lens):.3f}"
            panel.step(np.append(0, false / false[-1]), np.append(0, true / true[-1]), where="post", label=label, linewidth=1.2)
        panel.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
        panel.set(title=ensemble, xlabel="false-positive rate", ylabel="recall of single lenses", xlim=(0, 1), ylim=(0, 1))
        panel.legend(fontsize=8, title="AUROC", title_fontsize=8, loc="lower right")
    return figure


def tsne_figure(grids: Mapping[str, TsneGrid], is_lens: NDArray[np.bool_]) -> Figure:
    """Draw the embedding of the networks' outputs (figure 9), a panel for each ensemble.

    Args:
        grids: Fitted maps by ensemble.
        is_lens: `[reference]`, alike for all ensembles.
    """
    figure, axes = _figure(1, len(grids), 4.2)
    for panel, (ensemble, grid) in zip(axes, grids.items(), strict=True):
        order = np.random.default_rng(0).permutation(len(is_lens))
        colours = np.where(is_lens, "tab:blue", "tab:red")[order]
        x, y = grid.positions[order].T
        panel.scatter(x, y, s=4, c=colours, linewidths=0, alpha=0.7)
        panel.set(title=ensemble, xlabel="t-SNE 1 [cells]", ylabel="t-SNE 2 [cells]", xlim=(0, N_CELLS), ylim=(0, N_CELLS))
    for colour, words in (("tab:blue", "single lens"), ("tab:red", "non-lens")):
        axes[0].scatter([], [], s=12, c=colour, label=words)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    return figure


def selection_figure(selections: Sequence[Selection], data: Sequence[str], at: str) -> Figure:
    """Draw the recall of compound lenses minus that of matched single lenses for every score, a panel for each data set."""
    chosen = {name: [s for s in selections if (s.data, s.at) == (name, at)] for name in data}
    n_rows = max(len(of_data) for of_data in chosen.values())
    figure = Figure(figsize=(4.6 * len(data), 0.24 * n_rows + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(data), squeeze=False, sharex=True)[0]
    for panel, (name, of_data) in zip(axes, chosen.items(), strict=True):
        for offset, kind in zip((0.14, -0.14), COMPOUND_KINDS, strict=True):
            points = [(len(of_data) - row, s.matched[kind].difference) for row, s in enumerate(of_data) if kind in s.matched]
            if points:
                values = np.array([[d.value, d.value - d.low, d.high - d.value] for _, d in points])
                rows = [row + offset for row, _ in points]
                style = {"fmt": "o", "markersize": 3, "linewidth": 1.2, "color": _COLOURS[kind], "label": _WORDS[kind]}
                panel.errorbar(values[:, 0], rows, xerr=values[:, 1:].T, **style)
        labels = [s.ensemble if s.score == ENSEMBLE else f"{s.ensemble}: {s.score}" for s in of_data]
        panel.set_yticks(range(len(of_data), 0, -1), labels, fontsize=8)
        for tick, s in zip(panel.get_yticklabels(), of_data, strict=True):
            tick.set_fontweight("bold" if s.score == ENSEMBLE else "normal")
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set(title=f"{name}, {at}", xlabel="recall, compound minus matched single", ylim=(0.4, len(of_data) + 0.6))
        panel.grid(alpha=0.3, axis="x")
    drawn = {words: line for panel in axes for line, words in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), fontsize=8, loc="outside lower center", ncols=2)
    return figure


def reliability_figure(judged: Mapping[str, CompoundCalibration]) -> Figure:
    """Draw the reliability of p(compound | lens), as given and recalibrated, a panel for each ensemble and data set."""
    figure, axes = _figure(1, len(judged), 3.4)
    for panel, (title, found) in zip(axes, judged.items(), strict=True):
        for words, reliability, style in (("as given", found.as_given, "ko"), ("recalibrated", found.recalibrated, "C1s")):
            values = np.array([[b.p, b.compound.value, b.compound.low, b.compound.high] for b in reliability.bins])
            errors = [values[:, 1] - values[:, 2], values[:, 3] - values[:, 1]]
            label = f"{words}, error {reliability.error.value:.3f}"
            panel.errorbar(values[:, 0], values[:, 1], errors, fmt=style, markersize=4, linewidth=1, label=label)
        panel.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
        panel.set(title=title, xlabel="p(compound | lens)", ylabel="share of compound lenses", xlim=(0, 1), ylim=(0, 1))
        panel.legend(fontsize=8, loc="lower right")
    return figure


def _figure(n_rows: int, n_columns: int, inches: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(inches * n_columns, inches * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.title.set_fontsize(10)
    return figure, axes


def _drop(axes: Sequence[Axes]) -> None:
    for panel in axes:
        panel.remove()
