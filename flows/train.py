"""The Prefect flow of `lensscan train --flow`."""

import re
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import BeforeValidator, Field

from flows.artifacts import flow_progress
from flows.commands.train import TrainResult, train_package
from flows.retries import retried
from infra.store.storage import local_only
from scanner.vocabulary.choices import TrainingPreset

LocalFolder = Annotated[Path, BeforeValidator(lambda value: local_only(value) if isinstance(value, str) else value)]
"""Folder that cannot be on S3: a deployed run gets its parameters as texts, and `Path` would make a folder named `s3:`."""


@flow(name="train", persist_result=True, result_serializer="json")
def train(
    shards_uri: str,
    out: LocalFolder,
    name: str,
    preset: TrainingPreset = "laptop",
    epochs: Annotated[int | None, Field(ge=1)] = None,
    workers: Annotated[int, Field(ge=1)] = 1,
    start_from: str | None = None,
    learning_rate: Annotated[float | None, Field(gt=0)] = None,
    networks: str | None = None,
    teacher: str | None = None,
    with_grades: str | None = None,
) -> TrainResult:
    """Train on the shards under `shards_uri`; after a kill, the same call continues from the last epoch.

    So does another try, which follows an error of the store, of the cluster or of a worker, and no other.

    Args:
        shards_uri: Folder or `s3://` prefix of shards with truth.
        out: Work folder; the package is written to `out/name`.
        name: Name of the ensemble.
        preset: `flagship`, `committee`, `first_stage`, `candidates`, `kind`, `laptop` or `paper`.
        epochs: Number of epochs, instead of the preset's.
        workers: Ray Train workers for each network, each on its own GPU if the cluster has enough.
        start_from: Ensemble, by name or folder, whose weights training starts from.
        learning_rate: Learning rate, instead of the preset's.
        networks: Names of some of the preset's networks, separated by commas.
        teacher: Ensemble whose probabilities the networks learn beside the labels.
        with_grades: Catalogue whose graded objects the networks learn beside the simulated ones.
    """
    # Artefact keys may hold lower-case letters, digits and dashes only.
    key = "train-" + re.sub(r"[^a-z0-9]+", "-", name.lower())
    with flow_progress(key, "Epochs trained, all networks") as progress:
        return retried(
            "train",
            lambda: train_package(
                shards_uri,
                out,
                name,
                preset,
                epochs,
                workers,
                start_from,
                learning_rate,
                networks,
                teacher,
                with_grades,
                progress,
            ),
        )
