"""Tests of the GPU's arithmetic on the CPU; cases that need a GPU run where there is one."""

import numpy as np
import pytest
import torch
from torch import nn

from scanner.networks.cuda_engine import BATCH, CudaEngine
from scanner.networks.package import load_network
from scanner.networks.torch_engine import TorchEngine
from tests.scanner.engine_inputs import SHIPPED, check_logits, inputs_of

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["compact-sky", "equivariant-sky", "OU-JYH"])
def test_same_logits_as_torch(name, precision, device):
    folder, card = SHIPPED[name]
    inputs = inputs_of(card, 20)
    expected = TorchEngine(load_network(folder, card)).logits(inputs)
    got = CudaEngine(load_network(folder, card), precision, device).logits(inputs)
    check_logits(got, expected, precision)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_object_has_the_same_bits_in_any_batch(precision, device, rng):
    folder, card = SHIPPED["equivariant-centre"]
    engine = CudaEngine(load_network(folder, card), precision, device)
    n = BATCH + 6
    inputs = inputs_of(card, n)
    whole = engine.logits(inputs)
    order = rng.permutation(n)
    assert np.array_equal(engine.logits(inputs[order]), whole[order])
    assert np.array_equal(engine.logits(inputs[5:6]), whole[5:6])
    assert engine.logits(inputs[:0]).shape == (0, 4)


@pytest.mark.parametrize("device", DEVICES)
def test_features_are_what_the_last_layer_reads(device):
    folder, card = SHIPPED["equivariant-centre"]
    inputs = inputs_of(card, BATCH + 6)
    expected_logits, expected = TorchEngine(load_network(folder, card)).logits_and_features(inputs)
    logits, features = CudaEngine(load_network(folder, card), device=device).logits_and_features(inputs)
    check_logits(logits, expected_logits, "float32")
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_float32_means_float32_whatever_the_process_allows():
    seen = []

    class Watch(nn.Module):
        def forward(self, x):
            cudnn = torch.backends.cudnn
            seen.append((cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.get_float32_matmul_precision()))
            return x

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        engine = CudaEngine(nn.Sequential(Watch(), nn.Flatten()), device="cpu")
        for run in (engine.logits, engine.logits_and_features):
            run(np.zeros((1, 1, 2, 2), np.float32))
        assert seen == [(False, True, False, "highest")] * 2
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
