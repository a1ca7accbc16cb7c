import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.paper_networks import ou66
from scanner.networks.parameters import he_initialise
from scanner.networks.torch_engine import BATCH, TorchEngine


def network(build, seed=0):
    torch.manual_seed(seed)
    net = build(4)
    he_initialise(net)
    return net


@pytest.mark.parametrize("architecture", ["ou66", "ou200", "compact_large", "equivariant_large", "polar"])
def test_an_object_has_the_same_bits_in_any_batch(architecture):
    engine = TorchEngine(network(ARCHITECTURES[architecture].build))
    side = ARCHITECTURES[architecture].input_pixels
    inputs = np.random.default_rng(0).random((BATCH + 3, 4, side, side), dtype=np.float32)
    whole, features = engine.logits_and_features(inputs)
    assert np.ptp(whole) > 1e-4, "different inputs must give different outputs, or the test shows nothing"
    assert np.array_equal(engine.logits(inputs), whole)
    turned, turned_features = engine.logits_and_features(inputs[::-1])
    assert np.array_equal(turned[::-1], whole)
    assert np.array_equal(turned_features[::-1], features)
    for size in (1, 3):
        parts = [engine.logits(inputs[i : i + size]) for i in range(0, len(inputs), size)]
        assert np.array_equal(np.concatenate(parts), whole), f"{size} at a time"


def test_a_dense_layer_gets_one_object_at_a_time():
    """On some processors alone, a product's bits depend on the number of rows, on the row, or on its alignment in memory."""
    net, seen = nn.Sequential(nn.Flatten(), nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 2)), []
    for layer in (net[1], net[3]):
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    TorchEngine(net).logits(np.ones((BATCH + 1, 7, 1, 1), np.float32))
    assert {tuple(x.shape) for x in seen} == {(1, 7), (1, 3)}
    assert {x.storage_offset() for x in seen} == {0}
    assert all(x.untyped_storage().nbytes() == x.nbytes for x in seen)


def test_no_inputs_give_no_logits():
    logits, features = TorchEngine(network(ou66)).logits_and_features(np.zeros((0, 4, 66, 66), np.float32))
    assert logits.shape == (0, 2)
    assert features.shape == (0, 500)


def test_equals_the_network_written_out_by_hand():
    """Run OU-66 from its tensors with functional operations only, in float64, contiguous."""
    net = network(ou66)
    inputs = np.random.default_rng(1).random((3, 4, 66, 66), dtype=np.float32)
    layers = [m.double() for m in network(ou66) if isinstance(m, nn.Conv2d | nn.Linear)]
    x = torch.from_numpy(inputs).double()
    for i, conv in enumerate(layers[:-2]):
        x = functional.relu(functional.conv2d(x, conv.weight, conv.bias))
        x = functional.max_pool2d(x, 2) if i in {0, 4, 8} else x
    x = x.reshape(len(x), -1)
    x = functional.relu(x @ layers[-2].weight.T + layers[-2].bias)
    expected = (x @ layers[-1].weight.T + layers[-1].bias).detach().numpy()
    assert np.abs(TorchEngine(net).logits(inputs) - expected).max() < 1e-5 * np.abs(expected).max()


def test_gradients_after_scoring_are_those_of_finite_differences():
    engine = TorchEngine(network(ou66))
    rng = np.random.default_rng(2)
    engine.logits(rng.random((1, 4, 66, 66), dtype=np.float32))
    x = torch.from_numpy(rng.random((1, 4, 66, 66), dtype=np.float32)).requires_grad_()
    engine.network(x)[0, 1].backward()
    in_double = network(ou66).double().eval()
    step = 1e-6 * torch.from_numpy(rng.normal(size=x.shape))
    with torch.no_grad():
        ends = [in_double(x.double() + sign * step)[0, 1].item() for sign in (1, -1)]
    change = (ends[0] - ends[1]) / 2
    assert abs(change) > 1e-7, "a step that changes nothing shows nothing"
    assert (x.grad.double() * step).sum().item() == pytest.approx(change, rel=1e-3)


def test_features_are_what_the_last_layer_reads():
    net = network(ou66)
    engine = TorchEngine(net)
    inputs = np.random.default_rng(3).random((BATCH + 3, 4, 66, 66), dtype=np.float32)
    logits, features = engine.logits_and_features(inputs)
    assert np.array_equal(logits, engine.logits(inputs))
    expected = features.astype(np.float64) @ net[-1].weight.detach().double().numpy().T + net[-1].bias.detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
