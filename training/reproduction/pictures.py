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
from infra.provenance import digest, sha256_bytes
from scanner.explain.explanation import explain
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.card import EnsembleCard
from scanner.networks.package import load_network
from scanner.sources.shards import shard_of
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.kinds import KINDS
from training.evaluation.compound_calibration import CompoundCalibration
from training.reproduction.captions import CAPTIONS, NO_HISTORY, NO_KNOWN, NO_TSNE, PUBLISHED_HISTORY, of_figure_13
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
    """Scores and networks that the figures are drawn from."""

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
    seed: int
    """Seed of the objects."""
    origin: str
    """Digest of all scores."""

    def indices(self, rows: Sequence[int]) -> list[int]:
        """Return the indices in the data set of some rows of the sample."""
        return [self.sample.truth["index"][row].as_py() for row in rows]

    def origin_of(self, *more: object) -> str:
        """Return the digest of a figure that shows some objects and networks, whatever the number of all objects is."""
        # Sums alone do not tell known lenses apart, but figures that are kept from earlier versions have them.
        known = {} if self.known is None else {band: float(images.sum()) for band, images in self.known.stamps.items()}
        return digest([self.explained[1].sha256, self.seed, known, *more])

    def known_origin(self) -> list[object]:
        """Return what tells known lenses apart, for the origins of the figures that show them; empty if there are none."""
        if self.known is None:
            return []
        pixels = {band: sha256_bytes(images.tobytes()) for band, images in self.known.stamps.items()}
        return [self.known.names, pixels]


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

    def chosen(kinds: Sequence[str], n_lowest: int) -> list[int]:
        return chosen_rows(drawn.sample, drawn.ensembles[0], dict.fromkeys(kinds, 2), n_lowest)

    def occluded(rows: Sequence[int], others: Pictured | None = None) -> Figure:
        shown = _shown(drawn, rows, others)
        return occlusion_figure(shown, explain(folder, card, shown.stamps, NETWORKS))

    def guided(rows: Sequence[int], others: Pictured | None) -> Figure:
        shown = _shown(drawn, rows, others)
        (maps,) = explain(folder, card, shown.stamps, NETWORKS[1:])
        return guided_figure(shown, maps)

    def kept(figure: str, rows: Sequence[int], draw: Callable[[], Figure], shows_known: bool = False) -> Step:
        text = of_figure_13(card.name, drawn.known) if figure == "13" and drawn.known else CAPTIONS[figure].format(card.name)
        origin = drawn.origin_of(figure, drawn.indices(rows), *(drawn.known_origin() if shows_known else []))
        return partial(shelf.picture, figure, f"wilde2022_fig{figure}.jpg", text, origin, draw)

    first, second, last = chosen(("single", "nonlens"), 2), chosen(KINDS[2:], 2), chosen(KINDS[1:], 0)
    return [
        kept("11", first, partial(occluded, first)),
        kept("12", second, partial(occluded, second)),
        kept("13", [], partial(occluded, [], known), shows_known=True) if known else _absent("13", NO_KNOWN),
        kept("17", last, partial(guided, last, known), shows_known=True),
    ]


def _of_features(drawn: Drawn, shelf: Shelf) -> list[Step]:
    folder, card = drawn.explained
    cards = {network.name: network for network in card.networks}

    exciting = range(min(N_EXCITING, len(drawn.sample.kinds)))
    dreamt = chosen_rows(drawn.sample, drawn.ensembles[0], {"nonlens": 1, "single": 1}, 0)

    def kernels(name: str) -> Figure:
        objects = shard_of(drawn.simulate(exciting)).stamps
        return kernel_figure(load_network(folder, cards[name]), cards[name], objects, drawn.settings, no_progress)

    def classes(name: str) -> Figure:
        objects = _shown(drawn, dreamt, None).stamps
        return class_figure(load_network(folder, cards[name]), cards[name], objects, drawn.settings, no_progress)

    def kept(figure: str, file: str, name: str, draw: Callable[[], Figure]) -> Step:
        ascents = drawn.settings
        steps = {"14": ascents.of_kernel, "15": ascents.of_kernel, "16": ascents.of_class}[figure].n_steps
        text = CAPTIONS[figure].format(card.name, name, steps, min(steps, ascents.of_object.n_steps))
        origin = drawn.origin_of(figure, name, steps, len(exciting), drawn.indices(dreamt) if figure == "16" else [])
        return partial(shelf.picture, figure, f"wilde2022_{file}.jpg", text, origin, draw)

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


def _shown(drawn: Drawn, rows: Sequence[int], others: Pictured | None) -> Pictured:
    """Return the objects of some rows, simulated again, followed by others."""
    if not rows and others is not None:
        return others
    indices = drawn.indices(rows)
    names = [f"{drawn.sample.kinds[row].replace('_', ' ')} {index}" for row, index in zip(rows, indices, strict=True)]
    stamps = shard_of(drawn.simulate(indices)).stamps
    if others is not None:
        names += others.names
        stamps = {band: np.concatenate([images, others.stamps[band]]) for band, images in stamps.items()}
    return Pictured(tuple(names), stamps, CHALLENGE)
