"""`lensscan explain --portrait`: draw kernels of networks and images that excite the networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.commands.explain import ExplainError, check_out
from flows.ensembles import chosen_package
from infra.progress import Progress
from scanner.explain.explanation import chosen_networks
from scanner.explain.feature_figures import feature_figures
from scanner.explain.feature_visualisation import FeatureVisualisation, VisualisationSettings, visualise_features
from scanner.explain.figure_files import write_pages
from scanner.networks.card_file import read_card
from scanner.networks.package import load_network
from scanner.scan.chosen_objects import read_objects
from scanner.sources.survey import find_survey
from scanner.vocabulary.geometry import GEOMETRIES

MOST_OBJECTS = 500
"""Largest number of objects for a portrait: they are held in memory."""
SEED = 0
"""Seed of the noise that images start from: the same network has the same portrait."""


def portray_to_file(
    images: str | Sequence[str] | None,
    out: Path,
    objects: Sequence[str],
    ensemble: str | None,
    networks: Sequence[str] | None,
    n_steps: int | None,
    report: Progress,
    survey: str | None = None,
    bands: str | None = None,
) -> dict[str, Any]:
    """Draw portraits of some networks of an ensemble; an existing file is replaced atomically.

    `survey` is the name or the file of the survey that the tiles are of; Euclid's by default. `bands` are those of the planes
    of array files and FITS cubes, in order, separated by commas.

    Raises:
        ExplainError: `n_steps` is below 1, objects are named without images, or the file cannot be written.
        FigureError: `out` is not a PNG or PDF file.
        ObjectsError: objects are missing or too many, or no object is usable.
        LensscanError: the images or the ensemble cannot be read, or the ensemble has no such network.
    """
    check_out(out)
    if n_steps is not None and n_steps < 1:
        raise ExplainError(f"--steps must be at least 1, got {n_steps}")
    if objects and not images:
        raise ExplainError("--objects needs images: name FITS files, a manifest, or a folder of tiles or shards")
    ascents = VisualisationSettings() if n_steps is None else VisualisationSettings().of_at_most(n_steps)
    folder = chosen_package(ensemble)
    card = read_card(folder)
    chosen = chosen_networks(card, networks)
    cards = [network for name in chosen for network in card.networks if network.name == name]
    wanted, described = list(dict.fromkeys(objects)), find_survey(survey)
    found = read_objects(images, wanted, GEOMETRIES[card.geometry], MOST_OBJECTS, described, bands) if images else None
    ids, stamps, rejected = (found.ids, found.stamps, found.rejected) if found else ([], None, {})
    built = [load_network(folder, network) for network in cards]
    counted = _Counter(sum(ascents.n_steps(network, has_objects=stamps is not None) for network in built), report)
    portraits = [
        visualise_features(network, of_network, SEED, ascents, stamps, counted)
        for network, of_network in zip(built, cards, strict=True)
    ]
    pages = [page for drawn in portraits for page in feature_figures(drawn, ids)]
    write_pages(pages, out)
    numbers = {drawn.card.name: _numbers(drawn, ids) for drawn in portraits}
    return {"ensemble": card.name, "figure": str(out), "networks": numbers, "rejected": rejected}


class _Counter:
    """Report the steps of one ascent after another as steps of all ascents together."""

    def __init__(self, total: int, report: Progress) -> None:
        self._before, self._total, self._report = 0, total, report

    def __call__(self, done: int, of_ascent: int) -> None:
        self._report(self._before + done, self._total)
        self._before += of_ascent if done == of_ascent else 0


def _numbers(drawn: FeatureVisualisation, ids: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of one network: of its class generated images, kernels and Deep Dreams."""
    classes = drawn.card.classes
    return {
        "class_generated": {name: float(drawn.class_p[i, i]) for i, name in enumerate(classes)},
        "kernels": [
            {
                "layer": kernel.layer,
                "kernel": kernel.kernel,
                "object": None if kernel.object_index is None else ids[kernel.object_index],
            }
            for kernel in drawn.kernels
        ],
        "deep_dreams": [
            {
                "object": ids[dreams.object_index],
                "p_lens": 1 - float(dreams.p[0, 0]),
                "towards": {name: 1 - float(dreams.p[1 + i, 0]) for i, name in enumerate(classes)},
            }
            for dreams in drawn.dreams
        ],
    }
