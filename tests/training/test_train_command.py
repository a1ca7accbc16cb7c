"""Tests of `lensscan train` with Ray and two workers that train together; one worker is killed during training."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.package import load_package
from scanner.networks.parameters import he_initialise
from scanner.sources.shards import decode_shard
from tests.training.shards import write_shards
from tests.training.workers import train_workers
from training.batches import BatchSource
from training.build import work_folder
from training.checkpoint import load_history
from training.config import TrainConfig
from training.dataset import open_dataset
from training.fit import _number, _seeded
from training.step import class_weights, cross_entropy, evaluate

# Two minutes, most of which Ray takes to start workers twice; test_trainer.py fits with Ray in the short suite.
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
OU_H = PAPER_NETWORKS[2]
N_EPOCHS, KILLED_AFTER = 5, 2
PRESET = TrainConfig(
    epochs=99,
    batch_size=8,
    networks=(OU_H,),
    learning_rate=1e-3,
    schedule="one_cycle",
    validation_fraction=0.3,
    test_fraction=0.3,
    bfloat16=False,
    cpus_per_worker=0.5,
    use_gpu=False,
)
"""Configuration with one network of the paper; the presets have seven or three."""
COMMAND = """
import sys
import flows.commands.train
from flows.cli.main import main
from training.config import TrainConfig
flows.commands.train.PRESETS = {"laptop": TrainConfig.model_validate_json(sys.argv.pop(1))}
main()
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), 80)


@dataclass(frozen=True)
class Killed:
    """A command that ended well after one of its workers was killed."""

    answer: dict
    out: Path
    history: list
    """History just after the kill."""
    workers: list
    """Process ids at the kill."""
    later_workers: set
    """Process ids of workers that were first seen after the kill."""


@pytest.fixture(scope="module")
def killed(shards, tmp_path_factory):
    for _ in range(3):
        command = run_and_kill_a_worker(shards, tmp_path_factory.mktemp("train"))
        if len(command.history) < N_EPOCHS:
            return command
    raise AssertionError("three times the fit was over when the worker was killed")


def run_and_kill_a_worker(shards, out):
    options = ("--out", str(out), "--name", "tiny", "--epochs", str(N_EPOCHS), "--workers", "2", "--json")
    command = [sys.executable, "-c", COMMAND, PRESET.model_dump_json(), "train", shards, *options]
    stdout, stderr = out / "stdout", out / "stderr"
    # Output goes to files, because a full pipe would stop the command.
    with (
        stdout.open("w") as output,
        stderr.open("w") as errors,
        subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True) as process,
    ):
        try:
            wait_for_epochs(process, out)
            workers = train_workers(process.pid)
            for pid in workers[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            history = load_history(history_file(out))
            later = workers_until_the_end(process) - set(workers)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, stderr.read_text()
    return Killed(json.loads(stdout.read_text()), out, history, workers, later)


def wait_for_epochs(process, out):
    while process.poll() is None and len(load_history(history_file(out))) < KILLED_AFTER:
        time.sleep(0.01)


def workers_until_the_end(process):
    seen = set()
    while process.poll() is None:
        seen.update(train_workers(process.pid))
        time.sleep(0.2)
    return seen


def history_file(out):
    return work_folder(out, "tiny") / "OU-H" / "history.json"


def test_training_continues_after_a_worker_is_killed(killed):
    assert KILLED_AFTER <= len(killed.history) < N_EPOCHS
    assert len(killed.workers) == 2
    assert killed.later_workers, "no worker was started anew"
    history = load_history(history_file(killed.out))
    assert [record.epoch for record in history] == [*range(1, N_EPOCHS + 1)]
    # The times are equal too: these epochs are not repeated.
    assert history[: len(killed.history)] == killed.history


def test_a_kill_does_not_change_the_result(killed):
    """An undisturbed single process that averages two workers' gradients gets the same result."""
    history = load_history(history_file(killed.out))
    dataset = open_dataset(work_folder(killed.out, "tiny") / "data")
    expected = trained_by_two(dataset, PRESET.model_copy(update={"epochs": N_EPOCHS}))
    assert [r.train_loss for r in history] == pytest.approx([train for train, _ in expected], rel=1e-3)
    assert [r.validation_loss for r in history] == pytest.approx([checked for _, checked in expected], rel=1e-3)


def trained_by_two(dataset, config):
    """Return the training loss of the first worker and the validation loss of each epoch."""
    rows = {split: dataset.rows(split, 0.3, 0.3) for split in ("train", "validation")}
    weights = {split: class_weights(dataset.labels(OU_H.classes)[chosen], OU_H.classes) for split, chosen in rows.items()}
    source = BatchSource(dataset, OU_H, config.batch_size)
    with _seeded(config, OU_H, epoch=0):
        network = OU_H.build()
        he_initialise(network)
    # Dropout draws random numbers in memory order.
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0)
    losses = []
    for epoch in range(1, config.epochs + 1):
        rngs = [np.random.default_rng([config.seed, _number(OU_H), epoch]) for _ in range(2)]
        parts = [[*source.shuffled(rows["train"], rng, augment=True, rank=k, world_size=2)] for k, rng in enumerate(rngs)]
        states = []
        for rank in range(2):
            with _seeded(config, OU_H, epoch, rank):
                states.append(torch.get_rng_state())
        network.train()
        seen = np.empty((0, 2))
        for step, batches in enumerate(zip(*parts, strict=True)):
            optimiser.zero_grad()
            for rank, (inputs, labels) in enumerate(batches):
                with torch.random.fork_rng():
                    torch.set_rng_state(states[rank])
                    loss = cross_entropy(network(inputs.to(memory_format=torch.channels_last)), labels, weights["train"])
                    states[rank] = torch.get_rng_state()
                (loss / 2).backward()
                if rank == 0:
                    seen = np.append(seen, [[loss.item(), len(labels)]], axis=0)
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate_at((epoch - 1 + step / len(parts[0])) / config.epochs)
            optimiser.step()
        checked = evaluate(network, source.in_order(rows["validation"]), weights["validation"], bfloat16=False)
        losses.append((np.average(seen[:, 0], weights=seen[:, 1]), checked.loss))
    return losses


def test_the_package_scores_its_training_shards_well(killed, shards):
    answer, out = killed.answer, killed.out
    assert answer.keys() == {"ensemble", "package", "test_auroc"}
    assert (answer["ensemble"], answer["package"]) == ("tiny", str(out / "tiny"))
    ensemble = load_package(out / "tiny")
    assert ensemble.network_names == ("OU-H",)
    scores = [ensemble.score(decode_shard(path.read_bytes()).stamps).p_lens for path in sorted(Path(shards).iterdir())]
    dataset = open_dataset(work_folder(out, "tiny") / "data")
    is_lens, test = dataset.kinds > 0, dataset.rows("test", 0.3, 0.3)
    p_lens = np.concatenate(scores)
    assert roc_auc_score(is_lens, p_lens) > 0.8
    assert answer["test_auroc"] == pytest.approx(roc_auc_score(is_lens[test], p_lens[test]), abs=0.02)
