"""Copy an ensemble for a survey in which another fraction of the objects are lenses."""

from pathlib import Path
from typing import TypeVar

import numpy as np

from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.errors import PackageError
from scanner.networks.log_odds import restated
from scanner.networks.package import load_network, write_package
from scanner.networks.stage_cards import CandidateStage, ExcludingNetwork

_COMPOUND_LIMIT = "p_compound assumes that"
_Excluding = TypeVar("_Excluding", bound=ExcludingNetwork)


def with_prevalence(folder: Path, out: Path, name: str, prevalence: float, compound_share: float | None) -> EnsembleCard:
    """Write a copy of a package whose `p_lens` assumes another fraction of lenses.

    Ranks by `p_lens` do not change, nor does `subclass`. The copy has no cuts until `lensscan evaluate` measures them again,
    no sample of non-lenses until `lensscan models nonlenses` does, and no embeddings until `lensscan models reference` does.

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
    first = card.first and _restated(card.first, prevalence, compound_share)
    early_exit = card.early_exit and _restated(card.early_exit, prevalence, compound_share)
    candidate_stage = card.candidate_stage and _last_restated(card.candidate_stage, card.combiner, prevalence, compound_share)
    cut, deep = (of and _moved(of, card.combiner, prevalence) for of in (card.default_cut, card.deep_cut))
    share = compound_limit(combiner.assumed_compound_share)
    changes = {
        "name": name,
        "combiner": combiner,
        "first": first,
        "early_exit": early_exit,
        "candidate_stage": candidate_stage,
        "assumed_prevalence": prevalence,
        "default_cut": cut,
        "deep_cut": deep,
        "limits": tuple(share if limit.startswith(_COMPOUND_LIMIT) else limit for limit in card.limits),
        "cuts": (),
        "nonlens_sample": None,
        "feature_reference": None,
    }
    states = {network.name: load_network(folder, network).state_dict() for network in card.all_networks}
    return write_package(out, card.model_copy(update=changes), states)


def compound_limit(compound_share: float) -> str:
    """Return the sentence among a card's limits about the share of compound lenses."""
    return f"{_COMPOUND_LIMIT} {compound_share:.1%} of lenses are compound; lensscan models restate changes that."


def _restated(stage: _Excluding, prevalence: float, compound_share: float | None) -> _Excluding:
    """Return a stage with its limit moved along with its probabilities: it excludes the same objects."""
    limit = _moved(stage.exclude_below, stage.combiner, prevalence)
    combiner = stage.combiner.assuming(prevalence, compound_share or stage.combiner.compound_share)
    return stage.model_copy(update={"combiner": combiner, "exclude_below": limit})


def _last_restated(
    stage: CandidateStage, committee: SoftmaxStack, prevalence: float, compound_share: float | None
) -> CandidateStage:
    """Return a candidate stage that corrects the same objects, for another share of compound lenses; None keeps its own."""
    lens = stage.lens and stage.lens.model_copy(update={"from_p_lens": _moved(stage.lens.from_p_lens, committee, prevalence)})
    combiner = stage.combiner.assuming(compound_share or stage.combiner.compound_share)
    return stage.model_copy(update={"combiner": combiner, "lens": lens})


def _moved(p_lens: float, combiner: SoftmaxStack, prevalence: float) -> float:
    """Return the same threshold for the probabilities that a combiner gives at another prevalence."""
    before = combiner.fitted_prevalence if combiner.prevalence is None else combiner.prevalence
    return float(restated(np.array([p_lens]), before, prevalence)[0])
