"""`lensscan train`: train networks and their combiner into an ensemble package."""

from pathlib import Path

from flows.ensembles import chosen_package
from infra.frozen import Frozen
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import check_folder
from scanner.networks.card import check_name
from scanner.vocabulary.choices import TrainingPreset
from training.config import PRESETS
from training.errors import TrainingError
from training.run import train_ensemble


class TrainResult(Frozen):
    """Path of the package, and its AUROC on the test split."""

    ensemble: str
    package: Path
    test_auroc: float


def train_package(
    shards_uri: str,
    out: Path,
    name: str,
    preset: TrainingPreset,
    epochs: int | None,
    workers: int,
    start_from: str | None,
    learning_rate: float | None,
    networks: str | None,
    teacher: str | None,
    progress: Progress,
) -> TrainResult:
    """Train on the shards under `shards_uri`, with the meaning of the flow's parameters.

    Raises:
        LensscanError: a parameter is invalid, the data are unusable for training, or a network's workers failed.
    """
    # The shards are read first in training, which takes long, so what is quick to see comes before.
    check_folder(str(out))
    try:
        check_name(name)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    start = chosen_package(start_from) if start_from else None
    asked = chosen_package(teacher) if teacher else None
    options = {"epochs": epochs, "learning_rate": learning_rate, "start_from": start, "teacher": asked}
    changes = {key: value for key, value in options.items() if value is not None}
    config = PRESETS[preset].model_copy(update={"num_workers": workers, **changes})
    if networks is not None:
        try:
            config = config.with_networks([name.strip() for name in networks.split(",")])
        except ValueError as error:
            raise TrainingError(str(error)) from error
    card = train_ensemble(config, shards_uri, out, name, progress, Settings.read().ray_address)
    return TrainResult(ensemble=card.name, package=out / name, test_auroc=card.metrics["auroc"])
