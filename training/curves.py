"""Learning curves as a picture (Wilde et al. 2022, figures 4 and 5)."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.fit import FitResult


def draw_learning_curves(fits: Sequence[FitResult], path: Path) -> None:
    """Draw a PNG: loss above, accuracy below, one column for each network; a dot marks the epoch whose weights are kept."""
    figure = Figure(figsize=(2.6 * len(fits), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(fits), squeeze=False, sharex="col", sharey="row")
    for column, fit in enumerate(fits):
        epochs = [record.epoch for record in fit.history]
        for row, quantity in enumerate(("loss", "accuracy")):
            panel = axes[row][column]
            for split, style in (("train", "-"), ("validation", "--")):
                values = [getattr(record, f"{split}_{quantity}") for record in fit.history]
                panel.plot(epochs, values, style, label=split, linewidth=1.2)
            panel.plot([fit.best.epoch], [getattr(fit.best, f"validation_{quantity}")], "ko", markersize=4, label="kept")
            panel.grid(alpha=0.3)
        axes[0][column].set_title(fit.name, fontsize=10)
        axes[1][column].set_xlabel("epoch")
        axes[1][column].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[0][0].set_ylabel("loss")
    axes[1][0].set_ylabel("accuracy")
    axes[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
