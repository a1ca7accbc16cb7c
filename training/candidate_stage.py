"""The stage of a cascade that looks at its candidates: fit its regressions, and measure what it adds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from scanner.networks.combiner import SoftmaxStack
from scanner.networks.kind_regression import LENS_KINDS, KindRegression, kind_features
from scanner.networks.lens_curve import LensCurve
from scanner.networks.lens_regression import LensRegression
from scanner.networks.network_card import NetworkCard
from scanner.networks.stage_cards import CandidateStage, SecondOpinion
from scanner.vocabulary.kinds import KINDS
from training.evaluation.calibrate import CLIP, fit_lens_curve, fit_scaled
from training.evaluation.metrics import auroc
from training.margins import Margins, random_half

NETWORK_SHARE = 0.5
"""Weight of the candidate network in the mean of its log-odds and the committee's. With more, more lens galaxies without arcs
pass; with less, more blue companions (STUDY.md)."""
OPINION_SHARE = 0.3
"""Weight of a second opinion in the mean of the log-odds. With more, fewer real lenses with clear arcs pass the default cut;
with less, more real lenses rank below a real galaxy (STUDY.md)."""
_SINGLE = KINDS.index("single")
_MIN_NONLENSES = 20
"""Fewest non-lenses that a correction of `p_lens` is fitted on."""
_STANDARD_ERRORS = 2.0
"""A correction must lower the log loss by this many of its standard errors, so that chance alone rarely adds one."""


def make_candidate_stage(
    card: NetworkCard,
    committee: SoftmaxStack,
    natural: Margins,
    compound_share: float,
    from_p_lens: float,
    opinion: SecondOpinion | None = None,
) -> CandidateStage:
    """Make the stage of the candidates: regressions on natural draws, and figures on half of them after a fit on the others.

    `p_lens` is corrected if that clearly lowers the log loss in the half that the correction is not fitted on.

    Args:
        card: The network that looks at the candidates.
        committee: Calibration of the committee.
        natural: Margins of the committee and the networks of this stage on natural draws that no network saw.
        compound_share: Fraction of the lenses that is assumed to be compound.
        from_p_lens: Smallest `p_lens` of the committee that may be corrected.
        opinion: Second opinion, left out if `p_lens` is not corrected; None: there is none.
    """
    fitted_on = random_half(len(natural.kinds))
    halves = natural.rows(fitted_on), natural.rows(~fitted_on)
    lenses = natural.rows(natural.is_lens)
    figures = _figures_of_kinds(halves[0].rows(halves[0].is_lens), halves[1].rows(halves[1].is_lens), committee, card.name)
    lens = fit_lens_regression(natural, committee, card.name, from_p_lens, opinion)
    compared = _compare_corrections(halves[0], halves[1], committee, card.name, from_p_lens, opinion) if lens else None
    figures |= compared.figures if compared else {}
    helps = compared is not None and compared.helps
    return CandidateStage(
        network=card,
        combiner=fit_kind_regression(lenses, committee.networks, card.name).assuming(compound_share),
        lens=lens if helps else None,
        opinion=opinion if helps else None,
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


def fit_lens_regression(
    natural: Margins, committee: SoftmaxStack, network: str, from_p_lens: float, opinion: SecondOpinion | None = None
) -> LensRegression | None:
    """Fit the correction of `p_lens` on the natural draws to which the committee gives at least `from_p_lens`.

    Returns None if there are too few non-lenses among these, or if high log-odds would count against a lens.
    """
    found = reaching(natural, committee, from_p_lens)
    if (~found.is_lens).sum() < _MIN_NONLENSES or not found.is_lens.any():
        return None
    weighted = LensRegression(
        from_p_lens=from_p_lens,
        network_share=NETWORK_SHARE,
        opinion_share=OPINION_SHARE if opinion else 0.0,
        slope=1.0,
        bias=0.0,
        clip=CLIP,
    )
    fitted = _fit_line(weighted.mean_log_odds(*_said(found, committee, network, opinion)), found.is_lens)
    return fitted and weighted.model_copy(update=fitted._asdict())


def _said(
    margins: Margins, committee: SoftmaxStack, network: str, opinion: SecondOpinion | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the arguments of `LensRegression.log_odds` for objects."""
    of_opinion = opinion.combiner.fitted_log_odds(margins.by_network) if opinion else None
    return committee.fitted_log_odds(margins.by_network), margins.by_network[network], of_opinion


