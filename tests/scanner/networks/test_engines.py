from functools import partial

import numpy as np
import pytest
import torch

from scanner.networks import engines, openvino_engine
from scanner.networks.cuda_engine import CudaEngine
from scanner.networks.engines import available_engines, fast_precision, make_engine, resolve_engine
from scanner.networks.errors import EngineError
from scanner.networks.openvino_engine import OpenVinoEngine
from scanner.networks.package import load_network, load_package
from scanner.networks.torch_engine import TorchEngine
from tests.scanner.engine_inputs import SHIPPED, field_of, inputs_of

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def only(monkeypatch, *names):
    """Make this machine appear to support only these engines."""
    works = {name: lambda name=name: name in names for name in engines._WORKS}
    monkeypatch.setattr(engines, "_WORKS", works)


@pytest.mark.parametrize(
    ("present", "best"),
    [(("cuda", "openvino", "torch"), "cuda"), (("openvino", "torch"), "openvino"), (("torch",), "torch")],
)
def test_auto_is_the_best_available_engine(monkeypatch, present, best):
    only(monkeypatch, *present)
    assert available_engines() == list(present)
    assert resolve_engine("auto") == best


def test_openvino_and_torch_work_here():
    assert [resolve_engine(name) for name in ("openvino", "torch")] == ["openvino", "torch"]


def test_without_the_package_openvino_does_not_work(monkeypatch):
    def core():
        raise ImportError("No module named 'openvino'")

    monkeypatch.setattr(openvino_engine, "_core", core)
    assert not openvino_engine.works()


def test_an_unknown_engine_is_named():
    with pytest.raises(EngineError, match="engine must be one of auto, torch, openvino, cuda, got 'tensorrt'"):
        resolve_engine("tensorrt")


@needs_no_gpu
def test_cuda_without_a_gpu_is_refused_naming_usable_engines():
    with pytest.raises(EngineError, match=r"engine cuda needs an NVIDIA GPU .* this machine can use openvino, torch"):
        resolve_engine("cuda")
    with pytest.raises(EngineError, match="engine cuda needs an NVIDIA GPU"):
        fast_precision("cuda")
    with pytest.raises(EngineError, match="engine cuda needs an NVIDIA GPU"):
        make_engine(torch.nn.Sequential(), 1, 1, "cuda")


def test_a_missing_package_is_named(monkeypatch):
    only(monkeypatch, "torch")
    with pytest.raises(EngineError, match=r"engine openvino needs the package openvino .* this machine can use torch$"):
        resolve_engine("openvino")


def test_only_a_faster_precision_is_allowed(monkeypatch):
    assert fast_precision("torch") is None
    with pytest.raises(EngineError, match="engine torch computes in float32 on this machine, got precision 'bfloat16'"):
        make_engine(torch.nn.Sequential(), 1, 1, "torch", "bfloat16")
    monkeypatch.setattr(openvino_engine, "has_bfloat16", lambda: False)
    assert fast_precision("openvino") is None
    with pytest.raises(EngineError, match="engine openvino computes in float32 on this machine, got precision 'bfloat16'"):
        make_engine(torch.nn.Sequential(), 1, 1, "openvino", "bfloat16")
    monkeypatch.setattr(openvino_engine, "has_bfloat16", lambda: True)
    assert fast_precision("openvino") == "bfloat16"
    with pytest.raises(EngineError, match="computes in float32 or bfloat16 on this machine, got precision 'float16'"):
        make_engine(torch.nn.Sequential(), 1, 1, "openvino", "float16")


@pytest.mark.parametrize("is_usable", [True, False])
def test_a_driver_is_not_enough_for_cuda(monkeypatch, is_usable):
    monkeypatch.setattr(engines, "_NVIDIA_DRIVER", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_usable)
    assert ("cuda" in available_engines()) == is_usable


def test_bfloat16_on_a_gpu_must_be_in_its_hardware(monkeypatch):
    only(monkeypatch, "cuda", "torch")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert fast_precision("cuda") is None
    with pytest.raises(EngineError, match="engine cuda computes in float32 on this machine, got precision 'bfloat16'"):
        make_engine(torch.nn.Sequential(), 1, 1, "cuda", "bfloat16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr("scanner.networks.cuda_engine.CudaEngine", partial(CudaEngine, device="cpu"))
    folder, card = SHIPPED["compact-sky"]
    inputs = inputs_of(card, 2)
    made = make_engine(load_network(folder, card), len(card.channels), card.input_pixels, "cuda", "bfloat16")
    expected = CudaEngine(load_network(folder, card), "bfloat16", "cpu").logits(inputs)
    assert np.array_equal(made.logits(inputs), expected)


def test_openvino_gets_precision_and_threads(monkeypatch):
    monkeypatch.setattr(openvino_engine, "has_bfloat16", lambda: True)
    monkeypatch.setattr(engines, "OpenVinoEngine", lambda *given: given)
    assert make_engine("network", 3, 66, "openvino", "bfloat16", 2) == ("network", 3, 66, "bfloat16", 2)


def test_threads_set_the_thread_count_of_torch():
    _, card = SHIPPED["OU-H"]
    before = torch.get_num_threads()
    try:
        engine = make_engine(card.spec.build(), 1, 66, "torch", threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert isinstance(engine, TorchEngine)


def test_a_package_is_loaded_on_the_engine_asked_for():
    folder, card = SHIPPED["compact-sky"]
    assert all(isinstance(engine, TorchEngine) for engine in load_package(folder).engines.values())
    compiled = load_package(folder, "openvino", threads=1).engines
    assert all(isinstance(engine, OpenVinoEngine) for engine in compiled.values())
    inputs = inputs_of(card, 3)
    expected = TorchEngine(load_network(folder, card)).logits(inputs)
    assert np.abs(compiled[card.name].logits(field_of(inputs, card)) - expected).max() < 1e-4
