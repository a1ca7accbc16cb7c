"""Copy an ensemble for a survey in which another fraction of the objects are lenses."""

from pathlib import Path

from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.errors import PackageError
from scanner.networks.package import load_network, write_package


def with_prevalence(folder: Path, out: Path, name: str, prevalence: float, compound_share: float | None) -> EnsembleCard:
    """Write a copy of a package whose `p_lens` assumes another fraction of lenses.

    Ranks by `p_lens` do not change, nor does `subclass`. The copy has no cuts until `lensscan evaluate` measures them again.

    Args:
        folder: Folder of the package.
        out: Folder of the copy.
        name: Name of the copy.
        prevalence: Fraction of lenses among the objects to be scored, between 0 and 1.
        compound_share: Fraction of lenses that `p_compound` takes for compound, between 0 and 1; None keeps the package's.

    Raises:
        PackageError: the package is damaged or not calibrated, or a fraction is out of range.
    """
    card = read_card(folder)
    for what, value in {"prevalence": prevalence, "compound share": compound_share}.items():
        if value is not None and not 0 < value < 1:
            raise PackageError(f"{what} must lie between 0 and 1, both excluded, got {value:g}")
    if not isinstance(card.combiner, SoftmaxStack):
        raise PackageError(f"{card.name}: p_lens is not calibrated, so it cannot assume a prevalence")
    combiner = card.combiner.assuming(prevalence, compound_share or card.combiner.compound_share)
    copy = card.model_copy(update={"name": name, "combiner": combiner, "assumed_prevalence": prevalence, "cuts": ()})
    return write_package(out, copy, {network.name: load_network(folder, network).state_dict() for network in card.networks})
