"""The stage of a cascade that tells the kind of its candidates: fit its regression, and measure what it adds."""

from collections.abc import Sequence

import numpy as np

from scanner.networks.combiner import SoftmaxStack
from scanner.networks.kind_regression import LENS_KINDS, KindRegression, kind_features
from scanner.networks.network_card import NetworkCard
from scanner.networks.stage_cards import KindStage
from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import CLIP, fit_scaled
from training.evaluation.metrics import auroc
from training.margins import Margins

_SINGLE = KINDS.index("single")


def make_kind_stage(card: NetworkCard, committee: SoftmaxStack, natural: Margins, compound_share: float) -> KindStage:
    """Make the stage of one network: a regression on natural lenses, and figures on half of them after a fit on the others.

    Args:
        card: The kind network.
        committee: Calibration of the committee.
        natural: Margins of the committee and the kind network on natural draws that no network saw.
        compound_share: Fraction of the lenses that is assumed to be compound.
    """
    lenses = natural.rows(natural.is_lens)
    fitted_on = np.random.default_rng(0).permutation(len(lenses.kinds)) % 2 == 0
    of_half = fit_kind_regression(lenses.rows(fitted_on), committee.networks, card.name)
    return KindStage(
        network=card,
        combiner=fit_kind_regression(lenses, committee.networks, card.name).assuming(compound_share),
        metrics=_figures(of_half, committee, lenses.rows(~fitted_on)),
    )


def fit_kind_regression(lenses: Margins, committee: Sequence[str], network: str) -> KindRegression:
    """Fit a multinomial logistic regression of the kind of lenses on the features of `kind_features`."""
    features = kind_features(lenses.by_network, committee, network, CLIP)
    counts = np.bincount(lenses.kinds, minlength=len(KINDS))[-len(LENS_KINDS) :]
    return KindRegression(
        committee=tuple(committee),
        network=network,
        clip=CLIP,
        **fit_scaled(features, lenses.kinds)._asdict(),
        training_fractions=tuple((counts / counts.sum()).tolist()),
    )


def _figures(regression: KindRegression, committee: SoftmaxStack, lenses: Margins) -> dict[str, float]:
    """Return the AUROC of compound against single lenses, by the committee alone and with the kind network."""
    is_compound = lenses.kinds > _SINGLE
    of_committee = committee.assuming(None, None).probabilities(lenses.by_network)[:, _SINGLE:]
    both = regression.fitted_probabilities(lenses.by_network)
    # p(single | lens) falls as p(compound | lens) rises.
    return {
        "auroc_compound_of_committee": float(auroc(1 - of_committee[:, 0] / of_committee.sum(axis=1), is_compound)),
        "auroc_compound": float(auroc(1 - both[:, 0], is_compound)),
    }
