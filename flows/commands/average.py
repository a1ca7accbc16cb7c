"""`lensscan models average`: average the weights of ensembles."""

from collections.abc import Sequence
from pathlib import Path

from flows.ensembles import chosen_package
from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.locate import folder_for_new
from training.average import average_packages
from training.evaluation.card_text import write_card_with_text


def average_ensembles(ensembles: Sequence[str], name: str) -> tuple[EnsembleCard, Path]:
    """Average the weights of ensembles, given by names or folders, and write the package among the user's ensembles.

    Raises:
        TrainingError: there is one ensemble only, or they have not the same networks.
        PackageError: a package cannot be read, or the name is taken.
    """
    folder = folder_for_new(name, Settings.read().ensembles_dir)
    card = average_packages([chosen_package(ensemble) for ensemble in ensembles], name, folder)
    write_card_with_text(folder, card)
    return card, folder
