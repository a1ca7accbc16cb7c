"""Networks and data so small that a whole fit takes a moment and can be recomputed by hand."""

import contextlib

import numpy as np
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from scanner.networks.architectures import LENS_OR_NOT, NetworkSpec
from scanner.preprocess.channel import channels
from scanner.vocabulary.kinds import KINDS
from training.config import TrainConfig
from training.dataset import Dataset, PreparedInputs

SIDE = 3
VIS = channels("min_max", "VIS")


class LinearSpec(NetworkSpec):
    """A linear function of nine pixels."""

    input_pixels = SIDE
    classes = LENS_OR_NOT

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 2))


class DeepSpec(LinearSpec):
    """A network large enough to memorise a few objects."""

    def build(self):
        layers = nn.Linear(SIDE**2, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 2)
        return nn.Sequential(nn.Flatten(), *layers)


class KindSpec(LinearSpec):
    """A linear function that distinguishes the kinds."""

    classes = KINDS

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, len(KINDS)))


LINEAR, DEEP, KIND = LinearSpec("linear", "linear", VIS), DeepSpec("deep", "deep", VIS), KindSpec("kind", "kind", VIS)


def tiny_dataset(n, share=0.25, seed=0):
    """Draw `n` objects, a `share` of them lenses: brighter by one in the middle pixel, with noise of one."""
    rng = np.random.default_rng(seed)
    kinds = (rng.random(n) < share).astype(np.int8)
    pixels = rng.normal(0, 1, (n, 1, SIDE, SIDE))
    pixels[:, 0, 1, 1] += kinds
    return Dataset({SIDE: PreparedInputs(VIS, pixels.astype(np.float16))}, kinds, np.arange(n), f"{n} {share} {seed}")


def tiny_config(spec, **changes):
    told = {"epochs": 4, "batch_size": 8, "learning_rate": 1e-2, "bfloat16": False, "seed": 3}
    return TrainConfig(**{"networks": (spec,), "validation_fraction": 0.3, "test_fraction": 0.1} | told | changes)


def rows_of(dataset, config, split):
    return dataset.rows(split, config.validation_fraction, config.test_fraction)


@contextlib.contextmanager
def inputs_seen():
    """Record every batch that a network reads in this context: `{True: in training, False: in evaluation}`."""
    seen = {True: [], False: []}

    def note(module, given):
        if isinstance(module, nn.Sequential):
            seen[module.training].append(given[0].detach().numpy().copy())

    hook = register_module_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


@contextlib.contextmanager
def rates_used():
    """Record the learning rate of every optimiser step in this context."""
    rates = []

    def note(optimiser, *_):
        assert isinstance(optimiser, torch.optim.AdamW)
        rates.extend(group["lr"] for group in optimiser.param_groups)

    hook = register_optimizer_step_pre_hook(note)
    try:
        yield rates
    finally:
        hook.remove()
