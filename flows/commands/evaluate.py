"""`lensscan evaluate`: measure an ensemble on shards with truth."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.ensembles import chosen_package, results_folder
from infra.progress import Progress
from infra.provenance import code_version, digest, sha256_bytes
from infra.settings import Settings
from infra.store.storage import list_files, open_read, read_bytes
from scanner.networks.engines import resolve_engine
from scanner.networks.ensemble import Ensemble
from scanner.networks.package import load_package
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import TRUTH_FIELDS, decode_shard
from training.errors import TrainingError
from training.evaluation.evaluate import Evaluation, evaluate_scores
from training.evaluation.evaluation_plots import draw_evaluation
from training.evaluation.evaluation_text import evaluation_markdown

BOOTSTRAP_SEED = 0


def evaluate_shards(shards_uri: str, ensemble: str | None, out: str | None, progress: Progress) -> tuple[Evaluation, Path]:
    """Score every object of the shards and write evaluation.json, EVALUATION.md and three plots.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth, in any geometry.
        ensemble: Name or folder; the configured one by default.
        out: Folder to write to; by default the ensemble's, beside its weights, or `evaluation-NAME` for a shipped ensemble.
        progress: Called with (objects scored, objects in all).

    Raises:
        TrainingError: there are no shards, a shard has no truth, or the ensemble was trained on these shards.
    """
    package = chosen_package(ensemble)
    loaded = load_package(package, resolve_engine(Settings.read().engine))
    folder = Path(out) if out else results_folder(package, loaded.name)
    footers = _footers(shards_uri)
    scores, truth, shards_digest = _scored(footers, loaded, progress)
    if shards_digest == loaded.card.training_data.digest:
        raise TrainingError(f"{shards_uri}: these are the shards that {loaded.name} was trained on; evaluate it on others")
    evaluation = evaluate_scores(scores, truth, loaded.card.assumed_prevalence, np.random.default_rng(BOOTSTRAP_SEED))
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"ensemble": loaded.name, "sha256": loaded.sha256, "shards": shards_uri, "code_version": code_version()}
    content = {**origin, **evaluation.model_dump(mode="json")}
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    described = f"simulated objects of {shards_uri} ({_described(footers.values())})"
    text = evaluation_markdown(evaluation, f"{loaded.name} `{loaded.sha256[:12]}`", described)
    (folder / "EVALUATION.md").write_text(text, encoding="utf-8")
    _draw(folder, evaluation, scores, truth, loaded.network_names)
    return evaluation, folder


def _footers(shards_uri: str) -> dict[str, pq.FileMetaData]:
    """Return the Parquet metadata of each shard, by its URI."""
    footers = {}
    for file in list_files(shards_uri, ".parquet"):
        try:
            with open_read(file.uri) as stream:
                footers[file.uri] = pq.read_metadata(stream)
        except pa.ArrowInvalid as error:
            raise TrainingError(f"{file.uri}: not a readable Parquet shard: {error}") from error
    if not footers:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    return footers


def _scored(footers: Mapping[str, pq.FileMetaData], ensemble: Ensemble, progress: Progress) -> tuple[pa.Table, pa.Table, str]:
    """Return scores, truth, and the digest of the shards as a card states it (`training.dataset.Dataset.digest`)."""
    scanner = CutoutScanner(ensemble)
    n_objects, n_done = sum(footer.num_rows for footer in footers.values()), 0
    scores, truths, digests = [], [], []
    for uri, footer in footers.items():
        data = read_bytes(uri)
        try:
            shard = decode_shard(data)
        except ValueError as error:
            raise TrainingError(f"{uri}: {error}") from error
        every = np.arange(len(shard.object_ids))
        scores.append(scanner.score_batches(partial(shard_batches, shard, every, scanner.geometry, scanner.batch_size)))
        truths.append(shard.truth.select([field.name for field in TRUTH_FIELDS]))
        digests.append(sha256_bytes(data))
        n_done += footer.num_rows
        progress(n_done, n_objects)
    return pa.concat_tables(scores), pa.concat_tables(truths), digest(digests)


def _draw(folder: Path, evaluation: Evaluation, scores: pa.Table, truth: pa.Table, networks: Sequence[str]) -> None:
    is_scored = np.array(scores["status"].to_pylist()) == "scored"
    is_lens = (np.array(truth["kind"].to_pylist()) != "nonlens")[is_scored]
    names = ("p_lens", *networks)
    columns = ("p_lens", *(f"p_{name}" for name in networks))
    curves = {name: scores[column].to_numpy()[is_scored] for name, column in zip(names, columns, strict=True)}
    draw_evaluation(folder, evaluation, curves, is_lens)


def _described(footers: Iterable[pq.FileMetaData]) -> str:
    """Return `n=20000, seed=900001, geometry mer, preset euclid` for each data set, as far as its shards state them."""
    sizes: Counter[bytes] = Counter()
    for footer in footers:
        sizes[(footer.metadata or {}).get(b"lensscan.dataset", b"{}")] += footer.num_rows
    return "; ".join(", ".join([f"n={n}", *_said(json.loads(spec))]) for spec, n in sizes.items())


def _said(spec: Mapping[str, Any]) -> Iterator[str]:
    words = {"seed": "seed={}", "geometry": "geometry {}", "preset": "preset {}"}
    return (text.format(spec[key]) for key, text in words.items() if key in spec)
