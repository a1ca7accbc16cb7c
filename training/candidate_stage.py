"""The stage of a cascade that looks at its candidates: fit its regressions, and measure what it adds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from scanner.networks.combiner import SoftmaxStack
from scanner.networks.kind_regression import LENS_KINDS, KindRegression, kind_features
from scanner.networks.lens_regression import LensRegression, corrected, mean_log_odds
from scanner.networks.network_card import NetworkCard
from scanner.networks.stage_cards import CandidateStage
from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import CLIP, fit_lens_curve, fit_scaled
from training.evaluation.metrics import auroc
from training.margins import Margins, random_half

NETWORK_SHARE = 0.5
"""Weight of the candidate network in the mean of its log-odds and the committee's. With more, more lens galaxies without arcs
pass; with less, more blue companions (STUDY.md)."""
_SINGLE = KINDS.index("single")
_MIN_NONLENSES = 20
"""Fewest non-lenses that a correction of `p_lens` is fitted on."""
_STANDARD_ERRORS = 2.0
"""A correction must lower the log loss by this many of its standard errors, so that chance alone rarely adds one."""


def make_candidate_stage(
    card: NetworkCard, committee: SoftmaxStack, natural: Margins, compound_share: float, from_p_lens: float
) -> CandidateStage:
    """Make the stage of one network: regressions on natural draws, and figures on half of them after a fit on the others.

    `p_lens` is corrected if that clearly lowers the log loss in the half that the correction is not fitted on.

    Args:
        card: The network that looks at the candidates.
        committee: Calibration of the committee.
        natural: Margins of the committee and this network on natural draws that no network saw.
        compound_share: Fraction of the lenses that is assumed to be compound.
        from_p_lens: Smallest `p_lens` of the committee that may be corrected.
    """
    fitted_on = random_half(len(natural.kinds))
    halves = natural.rows(fitted_on), natural.rows(~fitted_on)
    lenses = natural.rows(natural.is_lens)
    figures = _figures_of_kinds(halves[0].rows(halves[0].is_lens), halves[1].rows(halves[1].is_lens), committee, card.name)
    lens, of_half = (fit_lens_regression(margins, committee, card.name, from_p_lens) for margins in (natural, halves[0]))
    helps = False
    if lens and of_half:
        helps, of_lens = _figures_of_lens(of_half, committee, halves[1], card.name)
        figures |= of_lens
    return CandidateStage(
        network=card,
        combiner=fit_kind_regression(lenses, committee.networks, card.name).assuming(compound_share),
        lens=lens if helps else None,
        metrics=figures,
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


def fit_lens_regression(natural: Margins, committee: SoftmaxStack, network: str, from_p_lens: float) -> LensRegression | None:
    """Fit the correction of `p_lens` on the natural draws to which the committee gives at least `from_p_lens`.

    Returns None if there are too few non-lenses among these, or if high log-odds would count against a lens.
    """
    found = reaching(natural, committee, from_p_lens)
    if (~found.is_lens).sum() < _MIN_NONLENSES or not found.is_lens.any():
        return None
    together = mean_log_odds(committee.fitted_log_odds(found.by_network), found.by_network[network], NETWORK_SHARE, CLIP)
    model = LogisticRegression(max_iter=2000).fit(together[:, None], found.is_lens)
    slope, bias = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return None
    # A straight line promises too much for the surest objects: a few non-lenses lie far above the others.
    return LensRegression(
        from_p_lens=from_p_lens,
        network_share=NETWORK_SHARE,
        slope=slope,
        bias=bias,
        curve=fit_lens_curve(slope * together + bias, found.is_lens),
        clip=CLIP,
    )


def reaching(natural: Margins, committee: SoftmaxStack, p_lens: float) -> Margins:
    """Return the margins on the objects to which the committee gives at least this `p_lens`."""
    return natural.rows(committee.combine(natural.by_network).p_lens.astype(np.float64) >= p_lens)


def final_p_lens(committee: SoftmaxStack, stage: CandidateStage | None, margins: Margins) -> NDArray[np.float32]:
    """Return the `p_lens` that a committee and the stage after it give, `[object]`."""
    p_lens = committee.combine(margins.by_network).p_lens
    if stage is None or stage.lens is None:
        return p_lens
    of_stage = corrected(committee, stage.lens, margins.by_network, margins.by_network[stage.network.name]).p_lens
    return np.where(p_lens.astype(np.float64) >= stage.lens.from_p_lens, of_stage, p_lens)


def _figures_of_kinds(fitted_on: Margins, lenses: Margins, committee: SoftmaxStack, network: str) -> dict[str, float]:
    """Return the AUROC of compound against single lenses, by the committee alone and with the network."""
    is_compound = lenses.kinds > _SINGLE
    of_committee = committee.assuming(None, None).probabilities(lenses.by_network)[:, _SINGLE:]
    both = fit_kind_regression(fitted_on, committee.networks, network).fitted_probabilities(lenses.by_network)
    # p(single | lens) falls as p(compound | lens) rises.
    return {
        "auroc_compound_of_committee": float(auroc(1 - of_committee[:, 0] / of_committee.sum(axis=1), is_compound)),
        "auroc_compound": float(auroc(1 - both[:, 0], is_compound)),
    }


def _figures_of_lens(
    lens: LensRegression, committee: SoftmaxStack, natural: Margins, network: str
) -> tuple[bool, dict[str, float]]:
    """Compare `p_lens` of the committee alone and corrected, in the fitted mixture.

    Returns whether the correction lowers the log loss by more than two standard errors, and the log losses and AUROCs.
    """
    found = reaching(natural, committee, lens.from_p_lens)
    before = committee.fitted_log_odds(found.by_network)
    after = lens.log_odds(before, found.by_network[network])
    sign = np.where(found.is_lens, 1.0, -1.0)
    # From log-odds, because float32 rounds sure objects to 1.
    loss_before, loss_after = (np.logaddexp(0, -sign * log_odds) for log_odds in (before, after))
    gains = loss_before - loss_after
    helps = gains.mean() > _STANDARD_ERRORS * gains.std() / np.sqrt(len(gains))
    return bool(helps), {
        "auroc_lens_of_committee": float(auroc(before, found.is_lens)),
        "auroc_lens": float(auroc(after, found.is_lens)),
        "log_loss_of_committee": float(loss_before.mean()),
        "log_loss": float(loss_after.mean()),
    }
