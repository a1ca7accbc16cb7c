"""Fit one network: epochs, history, the best weights kept, and a checkpoint after every epoch."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from infra.provenance import digest, sha256_bytes
from scanner.networks.architectures import NetworkSpec
from scanner.networks.engines import ResolvedEngineName, available_engines, fast_precision
from scanner.networks.parameters import he_initialise
from scanner.vocabulary.kinds import KINDS
from training.batches import BatchSource
from training.checkpoint import EpochRecord
from training.config import TrainConfig
from training.dataset import Dataset, Split
from training.errors import TrainingError
from training.fit_state import FitState
from training.fused_steps import with_fused_steps
from training.graded import GradedShards, repeated
from training.step import class_weights, evaluate, train_epoch
from training.teacher import taught

OnEpoch = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class FitResult:
    """File with the weights of the lowest calibrated validation loss, and the history of the fit."""

    name: str
    weights: Path
    history: tuple[EpochRecord, ...]

    @property
    def best(self) -> EpochRecord:
        return min(self.history, key=lambda record: record.deciding_loss)


@dataclass(frozen=True)
class Worker:
    """Role of this process in a data-parallel fit; the first worker writes the files."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"
    wrap: Callable[[nn.Module], nn.Module] | None = None
    """Makes the network exchange gradients; a single worker does not need this."""


