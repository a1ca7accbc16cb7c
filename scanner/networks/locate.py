"""Find ensemble packages by name."""

from contextlib import suppress
from pathlib import Path

from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import CARD_FILE, read_card
from scanner.networks.errors import PackageError
from scanner.networks.network_card import check_name

SHIPPED_DIR = Path(__file__).parent / "shipped"
"""Packages that come with the program."""


def is_shipped(package: Path) -> bool:
    """Return whether a folder is that of a shipped package, by whatever path: such a package never changes."""
    return package.resolve().parent == SHIPPED_DIR.resolve()


def find_package(name_or_path: str, ensembles_dir: Path) -> Path:
    """Return the folder of a package, from its path or its name among the user's packages, then among the shipped ones.

    Raises:
        PackageError: no package has that name or path; the message lists the known names.
    """
    if not name_or_path:
        raise PackageError("an ensemble must be named, got an empty name")
    if Path(name_or_path).name == name_or_path:
        for root in (ensembles_dir, SHIPPED_DIR):
            if (root / name_or_path / CARD_FILE).is_file():
                return root / name_or_path
    if (Path(name_or_path) / CARD_FILE).is_file():
        return Path(name_or_path)
    known = ", ".join(sorted({folder.name for folder in list_packages(ensembles_dir)})) or "none yet"
    raise PackageError(f"{name_or_path}: no ensemble of that name and no folder with {CARD_FILE}; known ensembles: {known}")


def find_scanning_package(name: str, ensembles_dir: Path) -> Path:
    """Return the folder of the package that a catalogue names: it knows the name alone, not the folder.

    Raises:
        PackageError: no package has that name; the message says where it must lie.
    """
    try:
        return find_package(name, ensembles_dir)
    except PackageError as error:
        where = f"set LENSSCAN_ENSEMBLES_DIR to the folder that holds the folder {name}"
        raise PackageError(f"{error}. If it lies elsewhere, {where}; it is {ensembles_dir} now") from error


def folder_for_new(name: str, ensembles_dir: Path) -> Path:
    """Return the folder in which to write a user's package of that name.

    Raises:
        PackageError: the name cannot be used, is taken, or would hide a shipped package.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise PackageError(str(error)) from error
    if (SHIPPED_DIR / name / CARD_FILE).is_file():
        raise PackageError(f"{name}: a shipped ensemble has that name and would be hidden; choose another")
    if (ensembles_dir / name / CARD_FILE).is_file():
        raise PackageError(f"{ensembles_dir / name}: you have an ensemble of that name; choose another, or remove that folder")
    return ensembles_dir / name


def list_packages(ensembles_dir: Path) -> list[Path]:
    """Return the folders of all packages, sorted by name; a user's package hides a shipped one of the same name."""
    folders: dict[str, Path] = {}
    for root in (SHIPPED_DIR, ensembles_dir):
        folders |= {card.parent.name: card.parent for card in root.glob(f"*/{CARD_FILE}")}
    return [folders[name] for name in sorted(folders)]


def known_cards(ensembles_dir: Path) -> list[EnsembleCard]:
    """Return the cards of all packages; one that is damaged is left out."""
    cards: list[EnsembleCard] = []
    for folder in list_packages(ensembles_dir):
        with suppress(PackageError):
            cards.append(read_card(folder))
    return cards
