"""`lensscan evaluate`: measure an ensemble on shards with truth."""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from flows.commands.results import EVALUATION_FILE, check_place
from flows.ensembles import chosen_package, latest_card, results_folder
from infra.progress import Progress, part_of
from infra.provenance import code_version
from infra.settings import Settings
from infra.store.files import replace_whole
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Scorer
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.engines import resolve_engine
from scanner.networks.nonlens_sample import read_sample
from scanner.networks.package import load_scorer, with_cuts
from training.evaluation.card_text import write_card_with_text
from training.evaluation.evaluate import Evaluation, Numbers, evaluate_scores, nonlens_scores
from training.evaluation.evaluation_plots import draw_scored
from training.evaluation.evaluation_text import evaluation_markdown
from training.evaluation.matched_rates import matched_metrics
from training.evaluation.score_correlation import correlation_metrics
from training.evaluation.shard_scores import Footers, score_shards
from training.evaluation.stated_data import FOR_TRAINING, data_sets, other_pixels, picked_by_hand, presets
from training.evaluation.unknown_shards import unknown_footers

BOOTSTRAP_SEED = 0
TEXT_FILE = "EVALUATION.md"
_ADVICE = "evaluate it on"
_LOG = logging.getLogger(__name__)
_REPLACED = r"matched_nonlenses_|recall_.*_at_false_positives_|spearman_"
"""Metrics of a card that every evaluation measures anew."""


def evaluate_shards(
    shards_uri: str, ensemble: str | None, out: str | None, progress: Progress, natural_uri: str | None = None
) -> tuple[Evaluation, Path]:
    """Score every object of the shards and write evaluation.json, EVALUATION.md and the plots.

    An ensemble beside whose weights they are written also gets its card's cuts from this evaluation, unless the thresholds are
    those of other shards, or the shards state a preset for training, objects picked by hand, or stamps that are no scan's for
    these networks.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth, in any geometry.
        ensemble: Name or folder; the configured one by default.
        out: Folder to write to; by default the ensemble's, beside its weights, or `evaluation-NAME` for a shipped ensemble.
        progress: Called with (objects scored, objects in all).
        natural_uri: Shards whose non-lenses set the thresholds of recall; by default the evaluated ones.

    Raises:
        TrainingError: there are no shards, a shard has no truth, or the ensemble was trained or calibrated on some; or the
            folder is on S3, is a file, cannot be written to, or holds another ensemble or results of another.
        PackageError: the ensemble cannot be used, or another one has replaced it by the end.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    folder = results_folder(package, card, out)
    shards = _Shards.unknown_to(card, shards_uri, natural_uri)
    check_place(folder, package, card)
    sample = read_sample(package, card)
    scorer = load_scorer(package, resolve_engine(Settings.read().engine))
    scores, truth, natural = _scored(shards, scorer, progress)
    cuts = tuple(dict.fromkeys((card.candidate_threshold, card.threshold("deep"))))
    share = card.combiner.assumed_compound_share if isinstance(card.combiner, SoftmaxStack) else None
    evaluation = evaluate_scores(scores, truth, card.assumed_prevalence, BOOTSTRAP_SEED, natural, cuts, sample, share)
    _write(folder, evaluation, card, shards)
    draw_scored(folder, evaluation, scores, truth, scorer.network_names, sample)
    if folder.resolve() == package.resolve() and natural_uri is None:
        if reason := _not_for_cards(shards.footers, card.geometry):
            _LOG.warning("%s: %s; the purity on the card of %s stays as it is", shards_uri, reason, card.name)
        else:
            record_evaluation(package, card, evaluation)
    return evaluation, folder


@dataclass(frozen=True)
class _Shards:
    """The shards of an evaluation, and those whose non-lenses set its thresholds, if these are others."""

    uri: str
    footers: Footers
    natural_uri: str | None
    natural: Footers
    """Empty if the evaluated shards set the thresholds."""

    @classmethod
    def unknown_to(cls, card: EnsembleCard, uri: str, natural_uri: str | None) -> Self:
        """Read the footers of shards; raise TrainingError if the ensemble was trained or calibrated on some."""
        footers = unknown_footers(uri, card, _ADVICE)
        return cls(uri, footers, natural_uri, unknown_footers(natural_uri, card, _ADVICE) if natural_uri else {})


def _scored(shards: _Shards, scorer: Scorer, progress: Progress) -> tuple[pa.Table, pa.Table, Numbers | None]:
    """Return scores and truth of the shards, and the scores of the natural non-lenses; None if there are none."""
    n_objects, n_natural = (sum(footer.num_rows for footer in files.values()) for files in (shards.footers, shards.natural))
    n_all = n_objects + n_natural
    scores, truth = score_shards(shards.footers, scorer, part_of(progress, 0, n_all))
    if not shards.natural:
        return scores, truth, None
    return scores, truth, nonlens_scores(*score_shards(shards.natural, scorer, part_of(progress, n_objects, n_all)))


def _write(folder: Path, evaluation: Evaluation, card: EnsembleCard, shards: _Shards) -> None:
    """Write evaluation.json and EVALUATION.md, each of them whole."""
    origin = {"ensemble": card.name, "sha256": card.sha256, "shards": shards.uri}
    origin |= {"thresholds_from": shards.natural_uri or shards.uri, "code_version": code_version()}
    content = {**origin, **evaluation.model_dump(mode="json")}
    objects = f"simulated objects of {shards.uri} ({data_sets(shards.footers.values())})"
    others = f"{shards.natural_uri} ({data_sets(shards.natural.values())})" if shards.natural else None
    text = evaluation_markdown(evaluation, f"{card.name} `{card.sha256[:12]}`", objects, others)
    for file, written in ((EVALUATION_FILE, json.dumps(content, indent=1) + "\n"), (TEXT_FILE, text)):
        with replace_whole(folder / file) as part:
            part.write_text(written, encoding="utf-8")


def _not_for_cards(footers: Footers, geometry: str) -> str | None:
    """Return why the purity on these shards is not that of a sky; None if it may be, or if they do not state what they hold."""
    if unnatural := presets(footers.values()) & set(FOR_TRAINING):
        return f"purity needs natural draws, and these are of the preset {min(unnatural)}"
    if picked := picked_by_hand(footers.values()):
        return f"purity needs natural draws, and these hold {picked}"
    if other := other_pixels(footers.values(), geometry):
        return f"the networks read stamps of the geometry {geometry}, and these are of {other}"
    return None


def record_evaluation(package: Path, used: EnsembleCard, evaluation: Evaluation) -> None:
    """Write cuts, recall at matched rates and correlations of an evaluation into card.json and CARD.md of the package.

    Raises:
        PackageError: the card is damaged, or is that of another ensemble than the evaluated one, `used`, by now.
    """
    card = with_cuts(latest_card(package, used), evaluation.cuts)
    figures = matched_metrics(evaluation.matched) | correlation_metrics(evaluation.correlations)
    kept = {name: value for name, value in card.metrics.items() if not re.match(_REPLACED, name)}
    write_card_with_text(package, card.model_copy(update={"metrics": {**kept, **figures}}))
