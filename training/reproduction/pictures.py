"""Every figure of the page, from the scores, the networks and a few objects that are simulated again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from scanner.explain.explanation import explain
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.card import EnsembleCard
from scanner.networks.package import load_network
from scanner.sources.shards import shard_of
from scanner.vocabulary.geometry import CHALLENGE, Stamps
from scanner.vocabulary.kinds import KINDS
from training.evaluation.compound_calibration import CompoundCalibration
from training.reproduction.captions import CAPTIONS, NO_HISTORY, NO_KNOWN, NO_TSNE, PUBLISHED_HISTORY
from training.reproduction.curves import (
    learning_figure,
    read_history,
    reliability_figure,
    roc_figure,
    selection_figure,
    tsne_figure,
)
from training.reproduction.kernel_figures import class_figure, kernel_figure
from training.reproduction.known import KnownLenses
from training.reproduction.map_figures import Pictured, guided_figure, occlusion_figure
from training.reproduction.results import Picture, Selection
from training.reproduction.sample import ScoredSample
from training.reproduction.selection import AT_RATES
from training.reproduction.shelf import Shelf
from training.tsne import TsneGrid

NETWORKS = ["OU-66", "OU-200"]
N_EXCITING = 100
"""Number of objects among which the one is sought that activates a kernel most: the first of the data set."""
Simulate = Callable[[Sequence[int]], pa.Table]
"""Simulates the objects of the paper's data set at some indices, as a table of the shard format."""


@dataclass(frozen=True)
class Drawn:
    """What the figures are drawn from."""

    sample: ScoredSample
    """The paper's data set."""
    ensembles: tuple[str, ...]
    """Ensembles of the paper's networks, those to be explained first."""
    explained: tuple[Path, EnsembleCard]
    """Folder and card of the ensemble whose networks are explained: the first of `ensembles`."""
    ours: tuple[Path, str]
    """Folder and name of the ensemble that we trained."""
    grids: Mapping[str, TsneGrid]
    is_reference_lens: NDArray[np.bool_]
    """`[reference]`: whether each object of the grids is a lens."""
    selections: tuple[Selection, ...]
    data: tuple[str, ...]
    """Names of the data sets."""
    calibration: Mapping[str, Mapping[str, CompoundCalibration]]
    known: KnownLenses | None
    simulate: Simulate
    settings: VisualisationSettings
    origin: str
    """Digest of all this."""


def pictures(drawn: Drawn, shelf: Shelf, progress: Progress) -> tuple[Picture, ...]:
    """Draw what is missing and return all figures in order; `progress` counts figures."""
    steps = [*_of_scores(drawn, shelf), *_of_maps(drawn, shelf), *_of_features(drawn, shelf)]
    done = []
    for number, step in enumerate(steps):
        progress(number, len(steps))
        done.append(step())
    progress(len(steps), len(steps))
    return tuple(done)


Step = Callable[[], Picture]


def _of_scores(drawn: Drawn, shelf: Shelf) -> list[Step]:
    def kept(figure: str, file: str, draw: Callable[[], Figure], text: str | None = None) -> Step:
        return partial(shelf.picture, figure, f"wilde2022_{file}.png", text or CAPTIONS[figure], drawn.origin, draw)

    trained, name = drawn.ours
    history = read_history(trained)
    learning = {"4": "accuracy", "5": "loss"}
    steps = [
        kept(n, f"fig{n}", partial(learning_figure, history, what), f"{CAPTIONS[n].format(name)} {PUBLISHED_HISTORY}")
        if history
        else _absent(n, NO_HISTORY)
        for n, what in learning.items()
    ]
    steps.append(kept("6", "fig6", partial(roc_figure, drawn.sample, drawn.ensembles)))
    tsne = partial(tsne_figure, drawn.grids, drawn.is_reference_lens)
    steps.append(kept("9", "fig9", tsne) if drawn.grids else _absent("9", NO_TSNE))
    at = list(AT_RATES)[-1]
    steps.append(kept("Selection", "selection", partial(selection_figure, drawn.selections, drawn.data, at)))
    judged = {f"{name}, {data}": of for data, by_name in drawn.calibration.items() for name, of in by_name.items()}
    if judged:
        steps.append(kept("Reliability", "reliability", partial(reliability_figure, judged)))
    return steps


def _absent(figure: str, reason: str) -> Step:
    return partial(Picture, figure=figure, file=None, text=reason)


