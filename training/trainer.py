"""Training on Ray Train: one run for each network, whose workers are restarted when they crash."""

import logging
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
import ray.train
import torch
from ray.exceptions import RayError, RayTaskError
from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer, get_device, prepare_model

from infra.errors import ClusterError
from infra.private_apis import end_ray_train_at_once
from infra.settings import PRIVATE_RAY
from scanner.networks.architectures import NetworkSpec
from training.checkpoint import EpochRecord, load_history
from training.config import TrainConfig
from training.dataset import Dataset, open_dataset
from training.errors import TrainingError
from training.fit import FitResult, OnEpoch, Worker, fit_network

MAX_RESTARTS = 3
"""Largest number of restarts of a network's workers; each restart continues after the last complete epoch."""
MAX_STARTS = 10
"""Largest number of times that workers which did not start are asked for again, each for a minute: nodes may come later."""
POLL_S = 0.5
_LOG = logging.getLogger(__name__)


def fit_on_ray(spec: NetworkSpec, dataset: Dataset, config: TrainConfig, work: Path, on_epoch: OnEpoch) -> FitResult:
    """Run `training.fit.fit_network` in Ray Train workers; `dataset` must be the one prepared in `work/data`."""
    del dataset  # Workers map it from the work folder: pixels never cross the object store.
    use_gpu = _gpus_for_all(config.num_workers) if config.use_gpu is None else config.use_gpu
    starts = _starts(config)
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"spec": spec.name, "config": config.model_dump(mode="json"), "work": str(work)},
        scaling_config=ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=RunConfig(
            # The name is unique: a fit continues from our checkpoint, not from Ray's record of an earlier run.
            name=f"{spec.name}-{uuid4().hex[:8]}",
            storage_path=str(work / "ray"),
            # Type checkers see the class of an older Ray Train, which lacks the limit.
            failure_config=FailureConfig(max_failures=MAX_RESTARTS, controller_failure_limit=starts),  # type: ignore[call-arg]
        ),
    )
    end_ray_train_at_once(trainer)
    history_file = work / spec.name / "history.json"
    history = _watch(trainer, history_file, on_epoch)
    return FitResult(spec.name, work / spec.name / "best.safetensors", tuple(history))


def check_room(config: TrainConfig, ray_address: str | None) -> None:
    """Check that a private Ray has the CPUs of all workers; a cluster may get more nodes, so it is only warned about.

    Ray waits for workers without a CPU, and says nothing.

    Raises:
        TrainingError: this machine has fewer CPUs.
    """
    needed, there = _cpus(config)
    if needed <= there:
        return
    text = f"{config.num_workers} workers of {config.cpus_per_worker:g} CPU each need {needed:g} CPUs, got {there:g}"
    if ray_address is None or ray_address == PRIVATE_RAY:
        raise TrainingError(f"{text} on this machine; train with fewer --workers")
    _LOG.warning("%s on the cluster at %s: waiting for more, at most %d minutes", text, ray_address, MAX_STARTS + 1)


def _starts(config: TrainConfig) -> int:
    """Return how often workers that did not start are asked for again; -1 for always, because busy CPUs become free."""
    needed, there = _cpus(config)
    return -1 if needed <= there else MAX_STARTS


def _cpus(config: TrainConfig) -> tuple[float, float]:
    """Return the number of CPUs that the workers need, and of those that the cluster has."""
    return config.num_workers * config.cpus_per_worker, ray.cluster_resources().get("CPU", 0)


def _gpus_for_all(num_workers: int) -> bool:
    return bool(ray.cluster_resources().get("GPU", 0) >= num_workers)


def _watch(trainer: TorchTrainer, history_file: Path, on_epoch: OnEpoch) -> list[EpochRecord]:
    """Run `trainer`, pass on every epoch as its record appears, and return the whole history."""
    seen = 0
    with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
        # Ray itself calls deprecated functions.
        warnings.simplefilter("ignore", DeprecationWarning)
        running = pool.submit(trainer.fit)
        while True:
            finished = running.done()
            history = load_history(history_file)
            for record in history[seen:]:
                on_epoch(record)
            seen = len(history)
            if finished:
                break
            time.sleep(POLL_S)
    try:
        running.result()
    except (TrainingFailedError, RayError) as error:
        kind = ClusterError if _is_of_the_cluster(error) else TrainingError
        raise kind(f"{history_file.parent.name}: training failed on Ray: {_cause(error)}") from error
    return history


def _is_of_the_cluster(error: Exception) -> bool:
    """Return whether workers did not start, or went away: what their code raises otherwise, it would raise again.

    When one of two workers goes away, the other one raises an error of their connection.
    """
    if isinstance(error, ControllerError):
        # Ray's classes of these errors are private.
        return type(error.controller_failure).__name__.startswith("WorkerGroupStartup")
    failures: dict[int, Exception] = getattr(error, "worker_failures", {0: error})
    found = [getattr(failure, "health_check_failure", failure) for failure in failures.values()]
    return any(isinstance(failure, RayError) and not isinstance(failure, RayTaskError) for failure in found)


def _cause(error: Exception) -> str:
    """Return the last line of the error that a worker raised."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    first = next(iter(failures.values()), error)
    return str(first).strip().splitlines()[-1]


def _train_worker(given: dict[str, Any]) -> None:
    """Train in one Ray Train worker; all workers report once an epoch."""
    context = ray.train.get_context()
    # Ray limits threads to the reserved CPUs; the workers of a machine share all its cores instead.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // context.get_local_world_size()))
    config = TrainConfig.model_validate(given["config"])
    spec = config.network(given["spec"])
    work = Path(given["work"])
    device = get_device()
    worker = Worker(
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
        device=str(device),
        wrap=lambda network: prepare_model(network, move_to_device=False),
    )
    fit_network(spec, open_dataset(work / "data"), config, work, lambda record: ray.train.report(asdict(record)), worker)