class _BentLine(NamedTuple):
    """A straight line, and a curve behind it, from log-odds of a lens to calibrated ones."""

    slope: float
    bias: float
    curve: LensCurve


def _fit_line(log_odds: NDArray[np.float64], is_lens: NDArray[np.bool_]) -> _BentLine | None:
    """Fit the calibration of log-odds `[object]`; None if high ones would count against a lens."""
    model = LogisticRegression(max_iter=2000).fit(log_odds[:, None], is_lens)
    slope, bias = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return None
    # A straight line promises too much for the surest objects: a few non-lenses lie far above the others.
    return _BentLine(slope, bias, fit_lens_curve(slope * log_odds + bias, is_lens))


def reaching(natural: Margins, committee: SoftmaxStack, p_lens: float) -> Margins:
    """Return the margins on the objects to which the committee gives at least this `p_lens`."""
    return natural.rows(committee.combine(natural.by_network).p_lens.astype(np.float64) >= p_lens)


def final_p_lens(committee: SoftmaxStack, stage: CandidateStage | None, margins: Margins) -> NDArray[np.float32]:
    """Return the `p_lens` that a committee and the stage after it give, `[object]`."""
    p_lens = committee.combine(margins.by_network).p_lens
    if stage is None or stage.lens is None:
        return p_lens
    of_stage = stage.corrected(committee, margins.by_network).p_lens
    return np.where(p_lens.astype(np.float64) >= stage.lens.from_p_lens, of_stage, p_lens)


def _figures_of_kinds(fitted_on: Margins, lenses: Margins, committee: SoftmaxStack, network: str) -> dict[str, float]:
    """Return the AUROC of compound against single lenses, by the committee alone and with the network."""
    is_compound = lenses.kinds > _SINGLE
    of_committee = committee.probabilities(lenses.by_network)[:, _SINGLE:]
    both = fit_kind_regression(fitted_on, committee.networks, network).fitted_probabilities(lenses.by_network)
    # p(single | lens) falls as p(compound | lens) rises.
    return {
        "auroc_compound_of_committee": float(auroc(1 - of_committee[:, 0] / of_committee.sum(axis=1), is_compound)),
        "auroc_compound": float(auroc(1 - both[:, 0], is_compound)),
    }


class _Comparison(NamedTuple):
    """Figures of `p_lens` in the fitted mixture, with the stage and without."""

    helps: bool
    """True if the stage lowers the log loss by more than two standard errors."""
    figures: dict[str, float]


def _compare_corrections(
    fitted_on: Margins,
    measured_on: Margins,
    committee: SoftmaxStack,
    network: str,
    from_p_lens: float,
    opinion: SecondOpinion | None,
) -> _Comparison | None:
    """Compare the correction with the committee alone, which is calibrated anew on the same objects; None if one has no fit."""
    lens = fit_lens_regression(fitted_on, committee, network, from_p_lens, opinion)
    fitted, found = (reaching(natural, committee, from_p_lens) for natural in (fitted_on, measured_on))
    alone = _fit_line(committee.fitted_log_odds(fitted.by_network), fitted.is_lens) if lens else None
    if lens is None or alone is None:
        return None
    of_committee = committee.fitted_log_odds(found.by_network)
    before = alone.curve.calibrated(alone.slope * of_committee + alone.bias)
    after = lens.log_odds(*_said(found, committee, network, opinion))
    sign = np.where(found.is_lens, 1.0, -1.0)
    # From log-odds, because float32 rounds sure objects to 1.
    loss_before, loss_after = (np.logaddexp(0, -sign * log_odds) for log_odds in (before, after))
    gains = loss_before - loss_after
    helps = gains.mean() > _STANDARD_ERRORS * gains.std() / np.sqrt(len(gains))
    figures = {
        "auroc_lens_of_committee": float(auroc(before, found.is_lens)),
        "auroc_lens": float(auroc(after, found.is_lens)),
        "log_loss_of_committee": float(loss_before.mean()),
        "log_loss": float(loss_after.mean()),
    }
    return _Comparison(bool(helps), figures)
