"""Train an ensemble in this process or on Ray, whichever its size is worth."""

from contextlib import ExitStack
from pathlib import Path

import torch

from infra.engine_name import EngineName
from infra.progress import Progress
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import EnsembleCard
from training.build import build_ensemble
from training.config import TrainConfig
from training.dataset import Dataset
from training.fit import FitResult, OnEpoch, Worker, fit_network
from training.split_check import check_splits

MOST_OBJECTS_HERE = 20_000
"""Largest number of objects on which one worker trains in this process if no cluster is named.

Ray takes a minute to start and restarts workers that crash, which a training of hours is worth; a shorter one is run again.
"""


def train_ensemble(
    config: TrainConfig,
    shards_uri: str,
    out: Path,
    name: str,
    progress: Progress | None = None,
    ray_address: str | None = None,
    engine: EngineName = "auto",
) -> EnsembleCard:
    """Check the splits, then run `training.build.build_ensemble` with every fit in this process or in Ray Train workers.

    Args:
        config: Configuration of the training; several workers, or a required GPU, need Ray.
        shards_uri: Folder or `s3://` prefix of shards with truth.
        out: Folder for the package `out/name` and the work folder; shared by all machines of a cluster.
        name: Name of the ensemble.
        progress: Called with (epochs done, epochs in all).
        ray_address: Ray cluster to use; `local` starts a private one on this machine; None does so for a large training only.
        engine: Engine that runs the networks that are trained, and the teacher's, where they are not trained.

    Raises:
        TrainingError: the data are unusable for training, or a network's workers raised an error.
        ClusterError: Ray cannot be reached, or a network's workers went away after all restarts.
    """
    n_objects = check_splits(shards_uri, config)
    out = out.absolute()
    if ray_address is None and config.num_workers == 1 and not config.use_gpu and n_objects <= MOST_OBJECTS_HERE:
        return build_ensemble(config, shards_uri, out, name, progress, fit_here, engine)
    # Imported here, because Ray takes seconds to import.
    from infra.ray.cluster import ray_session
    from training.trainer import check_room, fit_on_ray

    with ExitStack() as session:

        def fit(spec: NetworkSpec, dataset: Dataset, config: TrainConfig, work: Path, on_epoch: OnEpoch) -> FitResult:
            # Ray starts when the data are prepared; the next fits use the same session.
            session.enter_context(ray_session(ray_address))
            check_room(config, ray_address)
            return fit_on_ray(spec, dataset, config, work, on_epoch)

        return build_ensemble(config, shards_uri, out, name, progress, fit, engine)


def fit_here(spec: NetworkSpec, dataset: Dataset, config: TrainConfig, work: Path, on_epoch: OnEpoch) -> FitResult:
    """Run `training.fit.fit_network` in this process, on its GPU if there is one and `config.use_gpu` does not forbid it."""
    device = "cuda" if config.use_gpu is None and torch.cuda.is_available() else "cpu"
    return fit_network(spec, dataset, config, work, on_epoch, Worker(device=device))
