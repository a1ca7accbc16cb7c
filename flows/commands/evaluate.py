"""`lensscan evaluate`: measure an ensemble on shards with truth."""

import json
from pathlib import Path

from flows.ensembles import chosen_package, results_folder
from infra.progress import Progress
from infra.provenance import code_version
from infra.settings import Settings
from scanner.networks.card_file import read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_scorer, with_cuts
from training.errors import TrainingError
from training.evaluation.card_text import write_card_with_text
from training.evaluation.evaluate import Evaluation, evaluate_scores
from training.evaluation.evaluation_plots import draw_scored
from training.evaluation.evaluation_text import evaluation_markdown
from training.evaluation.shard_scores import data_sets, score_shards, shard_footers, shards_digest

BOOTSTRAP_SEED = 0


def evaluate_shards(shards_uri: str, ensemble: str | None, out: str | None, progress: Progress) -> tuple[Evaluation, Path]:
    """Score every object of the shards and write evaluation.json, EVALUATION.md and three plots.

    An ensemble beside whose weights they are written also gets its card's cuts from this evaluation.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth, in any geometry.
        ensemble: Name or folder; the configured one by default.
        out: Folder to write to; by default the ensemble's, beside its weights, or `evaluation-NAME` for a shipped ensemble.
        progress: Called with (objects scored, objects in all).

    Raises:
        TrainingError: there are no shards, a shard has no truth, or the ensemble was trained on these shards.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    footers = shard_footers(shards_uri)
    if card.training_data.digest is not None and shards_digest(footers) == card.training_data.digest:
        raise TrainingError(f"{shards_uri}: these are the shards that {card.name} was trained on; evaluate it on others")
    loaded = load_scorer(package, resolve_engine(Settings.read().engine))
    scores, truth = score_shards(footers, loaded, progress)
    evaluation = evaluate_scores(scores, truth, card.assumed_prevalence, BOOTSTRAP_SEED)
    folder = Path(out) if out else results_folder(package, card.name)
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"ensemble": card.name, "sha256": card.sha256, "shards": shards_uri, "code_version": code_version()}
    content = {**origin, **evaluation.model_dump(mode="json")}
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    objects = f"simulated objects of {shards_uri} ({data_sets(footers.values())})"
    text = evaluation_markdown(evaluation, f"{card.name} `{card.sha256[:12]}`", objects)
    (folder / "EVALUATION.md").write_text(text, encoding="utf-8")
    draw_scored(folder, evaluation, scores, truth, loaded.network_names)
    if folder.resolve() == package.resolve():
        record_cuts(package, evaluation)
    return evaluation, folder


def record_cuts(package: Path, evaluation: Evaluation) -> None:
    """Write the cuts of an evaluation into card.json and CARD.md of the package."""
    write_card_with_text(package, with_cuts(read_card(package), evaluation.cuts))
