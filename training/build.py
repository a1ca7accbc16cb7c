"""Train an ensemble package from shards, without a cluster."""

from pathlib import Path
from typing import Protocol

from infra.engine_name import EngineName
from infra.progress import Progress, no_progress
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import EnsembleCard
from scanner.networks.network_card import check_name
from training.config import TrainConfig
from training.dataset import Dataset, prepare_dataset
from training.errors import TrainingError
from training.fit import FitResult, OnEpoch, fit_network
from training.graded import GradedShards
from training.start_weights import put_start_weights
from training.teacher import ask_teacher


class Fit(Protocol):
    """Function that fits one network, in this process or on a cluster."""

    def __call__(
        self, spec: NetworkSpec, dataset: Dataset, config: TrainConfig, work: Path, on_epoch: OnEpoch, /
    ) -> FitResult: ...


def work_folder(out: Path, name: str) -> Path:
    """Return the folder of the prepared data and the checkpoints of an ensemble."""
    return out / f"{name}-work"


def build_ensemble(
    config: TrainConfig,
    shards_uri: str,
    out: Path,
    name: str,
    progress: Progress | None = None,
    fit: Fit = fit_network,
    engine: EngineName = "auto",
) -> EnsembleCard:
    """Train every network, combine them, and write the package `out/name`.

    After a kill, the same call continues after the last complete epoch; finished work is not repeated.

    Args:
        config: Configuration of the training.
        shards_uri: Folder or `s3://` prefix of shards with truth, in any geometry.
        out: Folder for the package and the work folder.
        name: Name of the ensemble.
        progress: Called after every epoch with (epochs done, epochs in all) of all networks together.
        fit: Function that fits one network.
        engine: Engine that runs the networks that are trained, and the teacher's.

    Raises:
        TrainingError: the name is invalid, or the data are unusable for training.
    """
    # Imported here because workers need no combiner and no plots, whose libraries take seconds to import.
    from training.publish import publish_ensemble

    try:
        check_name(name)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    work = work_folder(out, name)
    if config.start_from:
        put_start_weights(config.start_from, config, work)
    graded_uri = str(GradedShards(config.graded).learnt) if config.graded else None
    dataset = prepare_dataset(shards_uri, work / "data", config.networks, config.geometry, graded_uri)
    if config.teacher:
        ask_teacher(config.teacher, shards_uri, dataset, work, no_progress, engine)
    on_epoch = _counting(progress, config.epochs * len(config.networks))
    fits = [fit(spec, dataset, config, work, on_epoch) for spec in config.networks]
    return publish_ensemble(out / name, name, fits, dataset, config, engine)


def _counting(progress: Progress | None, total: int) -> OnEpoch:
    """Return a function that tells `progress` the number of its calls, at most `total`."""
    done = 0

    def on_epoch(_: object) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, total), total)

    return on_epoch
