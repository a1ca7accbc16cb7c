"""The place for results about an ensemble, checked before the long work: writable, and without those of another ensemble."""

import json
from pathlib import Path

from infra.store.files import check_replaceable
from scanner.networks.card import EnsembleCard
from training.errors import TrainingError

EVALUATION_FILE, PROBES_FILE, COUNTERFACTUALS_FILE = "evaluation.json", "probes.json", "counterfactuals.json"


def check_place(folder: Path, package: Path, card: EnsembleCard) -> None:
    """Check that results about an ensemble may be written to a folder, which is made if it is absent.

    The ensemble's own folder may hold results of earlier weights, which the new ones replace.

    Raises:
        TrainingError: the folder holds results of another ensemble, or cannot be written to.
    """
    if folder.resolve() != package.resolve():
        for file in (EVALUATION_FILE, PROBES_FILE, COUNTERFACTUALS_FILE):
            _check_own(folder / file, card)
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Make a folder, and check that files in it can be written.

    Raises:
        TrainingError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_replaceable(folder / EVALUATION_FILE)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written to: {error.strerror}") from error


def _check_own(path: Path, card: EnsembleCard) -> None:
    """Check that a file of results is absent, damaged, or of this ensemble."""
    try:
        found = json.loads(path.read_bytes())
        name, sha256 = str(found["ensemble"]), str(found["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if sha256 != card.sha256:
        raise TrainingError(
            f"{path}: holds results of {name} {sha256[:12]}, must be absent or of {card.name} {card.sha256[:12]}; choose "
            "another folder with --out"
        )
