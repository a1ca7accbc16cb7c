"""`lensscan models check-maps`: test an ensemble's maps on shards with known arcs and write the results to its card."""

from pathlib import Path
from typing import Any

from flows.commands.results import check_writable
from flows.ensembles import chosen_package, latest_card, results_folder
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import is_s3, local_path
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import CARD_FILE, read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.package import with_metrics
from scanner.vocabulary.geometry import GEOMETRIES
from training.errors import TrainingError
from training.evaluation.card_text import write_card_with_text
from training.evaluation.lens_shards import read_bright_lenses
from training.evaluation.map_checks import check_ensemble_maps
from training.evaluation.map_measures import PREFIX, CheckSize, MapChecks

SEED = 0
"""Seed of the added noise and of the random orders of cells."""


def check_to_card(shards_uri: str, ensemble: str | None, n: int, out: str | None, progress: Progress) -> tuple[MapChecks, Path]:
    """Check the maps of an ensemble and write them into its card.json and CARD.md.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with components.
        ensemble: Name or folder; the configured one by default.
        n: Largest number of lenses with bright arcs to use.
        out: Local folder to write to; by default that of the ensemble, or `evaluation-NAME` for a shipped one.
        progress: Called with (steps done, steps in all).

    Raises:
        TrainingError: the shards hold too few such lenses, or the folder is not writable or holds another ensemble's card.
        PackageError: the ensemble cannot be used.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    folder = results_folder(package, card, out)
    if not is_s3(shards_uri) and folder.resolve() == local_path(shards_uri).resolve():
        raise TrainingError(f"{folder}: is the shards' own folder; choose another with --out")
    size = CheckSize.of(n)
    stamps, truth = read_bright_lenses(shards_uri, GEOMETRIES[card.geometry], size.n_objects)
    engine = resolve_engine(Settings.read().engine)
    check_writable(folder)
    checks = check_ensemble_maps(package, card, stamps, truth, SEED, size, engine, progress)
    latest = latest_card(folder if (folder / CARD_FILE).is_file() else package, card)
    write_card_with_text(folder, with_metrics(_unchecked(latest), checks.metrics()))
    return checks, folder


def table_rows(checks: MapChecks) -> list[dict[str, Any]]:
    """Return the results that fit a terminal; the card has the rest."""
    return [
        {
            "network": check.network,
            "map": check.method,
            "on arc": check.hits,
            "others'": check.hits_of_others,
            "middle": check.hits_of_middle,
            "untrained": check.hits_randomised,
            "fails": len(check.failed),
        }
        for check in checks.checks
    ]


def _unchecked(card: EnsembleCard) -> EnsembleCard:
    """Remove the results of an earlier check, some of which may no longer be measured."""
    networks = [
        network.model_copy(update={"metrics": {k: v for k, v in network.metrics.items() if not k.startswith(PREFIX)}})
        for network in card.networks
    ]
    return card.model_copy(update={"networks": tuple(networks)})
