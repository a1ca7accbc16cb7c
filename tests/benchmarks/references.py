"""The ensemble that a benchmark of embeddings measures, with its reference."""

from argparse import ArgumentParser
from pathlib import Path

from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.feature_reference import FeatureReference, read_reference
from scanner.networks.locate import find_package


def referenced(parser: ArgumentParser, ensemble: str) -> tuple[Path, EnsembleCard, FeatureReference]:
    """Return package, card and reference of an ensemble; end the program if it has no reference."""
    package = find_package(ensemble, Settings.read().ensembles_dir)
    card = read_card(package)
    reference = read_reference(package, card)
    if reference is None:
        parser.error(f"{card.name} has no reference: `lensscan models reference` makes one")
    return package, card, reference
