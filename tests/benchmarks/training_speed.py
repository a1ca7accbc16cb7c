"""Measure training steps with the layers between convolutions in one pass beside steps with torch's own layers."""

from collections.abc import Callable

import torch
from torch import nn

from scanner.networks.architectures import COMMITTEE_NETWORKS, FIRST_STAGE_NETWORKS, PAPER_NETWORKS, NetworkSpec
from scanner.networks.parameters import he_initialise
from tests.benchmarks.rates import in_turns, over, seconds_of, spreads
from tests.benchmarks.sizes import CORES, Sizes
from training.fit import has_fast_bfloat16
from training.fused_steps import with_fused_steps
from training.step import train_epoch

NETWORKS = {"equivariant": "equivariant-sky", "compact": "compact-sky", "light": "light", "ou66": "OU-66", "ou200": "OU-200"}
"""Maps the suffix of each figure's name to a network of the flagship or of the paper."""
_BATCH = 64


def measure(sizes: Sizes) -> dict[str, float]:
    """Measure the figures of the part `training`, by name."""
    torch.set_num_threads(CORES)
    specs = {spec.name: spec for spec in (*COMMITTEE_NETWORKS, *FIRST_STAGE_NETWORKS, *PAPER_NETWORKS)}
    rates: dict[str, Callable[[], float]] = {}
    for short, name in NETWORKS.items():
        rates[f"train_per_s_{short}"] = _rate(specs[name], sizes, with_fused_steps)
        rates[f"train_torch_per_s_{short}"] = _rate(specs[name], sizes, lambda network: network)
    runs = in_turns(rates, sizes.rounds)
    for short in NETWORKS:
        runs[f"train_over_torch_{short}"] = over(runs[f"train_per_s_{short}"], runs[f"train_torch_per_s_{short}"])
    return spreads(runs)


def _rate(spec: NetworkSpec, sizes: Sizes, layers: Callable[[nn.Module], nn.Module]) -> Callable[[], float]:
    """Return a function that trains on some batches of noise and returns the objects per second, once warm."""
    torch.manual_seed(0)
    network = spec.build()
    he_initialise(network)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = layers(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-6)
    inputs = torch.randn(_BATCH, len(spec.channels), spec.input_pixels, spec.input_pixels)
    labels = torch.arange(_BATCH) % len(spec.classes)

    def train(n_batches: int) -> None:
        batches = [(inputs, labels)] * n_batches
        train_epoch(trained, optimiser, batches, torch.ones(len(spec.classes)), bfloat16=has_fast_bfloat16("cpu"))

    train(1)
    return lambda: sizes.n_train_batches * _BATCH / seconds_of(lambda: train(sizes.n_train_batches))
