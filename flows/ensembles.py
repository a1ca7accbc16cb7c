"""The ensemble that a command or a flow uses, the folder for its results, and its card as it is when they are written."""

import logging
import shutil
from pathlib import Path

from infra.settings import Settings
from infra.store.storage import is_s3, local_path
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import CARD_FILE, check_weights, files_beside, read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import find_package, is_shipped
from scanner.purity import PurityTable
from training.errors import TrainingError

_LOG = logging.getLogger(__name__)


def chosen_package(ensemble: str | None) -> Path:
    """Return the folder of an ensemble, found by name or path; of the configured one if none is named.

    Raises:
        SettingsError: a setting has an invalid value.
        PackageError: no ensemble has that name or path; the message lists the known names.
    """
    settings = Settings.read()
    folder = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    _LOG.info("ensemble %s", folder)
    return folder


def results_folder(package: Path, card: EnsembleCard, out: str | None) -> Path:
    """Return the folder for results about an ensemble: `out`, else its own, or `evaluation-NAME` for a shipped one.

    Raises:
        TrainingError: the folder is on S3, is a file, or holds another ensemble.
        PackageError: the folder is that of a shipped ensemble, or the card in it is damaged.
    """
    own = Path(f"evaluation-{card.name}") if is_shipped(package) else package
    return _checked(_local(out) if out else own, card)


def folder_to_extend(package: Path, card: EnsembleCard, out: str | None) -> Path:
    """Return the folder of the package that gets another file: its own, or `out`, where a copy of it is or will be.

    Raises:
        TrainingError: the folder is on S3, is a file, or holds another ensemble.
        PackageError: the folder is that of a shipped ensemble, or the card in it is damaged.
    """
    return _checked(_local(out) if out else package, card)


def copied(package: Path, card: EnsembleCard, folder: Path) -> EnsembleCard:
    """Copy a package into a folder, unless it is its own, and return the card there; a copy keeps the files that it has.

    Raises:
        PackageError: weights are missing or damaged, or the folder holds another ensemble by now.
    """
    if folder.resolve() != package.resolve():
        check_weights(package, card)
        kept: set[str] = set()
        if (folder / CARD_FILE).is_file():
            # A file that the card there does not name would stay for good.
            kept = {path.name for path in folder.iterdir()} | (files_beside(card) - files_beside(read_card(folder)))
        shutil.copytree(package, folder, dirs_exist_ok=True, ignore=lambda _, names: kept.intersection(names))
        check_weights(folder, card)
    return latest_card(folder, card)


def latest_card(folder: Path, used: EnsembleCard) -> EnsembleCard:
    """Return the card in a folder as it is now: another command may have added to it since `used` was read.

    Raises:
        PackageError: the card is damaged, or is that of another ensemble by now.
    """
    card = read_card(folder)
    if card.sha256 != used.sha256:
        raise PackageError(f"{folder}: the card must still be that of {used.name} {used.sha256}, got {card.sha256}")
    return card


def _local(out: str) -> Path:
    if is_s3(out):
        raise TrainingError(f"{out}: is on S3, but results are written to a local folder")
    return local_path(out)


def _checked(folder: Path, card: EnsembleCard) -> Path:
    """Return a folder to write to after a check, which comes before the long work."""
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder}: is a file, must be a folder")
    if (folder / CARD_FILE).is_file() and read_card(folder).sha256 != card.sha256:
        raise TrainingError(f"{folder}: holds the card of another ensemble than {card.name}; choose another folder with --out")
    if is_shipped(folder):
        raise PackageError(f"{card.name} is shipped and never changes: name another folder with --out")
    return folder


def known_purity(name: str, sha256: str) -> PurityTable | None:
    """Return the expected purity of an ensemble that was used, or None if this machine has no such ensemble."""
    try:
        card = read_card(find_package(name, Settings.read().ensembles_dir))
    except PackageError:
        return None
    return card.purity_table if card.sha256 == sha256 else None
