"""Train networks and their combiner into an ensemble package."""

import re
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.artifacts import flow_progress
from flows.ensembles import chosen_package
from infra.frozen import Frozen
from infra.ray.cluster import ray_session
from infra.settings import Settings
from scanner.vocabulary.choices import TrainingPreset
from training.config import PRESETS
from training.trainer import train_ensemble


class TrainResult(Frozen):
    """Path of the package, and its AUROC on the test split."""

    ensemble: str
    package: Path
    test_auroc: float


@flow(name="train", persist_result=True, result_serializer="json")
def train(
    shards_uri: str,
    out: Path,
    name: str,
    preset: TrainingPreset = "laptop",
    epochs: Annotated[int | None, Field(ge=1)] = None,
    workers: Annotated[int, Field(ge=1)] = 1,
    start_from: str | None = None,
    learning_rate: Annotated[float | None, Field(gt=0)] = None,
) -> TrainResult:
    """Train on the shards under `shards_uri`; after a kill, the same call continues from the last epoch.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth.
        out: Work folder; the package is written to `out/name`.
        name: Name of the ensemble.
        preset: `flagship`, `laptop` or `paper`.
        epochs: Number of epochs, instead of the preset's.
        workers: Ray Train workers for each network, each on its own GPU if the cluster has enough.
        start_from: Ensemble, by name or folder, whose weights training starts from.
        learning_rate: Learning rate, instead of the preset's.
    """
    start = chosen_package(start_from) if start_from else None
    options = {"epochs": epochs, "learning_rate": learning_rate, "start_from": start}
    changes = {key: value for key, value in options.items() if value is not None}
    config = PRESETS[preset].model_copy(update={"num_workers": workers, **changes})
    # Artefact keys may hold lower-case letters, digits and dashes only.
    key = "train-" + re.sub(r"[^a-z0-9]+", "-", name.lower())
    with ray_session(Settings.read().ray_address), flow_progress(key, "Epochs trained, all networks") as progress:
        card = train_ensemble(config, shards_uri, out, name, progress)
    return TrainResult(ensemble=card.name, package=out / name, test_auroc=card.metrics["auroc"])