def fit_network(
    spec: NetworkSpec,
    dataset: Dataset,
    config: TrainConfig,
    work: Path,
    on_epoch: OnEpoch | None = None,
    worker: Worker | None = None,
) -> FitResult:
    """Train one network; after a kill, the same call continues after the last complete epoch, with the same result.

    Args:
        spec: Network to train.
        dataset: Data set from `prepare_dataset`.
        config: Epochs, batch sizes, learning rate, seed.
        work: Folder of this ensemble's fits; this fit uses `work/<network>/`.
        on_epoch: Called after every epoch, also for epochs that the checkpoint already holds.
        worker: Role of this process in a data-parallel fit; by default the only worker.

    Raises:
        TrainingError: a class is missing, the loss is not finite, or `work` holds another fit or more epochs.
    """
    worker, on_epoch = worker or Worker(), on_epoch or _ignore
    if config.teacher:
        dataset = taught(dataset, work, config.teacher_share)
    start = start_file(work, spec) if config.start_from else None
    network = _new_network(spec, config, start).to(worker.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    bfloat16 = has_fast_bfloat16(worker.device) if config.bfloat16 is None else config.bfloat16
    fit_id = _fit_id(spec, dataset, config.model_copy(update={"bfloat16": bfloat16}), start)
    state = FitState(work / spec.name, network, optimiser, fit_id, writes=worker.rank == 0)
    state.resume(config.epochs)
    for record in state.history:
        on_epoch(record)
    run = _Run(dataset, spec, config, worker, bfloat16)
    trained = with_fused_steps(network)
    parallel = worker.wrap(trained) if worker.wrap else trained
    for epoch in range(len(state.history) + 1, config.epochs + 1):
        record = run.epoch(epoch, parallel, optimiser)
        state.add(record)
        on_epoch(record)
    return FitResult(spec.name, state.best, tuple(state.history))


def start_file(work: Path, spec: NetworkSpec) -> Path:
    """Return the file of the weights that a fit starts from if `config.start_from` is set; `build_ensemble` writes it."""
    return work / spec.name / "start.safetensors"


def has_fast_bfloat16(device: str) -> bool:
    """Return whether a device computes bfloat16 faster than float32; a CPU without the instructions is five times slower."""
    engine: ResolvedEngineName = "cuda" if device.startswith("cuda") else "openvino"
    return engine in available_engines() and fast_precision(engine) is not None


def _new_network(spec: NetworkSpec, config: TrainConfig, start: Path | None) -> nn.Module:
    """Return a network with the weights of the file `start`, else with random ones that follow from seed and name."""
    with _seeded(config, spec, epoch=0):
        network = spec.build()
        he_initialise(network)
    if start:
        network.load_state_dict(load_file(start))
    return network


def _ignore(record: EpochRecord) -> None:
    """Ignore the record of an epoch."""


class _Run:
    """State that all epochs of a fit share."""

    def __init__(self, dataset: Dataset, spec: NetworkSpec, config: TrainConfig, worker: Worker, bfloat16: bool) -> None:
        self._config, self._spec, self._worker, self._bfloat16 = config, spec, worker, bfloat16
        self._source = BatchSource(dataset, spec, config.batch_size_of(spec))
        simulated, self._validation = (_learnt(dataset, split, config) for split in ("train", "validation"))
        self._train = _with_graded(simulated, dataset, config)
        self._train_weights = self._weights(dataset, self._train, "train")
        self._validation_weights = self._weights(dataset, self._validation, "validation")

    def epoch(self, epoch: int, network: nn.Module, optimiser: torch.optim.Optimizer) -> EpochRecord:
        start = time.perf_counter()
        config, worker = self._config, self._worker
        rng = np.random.default_rng([config.seed, _number(self._spec), epoch])
        batches = self._source.shuffled(
            self._train, rng, augment=config.augment, rank=worker.rank, world_size=worker.world_size
        )
        n_epochs, n_steps = config.epochs, self._source.n_batches(len(self._train), worker.world_size)

        def learning_rate(step: int) -> float:
            return config.learning_rate_at((epoch - 1 + step / n_steps) / n_epochs)

        with _seeded(config, self._spec, epoch, worker.rank):
            trained = train_epoch(
                network, optimiser, batches, self._train_weights, bfloat16=self._bfloat16, learning_rate=learning_rate
            )
        checked = evaluate(network, self._source.in_order(self._validation), self._validation_weights, bfloat16=self._bfloat16)
        if not np.isfinite([trained.loss, checked.loss]).all():
            raise TrainingError(f"{self._spec.name}: loss is not finite in epoch {epoch}; lower the learning rate")
        seconds = time.perf_counter() - start
        return EpochRecord(
            epoch, seconds, trained.loss, trained.accuracy, checked.loss, checked.accuracy, checked.calibrated_loss
        )

    def _weights(self, dataset: Dataset, rows: NDArray[np.int64], split: str) -> Tensor:
        classes = self._spec.classes
        if self._config.lenses_only:
            return _lens_weights(dataset.kind_counts(rows), split).to(self._worker.device)
        try:
            weights = class_weights(dataset.labels(classes)[rows], classes)
        except ValueError as error:
            raise TrainingError(f"{split} split: {error}; train on more objects") from error
        return (weights if self._config.balance_classes else torch.ones_like(weights)).to(self._worker.device)


def _learnt(dataset: Dataset, split: Split, config: TrainConfig) -> NDArray[np.int64]:
    """Return the rows of a split that networks learn, or are checked on: all, or the lenses."""
    rows = dataset.rows(split, config.validation_fraction, config.test_fraction)
    return rows[dataset.kinds[rows] != KINDS.index("nonlens")] if config.lenses_only else rows


def _lens_weights(counts: Mapping[str, int], split: str) -> Tensor:
    """Return equal weights `[kind]`, for objects that are all lenses; every kind of lens must be among them."""
    absent = [kind for kind in KINDS[1:] if not counts.get(kind)]
    if absent:
        raise TrainingError(f"{split} split: every kind of lens needs objects, got none of {', '.join(absent)}")
    return torch.ones(len(KINDS))


def _number(spec: NetworkSpec) -> int:
    """Return a seed from the network's name, the same whichever other networks are trained."""
    return int.from_bytes(spec.name.encode(), "big")


@contextmanager
def _seeded(config: TrainConfig, spec: NetworkSpec, epoch: int, rank: int = 0) -> Iterator[None]:
    """Seed initialisation and dropout from (seed, network, epoch, rank) only: a resumed fit equals an uninterrupted one."""
    seed = np.random.SeedSequence([config.seed, _number(spec), epoch, rank]).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng():
        torch.manual_seed(int(seed))
        yield


def _with_graded(rows: NDArray[np.int64], dataset: Dataset, config: TrainConfig) -> NDArray[np.int64]:
    """Return the rows of an epoch: those given, and each graded object as often as its weight and `config.graded_share` say."""
    if config.graded is None:
        return rows
    weights = GradedShards(config.graded).weights()
    graded = dataset.graded_rows
    of_rows = np.array([weights[object_id] for object_id in dataset.group_ids[graded].tolist()])
    return np.concatenate([rows, np.repeat(graded, repeated(len(rows), of_rows, config.graded_share))])


_DECIDES_NO_EPOCH = {
    *("epochs", "networks", "cpus_per_worker", "use_gpu", "prevalence", "compound_share"),
    *("start_from", "teacher", "teacher_share", "graded", "graded_share"),
}
"""Settings that do not change the result of an epoch of one network, or that the digest counts in another form."""


def _fit_id(spec: NetworkSpec, dataset: Dataset, config: TrainConfig, start: Path | None) -> str:
    """Return the digest of all that decides an epoch's result.

    At a constant learning rate the number of epochs does not decide, so a fit can be prolonged.
    """
    kept = config.model_dump(mode="json", exclude=_DECIDES_NO_EPOCH)
    n_epochs = None if config.schedule == "constant" else config.epochs
    network = [spec.name, spec.architecture, [channel.model_dump() for channel in spec.channels]]
    begun_with = [sha256_bytes(start.read_bytes())] if start else []
    targets = [] if dataset.kind_targets is None else [{"targets": sha256_bytes(dataset.kind_targets.tobytes())}]
    graded = [] if config.graded is None else [{"graded": GradedShards(config.graded).weights(), "share": config.graded_share}]
    return digest([network, dataset.digest, kept, n_epochs, *begun_with, *targets, *graded])
