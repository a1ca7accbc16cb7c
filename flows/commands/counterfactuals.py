"""`lensscan evaluate --counterfactuals`: change lenses one thing at a time, and see what an ensemble makes of it."""

import json
from pathlib import Path

from flows.commands.results import COUNTERFACTUALS_FILE, check_place
from flows.ensembles import chosen_package, latest_card, results_folder
from infra.progress import Progress
from infra.provenance import code_version
from infra.settings import Settings
from infra.store.files import replace_whole
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_scorer
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import CutoutScanner
from simulation.products.counterfactuals import CHANGES, counterfactual
from simulation.products.render import stack
from training.evaluation.card_text import write_card_with_text
from training.evaluation.counterfactual_gate import CounterfactualGate, gate_markdown, gate_metrics, judge
from training.evaluation.probe_scores import ProbedScores, ScoreColumns

SEED = 18_000_001
"""Seed of the changed lenses, far from the seeds that people train with."""
BOOTSTRAP_SEED = 0
TEXT_FILE = "COUNTERFACTUALS.md"
_AT_ONCE = 16
"""Lenses whose images are in memory together, each under fifteen changes: 40 MB of stamps of 10 arcsec."""


def judge_counterfactuals(n: int, ensemble: str | None, out: str | None, progress: Progress) -> tuple[CounterfactualGate, Path]:
    """Simulate `n` lenses under every change, score them, and write the table beside the ensemble or into `out`.

    An ensemble beside whose weights the table is written also gets its figures on its card.

    Raises:
        PackageError: the ensemble cannot be used.
        TrainingError: the folder is on S3, is a file, cannot be written to, or holds another ensemble or results of another.
        SimulationError: a lens could not be made.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    folder = results_folder(package, card, out)
    check_place(folder, package, card)
    scorer = load_scorer(package, resolve_engine(Settings.read().engine))
    p_lens = {change: found.p_lens for change, found in _scores(n, scorer, progress).items()}
    gate = judge(p_lens, card.candidate_threshold, BOOTSTRAP_SEED)
    _write(gate, folder, card)
    if folder.resolve() == package.resolve():
        latest = latest_card(package, card)
        write_card_with_text(package, latest.model_copy(update={"metrics": {**latest.metrics, **gate_metrics(gate)}}))
    return gate, folder


def _scores(n: int, scorer: Scorer, progress: Progress) -> dict[str, ProbedScores]:
    """Return the scores of `n` lenses, by change."""
    scanner, gathered = CutoutScanner(scorer, check_above=None), ScoreColumns(())
    for start in range(0, n, _AT_ONCE):
        lenses = []
        for index in range(start, min(start + _AT_ONCE, n)):
            progress(index, n)
            lenses.append(counterfactual(index, SEED, scorer.geometry))
        # All changes together, because a network takes as long for a few objects as for a batch.
        table = score_stamps(stack([images[change] for change in CHANGES for images in lenses], scorer.geometry), scanner)
        for i, change in enumerate(CHANGES):
            gathered.add(change, table.slice(i * len(lenses), len(lenses)), is_asked=False)
    progress(n, n)
    return gathered.scores()


def _write(gate: CounterfactualGate, folder: Path, card: EnsembleCard) -> None:
    """Write counterfactuals.json, which names the ensemble, and COUNTERFACTUALS.md, each of them whole."""
    origin = {"ensemble": card.name, "sha256": card.sha256, "seed": SEED, "code_version": code_version()}
    content = {**origin, **gate.model_dump(mode="json")}
    text = f"# Counterfactuals of {card.name}\n\n{gate_markdown(gate)}"
    for file, written in ((COUNTERFACTUALS_FILE, json.dumps(content, indent=1) + "\n"), (TEXT_FILE, text)):
        with replace_whole(folder / file) as part:
            part.write_text(written, encoding="utf-8")
