"""The networks of an ensemble that can score an object without images in every band."""

from collections.abc import Collection, Sequence

import numpy as np
from scipy.special import expit, logit, logsumexp

from scanner.networks.card import EnsembleCard, NetworkCard
from scanner.networks.combiner import SoftmaxStack, spread
from scanner.networks.ensemble import Ensemble, EnsembleScores
from scanner.networks.log_odds import lens_probability
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
    fitted on all networks together, and cannot be used here. There is no `p_compound` and no subclass.
    """

    def __init__(self, ensemble: Ensemble, networks: Sequence[NetworkCard]) -> None:
        """Take some networks of the ensemble, at least one."""
        bands = {channel.band for network in networks for channel in network.channels}
        grids = {band: grid for band, grid in ensemble.geometry.grids.items() if band in bands}
        self.geometry = Geometry(ensemble.geometry.name, grids)
        self.network_names = tuple(network.name for network in networks)
        engines = {name: ensemble.engines[name] for name in self.network_names}
        self._networks = Ensemble(ensemble.card.model_copy(update={"networks": tuple(networks)}), engines)
        self._shift = _log_prior_shift(ensemble.card)

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` of the bands in `geometry`; raise ValueError if a stamp is constant."""
        margins = self._networks.logit_margins(stamps)
        p_networks = {name: lens_probability(of_network).astype(np.float32) for name, of_network in margins.items()}
        mean = np.mean([logsumexp(of_network, axis=1) for of_network in margins.values()], axis=0)
        return EnsembleScores(p_networks, spread(p_networks), expit(mean + self._shift).astype(np.float32), None, None)


def _log_prior_shift(card: EnsembleCard) -> float:
    """Return the log-odds of the assumed prevalence minus those of a lens in training; 0 if the ensemble assumes none."""
    if not isinstance(card.combiner, SoftmaxStack) or card.assumed_prevalence is None:
        return 0.0
    nonlens = card.combiner.training_fractions[card.combiner.classes.index("nonlens")]
    return float(logit(card.assumed_prevalence) - logit(1 - nonlens))
