"""The ensemble that a command or a flow uses, and the folder for its results."""

import logging
from pathlib import Path

from infra.settings import Settings
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR, find_package
from scanner.purity import PurityTable

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


def results_folder(package: Path, name: str) -> Path:
    """Return the folder for results about an ensemble: its own; for a shipped one, which never changes, `evaluation-NAME`."""
    return package if package.parent != SHIPPED_DIR else Path(f"evaluation-{name}")


def known_purity(name: str, sha256: str) -> PurityTable | None:
    """Return the expected purity of an ensemble that was used, or None if this machine has no such ensemble."""
    try:
        card = read_card(find_package(name, Settings.read().ensembles_dir))
    except PackageError:
        return None
    return card.purity_table if card.sha256 == sha256 else None
