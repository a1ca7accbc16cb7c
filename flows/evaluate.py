"""`lensscan evaluate`: shards with truth in, the figures of an ensemble out."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.provenance import code_version
from infra.settings import Settings
from infra.storage import list_files, open_read, read_bytes
from scanner.networks.ensemble import Ensemble
from scanner.networks.locate import SHIPPED_DIR, find_package
from scanner.networks.package import load_package
from scanner.pixels.manifests import Progress
from scanner.pixels.shards import TRUTH_FIELDS, decode_shard
from scanner.scan import CutoutScanner, shard_cutouts
from training.errors import TrainingError
from training.evaluate import Evaluation, evaluate_scores
from training.evaluation_plots import draw_evaluation
from training.evaluation_text import evaluation_markdown

BOOTSTRAP_SEED = 0


def evaluate_shards(shards_uri: str, ensemble: str | None, out: str | None, progress: Progress) -> tuple[Evaluation, Path]:
    """Score every object of the shards and write evaluation.json, EVALUATION.md and three plots.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth, in any geometry.
        ensemble: Name or folder; the configured one by default.
        out: Folder to write to; by default that of the ensemble, beside its weights, or `evaluation-NAME` for a shipped one.
        progress: Called with (objects scored, objects in all).

    Raises:
        TrainingError: no shards, or a shard without truth.
    """
    settings = Settings.read()
    package = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    loaded = load_package(package)
    beside = package if package.parent != SHIPPED_DIR else Path(f"evaluation-{loaded.name}")
    folder = Path(out) if out else beside
    scores, truth = _scored(shards_uri, loaded, progress)
    evaluation = evaluate_scores(scores, truth, loaded.card.assumed_prevalence, np.random.default_rng(BOOTSTRAP_SEED))
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"ensemble": loaded.name, "sha256": loaded.sha256, "shards": shards_uri, "code_version": code_version()}
    content = {**origin, **evaluation.model_dump(mode="json")}
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    described = f"{scores.num_rows} simulated objects ({_described(shards_uri)})"
    text = evaluation_markdown(evaluation, f"{loaded.name} `{loaded.sha256[:12]}`", described)
    (folder / "EVALUATION.md").write_text(text, encoding="utf-8")
    is_scored = np.array(scores["status"].to_pylist()) == "scored"
    is_lens = (np.array(truth["kind"].to_pylist()) != "nonlens")[is_scored]
    names = ["lens", *loaded.network_names]
    curves = {name: scores[f"p_{name}"].to_numpy()[is_scored] for name in names}
    draw_evaluation(folder, evaluation, {"p_lens": curves.pop("lens"), **curves}, is_lens)
    return evaluation, folder


def _scored(shards_uri: str, ensemble: Ensemble, progress: Progress) -> tuple[pa.Table, pa.Table]:
    files = list_files(shards_uri, ".parquet")
    if not files:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    scanner = CutoutScanner(ensemble)
    counts = []
    for file in files:
        with open_read(file.uri) as stream:
            counts.append(pq.read_metadata(stream).num_rows)
    scores, truths = [], []
    for i, file in enumerate(files):
        try:
            shard = decode_shard(read_bytes(file.uri))
        except ValueError as error:
            raise TrainingError(f"{file.uri}: {error}") from error
        scores.append(scanner.score(shard_cutouts(shard, np.arange(len(shard.object_ids)), ensemble.geometry)))
        truths.append(shard.truth.select([field.name for field in TRUTH_FIELDS]))
        progress(sum(counts[: i + 1]), sum(counts))
    return pa.concat_tables(scores), pa.concat_tables(truths)


def _described(shards_uri: str) -> str:
    """What the first shard says about its data set, or where it is."""
    with open_read(list_files(shards_uri, ".parquet")[0].uri) as stream:
        spec = (pq.read_schema(stream).metadata or {}).get(b"lensscan.dataset", b"").decode()
    return spec or shards_uri
