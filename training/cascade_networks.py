"""The networks of a cascade, from the packages that they were trained in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card, read_weights
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import write_package
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.limits import LENSES_ALONE
from training.margins import unfitted_card

InFolders = Mapping[str, tuple[Path, NetworkCard]]
"""Networks by name, each with the folder of its package."""


@dataclass(frozen=True)
class CascadeNetworks:
    """The networks of a cascade, or of an ensemble without stages."""

    committee: InFolders
    first: tuple[Path, NetworkCard] | None
    """The first stage; None: the committee looks at every object."""
    candidate: tuple[Path, NetworkCard] | None
    """The network that looks at the candidates, if one does."""
    opinion: InFolders = field(default_factory=dict)
    """Networks of another ensemble that look at the candidates, too, with its name before theirs; empty if none do."""

    @property
    def everything(self) -> InFolders:
        """All networks, in the order of the stages."""
        return {
            **({self.first[1].name: self.first} if self.first else {}),
            **self.committee,
            **({self.candidate[1].name: self.candidate} if self.candidate else {}),
            **self.opinion,
        }

    @property
    def geometry(self) -> str:
        """Name of the geometry that all of them read."""
        return next(network for _, network in self.committee.values()).geometry

    def packages(self) -> list[EnsembleCard]:
        """Return the cards of their packages, each once."""
        return [read_card(folder) for folder in dict.fromkeys(folder for folder, _ in self.everything.values())]

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights of every network, by its name."""
        return {name: load(read_weights(folder, network)) for name, (folder, network) in self.everything.items()}

    def write_unfitted(self, folder: Path) -> EnsembleCard:
        """Write a package in which every network sees every object, for margins to fit a calibration on."""
        return write_package(folder, unfitted_card([network for _, network in self.everything.values()]), self.weights())


def choose_networks(
    first: Path | None,
    members: Sequence[Path],
    candidates: Path | None = None,
    second_opinion: Path | None = None,
    *,
    turns: bool = True,
) -> CascadeNetworks:
    """Return the networks of a cascade.

    Args:
        first: Package with one network, the first stage, or a cascade whose first stage is taken; None: there is none.
        members: Packages whose networks together are the committee; of a cascade, only the networks of its committee are taken.
        candidates: Package with one network, or a cascade with a candidate network; None: no network looks at candidates alone.
        second_opinion: Package whose committee looks at the candidates, too, as each of its networks looks at objects there;
            None: none does.
        turns: Let the committee of a cascade see each object in several orientations; if not, a committee sees each object in
            one, whatever the cards of its networks say. A candidate network has its own.

    Raises:
        TrainingError: two networks share a name or read different geometries, the first package has several networks, one of
            the first stage, the committee or the second opinion has learnt from lenses alone, or the candidate network, or the
            second opinion, cannot be used.
        PackageError: a package cannot be read.
    """
    for folder in (*members, *(folder for folder in (first, second_opinion) if folder)):
        if LENSES_ALONE in read_card(folder).limits:
            raise TrainingError(f"{folder}: has learnt from lenses alone, and can be the candidate network of a cascade only")
    committee = _all_networks(members, turns=turns, is_cascade=first is not None)
    of_first = (first, _first_network(first)) if first else None
    if of_first and of_first[1].name in committee:
        raise TrainingError(f"networks of a cascade must have different names, got {of_first[1].name} in both stages")
    chosen = CascadeNetworks(committee, of_first, None)
    if candidates:
        chosen = CascadeNetworks(committee, of_first, (candidates, _candidate_network(candidates, chosen)))
    if second_opinion:
        chosen = replace(chosen, opinion=_opinion(second_opinion, chosen))
    _check_geometry(chosen.everything)
    return chosen


def _check_geometry(networks: InFolders) -> None:
    by_network = {name: network.geometry for name, (_, network) in networks.items()}
    if len(set(by_network.values())) > 1:
        got = ", ".join(f"{geometry} of {name}" for name, geometry in by_network.items())
        raise TrainingError(f"networks that are combined must read the same geometry, got {got}")


def _first_network(folder: Path) -> NetworkCard:
    card = read_card(folder)
    if card.first:
        return card.first.network
    if len(card.networks) != 1:
        raise TrainingError(f"{folder}: the first stage must be a package of one network, got {len(card.networks)}")
    return card.networks[0]


def _candidate_network(folder: Path, others: CascadeNetworks) -> NetworkCard:
    """Return the network of a package that looks at the candidates, in as many orientations as help its architecture."""
    if others.first is None:
        raise TrainingError("a candidate network needs a cascade: name a first stage too")
    card = read_card(folder)
    if card.candidate_stage is None and len(card.networks) != 1:
        n = len(card.networks)
        raise TrainingError(
            f"{folder}: the candidate network must be alone in its package, or that of a cascade, got {n} networks"
        )
    network = _turned(card.candidate_stage.network if card.candidate_stage else card.networks[0])
    if network.name in others.everything:
        raise TrainingError(f"networks of a cascade must have different names, got {network.name} in two stages")
    if network.classes != KINDS:
        raise TrainingError(
            f"{folder}: the candidate network must distinguish {', '.join(KINDS)}, got {', '.join(network.classes)}"
        )
    return network


def _opinion(folder: Path, others: CascadeNetworks) -> InFolders:
    """Return the committee of a package, with the package's name before the names of its networks."""
    if others.candidate is None:
        raise TrainingError("a second opinion corrects what a candidate network does: name one of the candidates too")
    card = read_card(folder)
    networks = [network.model_copy(update={"name": f"{card.name}-{network.name}"}) for network in card.networks]
    taken = sorted({network.name for network in networks} & others.everything.keys())
    if taken:
        raise TrainingError(f"networks of a cascade must have different names, got {', '.join(taken)} in two stages")
    strays = [network.name for network in networks if network.classes != KINDS]
    if strays:
        raise TrainingError(f"{folder}: the second opinion must distinguish {', '.join(KINDS)}, {', '.join(strays)} do not")
    return {network.name: (folder, network) for network in networks}


def _all_networks(folders: Sequence[Path], *, turns: bool, is_cascade: bool) -> InFolders:
    """Return the networks of packages, with the turns that a committee can afford, or without."""
    found: dict[str, tuple[Path, NetworkCard]] = {}
    for folder in folders:
        for network in read_card(folder).networks:
            if network.name in found:
                raise TrainingError(f"networks of a committee must have different names, got {network.name} twice")
            found[network.name] = folder, _in_committee(network, turns=turns, is_cascade=is_cascade)
    return found


def _in_committee(network: NetworkCard, *, turns: bool, is_cascade: bool) -> NetworkCard:
    """Return a network with the turns that it has in a committee; without a first stage, only those that its card names."""
    if not turns:
        return network.model_copy(update={"turns": 1})
    return _turned(network) if is_cascade else network


def _turned(network: NetworkCard) -> NetworkCard:
    """Return the network with the turns of its architecture, unless its card names others."""
    return network if network.turns != 1 else network.model_copy(update={"turns": ARCHITECTURES[network.architecture].turns})
