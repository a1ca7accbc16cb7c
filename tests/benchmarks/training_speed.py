"""Measure training steps with normalisation, ReLU and pooling in one pass beside steps with torch's own layers."""

from collections.abc import Callable

import torch
from torch import nn

from scanner.networks.architectures import COMMITTEE_NETWORKS, FIRST_STAGE_NETWORKS, NetworkSpec
from scanner.networks.parameters import he_initialise
from tests.benchmarks.rates import in_turns, over, seconds_of, spreads
from tests.benchmarks.sizes import CORES, Sizes
from training.fit import has_fast_bfloat16
from training.fused_norm import with_fused_norms
from training.step import train_epoch

NETWORKS = {"equivariant": "equivariant-sky", "compact": "compact-sky", "light": "light"}
"""Maps the suffix of each figure's name to a network of the flagship."""
_BATCH, _SIDE_PIXELS, _N_KINDS = 64, 100, 4


def measure(sizes: Sizes) -> dict[str, float]:
    """Measure the figures of the part `training`, by name."""
    torch.set_num_threads(CORES)
    specs = {spec.name: spec for spec in (*COMMITTEE_NETWORKS, *FIRST_STAGE_NETWORKS)}
    rates: dict[str, Callable[[], float]] = {}
    for short, name in NETWORKS.items():
        rates[f"train_per_s_{short}"] = _rate(specs[name], sizes, with_fused_norms)
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
    inputs = torch.randn(_BATCH, len(spec.channels), _SIDE_PIXELS, _SIDE_PIXELS)
    labels = torch.arange(_BATCH) % _N_KINDS

    def train(n_batches: int) -> None:
        batches = [(inputs, labels)] * n_batches
        train_epoch(trained, optimiser, batches, torch.ones(_N_KINDS), bfloat16=has_fast_bfloat16("cpu"))

    train(1)
    return lambda: sizes.n_train_batches * _BATCH / seconds_of(lambda: train(sizes.n_train_batches))
