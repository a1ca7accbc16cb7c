"""Engines that run networks, and the choice of one that this machine can use. All turn float32 pixels into float32 logits.

Torch is imported by the engines that need it, because importing it takes a second: OpenVINO runs graphs without it.
"""

import ctypes
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from infra.engine_name import EngineName
from scanner.networks import openvino_engine
from scanner.networks.ensemble import Engine
from scanner.networks.errors import EngineError
from scanner.networks.openvino_engine import OpenVinoEngine
from scanner.networks.precision import Precision

AnyNetwork = Any
"""A network as an `nn.Sequential`, which every engine takes, or as an `openvino.Model`, which the engine openvino takes."""
ResolvedEngineName = Literal["cuda", "openvino", "torch"]
"""Names of the engines themselves, without `auto`, in order of preference."""


def _cuda_works() -> bool:
    """Return whether there is a GPU that torch can use; without NVIDIA's driver, torch need not be asked."""
    try:
        ctypes.CDLL(_NVIDIA_DRIVER)
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


_NVIDIA_DRIVER = "libcuda.so.1"
_WORKS: Mapping[ResolvedEngineName, Callable[[], bool]] = MappingProxyType(
    {"cuda": _cuda_works, "openvino": openvino_engine.works, "torch": lambda: True}
)
_NEEDS: Mapping[ResolvedEngineName, str] = MappingProxyType(
    {
        "cuda": "an NVIDIA GPU and a torch built for it",
        "openvino": "the package openvino and a CPU that it supports",
        "torch": "nothing else",
    }
)


def available_engines() -> list[ResolvedEngineName]:
    """Return the engines that this machine can use, best first."""
    return [name for name, works in _WORKS.items() if works()]


def resolve_engine(name: EngineName) -> ResolvedEngineName:
    """Return the engine of that name, or for `auto` the best one that this machine can use.

    Raises:
        EngineError: the engine does not exist, or this machine cannot use it.
    """
    if name not in get_args(EngineName):
        raise EngineError(f"engine must be one of {', '.join(get_args(EngineName))}, got {name!r}")
    if name == "auto":
        return available_engines()[0]
    if not _WORKS[name]():
        raise EngineError(f"engine {name} needs {_NEEDS[name]}; this machine can use {', '.join(available_engines())}")
    return name


def fast_precision(name: EngineName) -> Literal["bfloat16"] | None:
    """Return the reduced precision in which that engine is faster than in float32 on this machine, if any.

    Raises:
        EngineError: the engine does not exist, or this machine cannot use it.
    """
    engine = resolve_engine(name)
    if engine == "cuda":
        import torch

        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = engine == "openvino" and openvino_engine.has_bfloat16()
    return "bfloat16" if has_bfloat16 else None


def make_engine(
    network: AnyNetwork,
    n_channels: int,
    n_pixels: int,
    name: EngineName,
    precision: Precision = "float32",
    threads: int | None = None,
) -> Engine:
    """Return an engine that runs `network` on `[batch, n_channels, n_pixels, n_pixels]`.

    Args:
        network: The torch engine keeps it, on the CPU and in eval mode; the others copy it, or take a graph.
        n_channels: Channels of the network's input.
        n_pixels: Side of the network's input.
        name: Name of the engine.
        precision: float32, or the faster precision that `fast_precision` returns.
        threads: CPU threads, for torch those of the whole process; None leaves the number to the engine.

    Raises:
        EngineError: this machine cannot run that engine in that precision.
    """
    engine = resolve_engine(name)
    allowed = [p for p in ("float32", fast_precision(engine)) if p]
    if precision not in allowed:
        raise EngineError(f"engine {engine} computes in {' or '.join(allowed)} on this machine, got precision {precision!r}")
    if engine == "openvino":
        return OpenVinoEngine(network, n_channels, n_pixels, precision, threads)
    if engine == "cuda":
        from scanner.networks.cuda_engine import CudaEngine

        return CudaEngine(network, precision)
    import torch

    from scanner.networks.torch_engine import TorchEngine

    if threads is not None:
        torch.set_num_threads(threads)
    return TorchEngine(network)
