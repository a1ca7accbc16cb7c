"""`lensscan explain --portrait`: draw kernels of networks and images that excite the networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flows.commands.explain import ExplainError, check_out, kind_of, read_objects, write_whole
from flows.terminal import Report
from infra.settings import Settings
from scanner.explain.explanation import chosen_networks
from scanner.explain.feature_figures import feature_figures
from scanner.explain.feature_visualisation import FeatureVisualisation, VisualisationSettings, visualise_features
from scanner.explain.figures import pages_bytes
from scanner.networks.locate import find_package
from scanner.networks.package import load_network, read_card
from scanner.vocabulary.geometry import GEOMETRIES

MOST_OBJECTS = 500
"""Largest number of objects for a portrait: they are held in memory."""
SEED = 0
"""Seed of the noise that images start from: the same network has the same portrait."""


def portray_to_file(
    images: str | None,
    out: Path,
    objects: Sequence[str],
    ensemble: str | None,
    networks: Sequence[str] | None,
    n_steps: int | None,
    report: Report,
) -> dict[str, Any]:
    """Draw portraits of some networks of an ensemble; an existing file is replaced atomically.

    Raises:
        ExplainError: no object is usable, `n_steps` is below 1, or the file cannot be written.
        LensscanError: the images or the ensemble cannot be read, or the ensemble has no such network.
    """
    check_out(out)
    if n_steps is not None and n_steps < 1:
        raise ExplainError(f"--steps must be at least 1, got {n_steps}")
    if objects and images is None:
        raise ExplainError("--objects needs images: name a manifest, or a folder of tiles or shards")
    ascents = VisualisationSettings() if n_steps is None else VisualisationSettings().of_at_most(n_steps)
    settings = Settings.read()
    folder = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    card = read_card(folder)
    chosen = chosen_networks(card, networks)
    cards = [network for name in chosen for network in card.networks if network.name == name]
    built = [load_network(folder, network) for network in cards]
    wanted = list(dict.fromkeys(objects))
    ids, stamps, rejected = read_objects(images, wanted, GEOMETRIES[card.geometry], MOST_OBJECTS) if images else ([], None, {})
    counted = _Counter(sum(ascents.n_steps(network, has_objects=stamps is not None) for network in built), report)
    portraits = [
        visualise_features(network, of_network, np.random.default_rng(SEED), ascents, stamps, counted)
        for network, of_network in zip(built, cards, strict=True)
    ]
    pages = [page for one in portraits for page in feature_figures(one, ids)]
    write_whole(out, pages_bytes(pages, kind_of(out)))
    said = {one.card.name: _said(one, ids) for one in portraits}
    return {"ensemble": card.name, "figure": str(out), "networks": said, "rejected": rejected}


class _Counter:
    """Report the steps of one ascent after another as steps of all ascents together."""

    def __init__(self, total: int, report: Report) -> None:
        self._before, self._total, self._report = 0, total, report

    def __call__(self, done: int, of_ascent: int) -> None:
        self._report(self._before + done, self._total)
        self._before += of_ascent if done == of_ascent else 0


def _said(one: FeatureVisualisation, ids: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of one network: of its class generated images, kernels and Deep Dreams."""
    classes = one.card.classes
    return {
        "class_generated": {name: float(one.class_p[i, i]) for i, name in enumerate(classes)},
        "kernels": [
            {
                "layer": kernel.layer,
                "kernel": kernel.kernel,
                "object": None if kernel.object_index is None else ids[kernel.object_index],
            }
            for kernel in one.kernels
        ],
        "deep_dreams": [
            {
                "object": ids[dreams.object_index],
                "p_lens": 1 - float(dreams.p[0, 0]),
                "towards": {name: 1 - float(dreams.p[1 + i, 0]) for i, name in enumerate(classes)},
            }
            for dreams in one.dreams
        ],
    }
