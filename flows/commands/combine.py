"""`lensscan models combine`: make a cascade of networks that were trained one by one."""

from collections.abc import Sequence
from pathlib import Path

from flows.ensembles import chosen_package
from infra.progress import Progress
from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.locate import folder_for_new
from training.cascade import assemble
from training.config import COMPOUND_SHARE, PREVALENCE
from training.evaluation.card_text import write_card_with_text


def combine_packages(
    members: Sequence[str],
    first: str | None,
    natural_uri: str,
    broad_uri: str,
    name: str,
    progress: Progress,
    *,
    turns: bool = True,
    candidates: str | None = None,
) -> tuple[EnsembleCard, Path]:
    """Combine the networks of packages, given by names or folders, and write the package among the user's ensembles.

    Raises:
        TrainingError: two networks share a name, or the shards cannot be used.
        PackageError: a package cannot be read, or the name is taken.
    """
    folder = folder_for_new(name, Settings.read().ensembles_dir)
    packages = [chosen_package(member) for member in members]
    first_package, last = (chosen_package(stage) if stage else None for stage in (first, candidates))
    data, priors = (natural_uri, broad_uri), (PREVALENCE, COMPOUND_SHARE)
    card = assemble(name, first_package, packages, *data, folder.parent, *priors, progress, turns=turns, candidates=last)
    write_card_with_text(folder, card)
    return card, folder
