"""Run the flows `simulate`, `train` and `evaluate` with errors at their steps, and print what they did.

The arguments are SHARDS OTHER_SHARDS FOLDER; a Prefect server is in the environment.
"""

import json
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import flows.commands.evaluate
import flows.commands.simulate
import flows.commands.train
import flows.retries
import simulation.run
import training.evaluation.metrics
import training.fit
from flows.evaluate import evaluate
from flows.simulate import simulate
from flows.train import train
from infra.errors import ClusterError
from infra.store.files import StorageError
from scanner.networks.architectures import PAPER_NETWORKS
from training.config import TrainConfig
from training.errors import TrainingError

PRESET = TrainConfig(
    epochs=3,
    batch_size=8,
    networks=(PAPER_NETWORKS[2],),
    validation_fraction=0.35,
    test_fraction=0.35,
    bfloat16=False,
    use_gpu=False,
)
"""Configuration with one network of the paper; the presets have seven or three."""
SHARD = simulation.run.Simulator, "shard", lambda *_: "shard"
SHEET = flows.commands.simulate, "write_contact_sheet", lambda *_: "sheet"
EPOCH = training.fit._Run, "epoch", lambda _run, number, *_: f"epoch {number}"
SCORE = flows.commands.evaluate, "score_shards", lambda *_: "score"


@contextmanager
def watched(told, holder, name, label, *errors):
    """Add each call of `holder.name` to `told`; call i raises the error i, unless it is None or there are fewer."""
    real, left = getattr(holder, name), list(errors)

    def step(*args, **options):
        error = left.pop(0) if left else None
        told.append(label(*args) if error is None else type(error).__name__)
        if error is not None:
            raise error
        return real(*args, **options)

    setattr(holder, name, step)
    try:
        yield
    finally:
        setattr(holder, name, real)


def outcome(run, *steps):
    """Run a flow; return the calls of its steps, and how it ended."""
    told = []
    with ExitStack() as watches:
        for step in steps:
            watches.enter_context(watched(told, *step))
        try:
            run()
        except Exception as error:  # noqa: BLE001 - `told` ends with the error of the step
            return [*told, f"failed: {type(error).__name__}"]
    return [*told, "done"]


def main():
    """Run each flow with an error of the infrastructure, then with another error."""
    shards, others, folder = sys.argv[1:]
    flows.retries.DELAYS_S = (0.0, 0.0)
    training.evaluation.metrics.N_BOOTSTRAP = 10
    flows.commands.train.PRESETS = {"laptop": PRESET}

    def simulated():
        simulate(f"{folder}/simulated", 2, kinds="single", workers=1)

    def trained(name="new"):
        train(shards, Path(folder) / "trained", name)

    def evaluated():
        evaluate(others, f"{folder}/trained/new", f"{folder}/evaluation")

    unusable = [TrainingError("unusable")] * 3
    found = {
        "simulate": outcome(simulated, SHARD, (*SHEET, StorageError("no reply"), ClusterError("gone"))),
        "simulate, no store": outcome(simulated, (*SHEET, *[StorageError("no reply")] * 9)),
        "simulate, error of code": outcome(simulated, SHARD, (*SHEET, *[ValueError("no such colour")] * 3)),
        "train": outcome(trained, (*EPOCH, None, ConnectionResetError("reset"))),
        "train, error of data": outcome(lambda: trained("other"), (*EPOCH, *unusable)),
        "evaluate": outcome(evaluated, (*SCORE, StorageError("no reply"))),
        "evaluate, error of data": outcome(evaluated, (*SCORE, *unusable)),
    }
    sys.stdout.write(json.dumps(found) + "\n")
