"""The same ensemble for another fraction of lenses: tell it how rare they are where you look."""

from pathlib import Path

from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.package import PackageError, load_network, read_card, write_package


def with_prevalence(folder: Path, out: Path, name: str, prevalence: float) -> EnsembleCard:
    """Write a copy of a package whose `p_lens` assumes another fraction of lenses; the ranking stays.

    Args:
        folder: The package.
        out: Folder of the copy; replaced where it is there.
        name: Of the copy.
        prevalence: Fraction of lenses among what will be scored, between 0 and 1.

    Raises:
        PackageError: the package is damaged or not calibrated, or the prevalence is out of range.
    """
    card = read_card(folder)
    if not 0 < prevalence < 1:
        raise PackageError(f"prevalence must lie between 0 and 1, both excluded, got {prevalence:g}")
    if not isinstance(card.combiner, SoftmaxStack):
        raise PackageError(f"{card.name}: its p_lens is not calibrated, so that no prevalence can be assumed")
    combiner = card.combiner.model_copy(update={"prevalence": prevalence})
    copy = card.model_copy(update={"name": name, "combiner": combiner, "assumed_prevalence": prevalence})
    return write_package(out, copy, {network.name: load_network(folder, network).state_dict() for network in card.networks})
