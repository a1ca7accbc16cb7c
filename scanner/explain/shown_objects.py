"""Prepare objects for the figure that explains them: what the numbers mean, and a warning where bands disagree."""

from collections.abc import Sequence

import numpy as np

from scanner.explain.figures import Shown
from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.ensemble import EnsembleScores
from scanner.preprocess.registration import registration_notes
from scanner.vocabulary.geometry import GEOMETRIES, Stamps
from scanner.vocabulary.prior import prior_text
from scanner.vocabulary.probability_text import probability_text
from scanner.vocabulary.stages import FIRST


def shown_objects(
    object_ids: Sequence[str],
    stamps: Stamps,
    card: EnsembleCard,
    scores: EnsembleScores,
    of_pixels: Sequence[Sequence[str]] | None = None,
) -> Shown:
    """Return the objects `[batch]` with their scores and notes.

    Args:
        object_ids: Ids of the objects.
        stamps: `[batch, y, x]` by band, in the ensemble's geometry.
        card: Card of the ensemble.
        scores: Scores of the objects.
        of_pixels: Notes about the pixels of each object, such as `padded: VIS`; none by default.
    """
    geometry = GEOMETRIES[card.geometry]
    registered = registration_notes(stamps, geometry)
    notes = [[*of, note] if note else [*of] for of, note in zip(of_pixels or [()] * len(object_ids), registered, strict=True)]
    for row in np.flatnonzero(scores.stage == FIRST) if scores.stage is not None else ():
        if card.early_exit is None or scores.p_exit is None or np.isnan(scores.p_exit[row]):
            name = card.first.network.name if card.first else ""
            note = f"excluded by {name}, the first stage; a scan asks no other network"
        else:
            note = f"excluded by {card.early_exit.network}, the early exit; a scan asks no other network of the committee"
        notes[row].append(note)
    is_calibrated = card.assumed_prevalence is not None
    return Shown(
        object_ids,
        stamps,
        geometry,
        card.name,
        scores.p_lens,
        prior=f"if {prior_text(card.assumed_prevalence)}" if is_calibrated else "not calibrated",
        numbers=how_combined(card),
        kinds=scores.subclass,
        notes=notes,
        corrections=[_correction(card, scores, row) for row in range(len(object_ids))],
    )


def _correction(card: EnsembleCard, scores: EnsembleScores, row: int) -> str:
    """Return what the candidate stage changed of an object; nothing where `p_lens` is that of the stages before it."""
    if card.candidate_stage is None or scores.p_committee is None or scores.p_committee[row] == scores.p_lens[row]:
        return ""
    of_committee = probability_text(float(scores.p_committee[row]))
    first, *others = (network.name for network in card.candidate_stage.networks)
    who = f"{first} and {len(others)} others, which have no maps," if others else f"{first}, which has no maps,"
    return f"corrected by {who} from {of_committee} by the committee"


def how_combined(card: EnsembleCard) -> str:
    """Return what the probability of a network means, and how those of several become `p_lens`."""
    combiner = card.combiner
    if not isinstance(combiner, SoftmaxStack):
        return "p of a network: what it gives, not calibrated; p_lens is the mean."
    of_network = "p of a network: its own p_lens, as if no other looked."
    if len(card.networks) == 1:
        return of_network
    how = {
        "each": "adds the networks' log odds with fitted weights, so it may lie beyond all of them",
        "without_lowest": "follows from the mean of the networks' log odds without the lowest",
        "mean_probability": "follows from the mean of the probabilities that the networks give",
    }[combiner.pooling]
    return f"{of_network} That of the ensemble {how}."
