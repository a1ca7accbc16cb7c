"""The compound selection function of every network: at the paper's threshold, and at equal false-positive rates."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scanner.vocabulary.kinds import KINDS
from training.evaluation.compound_calibration import CompoundCalibration, compound_calibration
from training.evaluation.compound_selection import COMPOUND_KINDS, WIDTHS, Matching, match, matched_recall, wilson
from training.evaluation.evaluate import RATES
from training.evaluation.metrics import THRESHOLD, threshold_at_rate
from training.reproduction.results import DataSet, Selection
from training.reproduction.sample import ScoredSample

AT_HALF = "p = 0.5"
AT_RATES = {f"{rate:.0%} false positives": rate for rate in RATES}


def matchings(sample: ScoredSample) -> list[Matching]:
    """Match the compound lenses of each kind with the single lenses of the same data set."""
    properties = {name: sample.properties(name) for name in WIDTHS}
    return [match(sample.kinds, properties, kind) for kind in COMPOUND_KINDS]


def data_set(sample: ScoredSample, preset: str, geometry: str) -> DataSet:
    """Describe a data set and what was matched in it."""
    return DataSet(
        preset=preset,
        geometry=geometry,
        n_objects={kind: int(np.sum(sample.kinds == kind)) for kind in KINDS},
        balance={matching.kind: matching.balance for matching in matchings(sample)},
    )


def selections(sample: ScoredSample, name: str) -> Iterator[Selection]:
    """Yield the selection of each score of each ensemble at each threshold; `name` is the data set's."""
    matched = matchings(sample)
    for ensemble in sample.scores:
        for score, p in sample.probabilities(ensemble).items():
            yield _selection(sample, matched, (name, ensemble, score, AT_HALF), THRESHOLD, p >= THRESHOLD)
            for words, rate in AT_RATES.items():
                threshold = threshold_at_rate(p, sample.is_lens, rate)
                yield _selection(sample, matched, (name, ensemble, score, words), threshold, p > threshold)


def _selection(
    sample: ScoredSample,
    matched: list[Matching],
    names: tuple[str, str, str, str],
    threshold: float,
    is_found: NDArray[np.bool_],
) -> Selection:
    data, ensemble, score, words = names
    shares = {kind: is_found[sample.kinds == kind] for kind in KINDS if np.any(sample.kinds == kind)}
    recall = {kind: wilson(float(found.mean()), len(found)) for kind, found in shares.items()}
    compared = {matching.kind: matched_recall(is_found, matching) for matching in matched}
    return Selection(
        data=data,
        ensemble=ensemble,
        score=score,
        at=words,
        threshold=float(threshold),
        false_positives=recall.pop(KINDS[0]),
        recall=recall,
        matched={kind: found for kind, found in compared.items() if found is not None},
    )


def calibrations(sample: ScoredSample, rng: np.random.Generator) -> dict[str, CompoundCalibration]:
    """Return what `p_compound` and `subclass` are worth, by ensemble that has them and sees enough lenses."""
    found = {}
    for ensemble, table in sample.scores.items():
        share = sample.compound_share(ensemble)
        if share is None:
            continue
        p_lens, p_compound = (sample.column(ensemble, name) for name in ("p_lens", "p_compound"))
        subclass = np.array(table["subclass"].to_pylist())
        judged = compound_calibration(sample.kinds, p_lens, p_compound, subclass, share, rng)
        if judged is not None:
            found[ensemble] = judged
    return found
