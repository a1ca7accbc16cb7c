"""The networks of an ensemble that can score an object without images in every band."""

from collections.abc import Collection, Sequence

import numpy as np
from scipy.special import expit, logsumexp

from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import spread
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.networks.network_card import NetworkCard
from scanner.vocabulary.geometry import Geometry, Stamps


def networks_reading(card: EnsembleCard, bands: Collection[str]) -> tuple[NetworkCard, ...]:
    """Return the networks that read no band but these."""
    return tuple(network for network in card.networks if {channel.band for channel in network.channels} <= set(bands))


def ensembles_reading(cards: Sequence[EnsembleCard], bands: Collection[str]) -> list[str]:
    """Return the names of the ensembles that have such networks."""
    return [card.name for card in cards if networks_reading(card, bands)]


class PartialEnsemble:
    """Some networks of an ensemble, for objects that lack the bands that the other networks read.

    `p_lens` follows from the mean of the networks' log-odds of a lens, moved from the share of lenses in their training to the
    prevalence that the ensemble assumes (Saerens et al. 2002, equation 4). It is not calibrated: the ensemble's combiner was
    fitted on all networks together, and cannot be used here. There is no `p_compound` and no subclass. If these are all the
    networks of the ensemble, its combiner is used.
    """

    def __init__(self, ensemble: Ensemble, networks: Sequence[NetworkCard]) -> None:
        """Take some networks of the ensemble, at least one."""
        bands = {channel.band for network in networks for channel in network.channels}
        grids = {band: grid for band, grid in ensemble.geometry.grids.items() if band in bands}
        self.geometry = Geometry(ensemble.geometry.name, grids)
        self.network_names = tuple(network.name for network in networks)
        engines = {name: ensemble.engines[name] for name in self.network_names}
        self._card, self._is_whole = ensemble.card, len(networks) == len(ensemble.card.networks)
        self._networks = Ensemble(ensemble.card.model_copy(update={"networks": tuple(networks)}), engines)

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` of the bands in `geometry`; raise ValueError if a stamp is constant."""
        if self._is_whole:
            return self._networks.score(stamps)
        margins = self._networks.logit_margins(stamps)
        p_networks = {name: self._card.p_of_network(name, of).astype(np.float32) for name, of in margins.items()}
        p_lens = expit(np.mean([logsumexp(of_network, axis=1) for of_network in margins.values()], axis=0))
        at_prior = self._card.at_assumed_prevalence(p_lens).astype(np.float32)
        return EnsembleScores(p_networks, spread(margins), at_prior, None, None)
