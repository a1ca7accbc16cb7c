"""Replace the card of a package, and remove the files that only the card before it named."""

from pathlib import Path

from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import files_beside
from training.evaluation.card_text import write_card_with_text


def replace_card(folder: Path, before: EnsembleCard, after: EnsembleCard) -> None:
    """Write the card of a package and its text, then remove the files that the card before it named and it does not."""
    write_card_with_text(folder, after)
    for file in files_beside(before) - files_beside(after):
        (folder / file).unlink(missing_ok=True)
