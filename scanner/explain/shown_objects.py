"""Prepare objects for the figure that explains them: all probabilities at one prior, and a warning where bands disagree."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scanner.explain.explanation import NetworkMaps
from scanner.explain.figures import Shown
from scanner.networks.card import EnsembleCard
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
            note = "excluded by the first stage, whose p_lens this is; the committee would not be asked"
        else:
            note = f"excluded by {card.early_exit.network} alone, whose p_lens this is; the other networks would not be asked"
        notes[row].append(note)
    is_calibrated = card.assumed_prevalence is not None
    return Shown(
        object_ids,
        stamps,
        geometry,
        card.name,
        scores.p_lens,
        prior=f"if {prior_text(card.assumed_prevalence)}" if is_calibrated else "not calibrated",
        network_prior="at the prior of p_lens" if is_calibrated else "not calibrated",
        kinds=scores.subclass,
        notes=notes,
        corrections=[_correction(card, scores, row) for row in range(len(object_ids))],
    )


def _correction(card: EnsembleCard, scores: EnsembleScores, row: int) -> str:
    """Return what a candidate network changed of an object; nothing where `p_lens` is that of the stages before it."""
    if card.candidate_stage is None or scores.p_committee is None or scores.p_committee[row] == scores.p_lens[row]:
        return ""
    of_committee = probability_text(float(scores.p_committee[row]))
    return f"corrected by {card.candidate_stage.network.name}, which has no maps; {of_committee} by the networks with maps"


def at_one_prior(maps: Sequence[NetworkMaps], card: EnsembleCard) -> list[NetworkMaps]:
    """Return the maps with the networks' `p_lens` at the prior that the ensemble assumes."""
    return [replace(of, p_lens=card.at_assumed_prevalence(of.p_lens).astype(np.float32)) for of in maps]