def _of_maps(drawn: Drawn, shelf: Shelf) -> list[Step]:
    folder, card = drawn.explained
    known = None if drawn.known is None else Pictured(drawn.known.names, drawn.known.stamps, CHALLENGE)

    def occluded(objects: Callable[[], Pictured]) -> Figure:
        shown = objects()
        return occlusion_figure(shown, explain(folder, card, shown.stamps, NETWORKS))

    def guided(objects: Callable[[], Pictured]) -> Figure:
        shown = objects()
        (maps,) = explain(folder, card, shown.stamps, NETWORKS[1:])
        return guided_figure(shown, maps)

    def kept(figure: str, draw: Callable[[], Figure]) -> Step:
        text = CAPTIONS[figure].format(card.name)
        return partial(shelf.picture, figure, f"wilde2022_fig{figure}.jpg", text, drawn.origin, draw)

    first = partial(_simulated, drawn, {"single": 2, "nonlens": 2}, n_lowest=2)
    second = partial(_simulated, drawn, {"compound_arc": 2, "double_ring": 2}, n_lowest=2)
    last = partial(_with, partial(_simulated, drawn, dict.fromkeys(KINDS[1:], 2), n_lowest=0), known)
    return [
        kept("11", partial(occluded, first)),
        kept("12", partial(occluded, second)),
        kept("13", partial(occluded, lambda: known)) if known else _absent("13", NO_KNOWN),
        kept("17", partial(guided, last)),
    ]


def _of_features(drawn: Drawn, shelf: Shelf) -> list[Step]:
    folder, card = drawn.explained
    cards = {network.name: network for network in card.networks}

    def kernels(name: str) -> Figure:
        objects = shard_of(drawn.simulate(range(min(N_EXCITING, len(drawn.sample.kinds))))).stamps
        return kernel_figure(load_network(folder, cards[name]), cards[name], objects, drawn.settings, no_progress)

    def classes(name: str) -> Figure:
        objects = _simulated(drawn, {"nonlens": 1, "single": 1}, n_lowest=0).stamps
        return class_figure(load_network(folder, cards[name]), cards[name], objects, drawn.settings, no_progress)

    def kept(figure: str, file: str, name: str, draw: Callable[[], Figure]) -> Step:
        ascents = drawn.settings
        steps = {"14": ascents.of_kernel, "15": ascents.of_kernel, "16": ascents.of_class}[figure].n_steps
        text = CAPTIONS[figure].format(card.name, name, steps, min(steps, ascents.of_object.n_steps))
        return partial(shelf.picture, figure, f"wilde2022_{file}.jpg", text, drawn.origin, draw)

    return [
        kept("14", "fig14", "OU-66", partial(kernels, "OU-66")),
        kept("15", "fig15", "OU-200", partial(kernels, "OU-200")),
        *(kept("16", f"fig16_{name.replace('-', '').lower()}", name, partial(classes, name)) for name in NETWORKS),
    ]


def chosen_rows(sample: ScoredSample, ensemble: str, n_highest: Mapping[str, int], n_lowest: int) -> list[int]:
    """Return rows of a sample: by kind, those with the highest lens probability of OU-200, then those with the lowest."""
    p = sample.outputs(ensemble)["OU-200"]
    rows = []
    for kind, n in n_highest.items():
        of_kind = np.flatnonzero(sample.kinds == kind)
        ordered = of_kind[np.argsort(-p[of_kind], kind="stable")].tolist()
        lowest = ordered[n:][-n_lowest:] if n_lowest else []
        rows += [*ordered[:n], *lowest]
    return rows


def _simulated(drawn: Drawn, n_highest: Mapping[str, int], n_lowest: int) -> Pictured:
    rows = chosen_rows(drawn.sample, drawn.ensembles[0], n_highest, n_lowest)
    indices = [drawn.sample.truth["index"][row].as_py() for row in rows]
    names = tuple(f"{drawn.sample.kinds[row].replace('_', ' ')} {index}" for row, index in zip(rows, indices, strict=True))
    return Pictured(names, shard_of(drawn.simulate(indices)).stamps, CHALLENGE)


def _with(objects: Callable[[], Pictured], known: Pictured | None) -> Pictured:
    """Return some objects, followed by the known lenses."""
    shown = objects()
    if known is None:
        return shown
    stamps: Stamps = {band: np.concatenate([images, known.stamps[band]]) for band, images in shown.stamps.items()}
    return Pictured((*shown.names, *known.names), stamps, shown.geometry)
