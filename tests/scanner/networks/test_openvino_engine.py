import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.openvino_engine import BATCH, OpenVinoEngine, has_bfloat16, works
from scanner.networks.package import load_network
from scanner.networks.torch_engine import TorchEngine
from tests.scanner.engine_inputs import SHIPPED, check_logits, field_of, inputs_of

pytestmark = pytest.mark.skipif(not works(), reason="OpenVINO does not work on this machine")
PRECISIONS = [
    "float32",
    pytest.param("bfloat16", marks=pytest.mark.skipif(works() and not has_bfloat16(), reason="this CPU has no bfloat16")),
]


@cache
def engine_of(name, precision, threads=1):
    folder, card = SHIPPED[name]
    return OpenVinoEngine(load_network(folder, card), len(card.channels), card.input_pixels, precision, threads)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", SHIPPED)
def test_same_logits_as_torch(name, precision):
    folder, card = SHIPPED[name]
    # A batch and a part of one.
    inputs = inputs_of(card, 2 * BATCH)[: BATCH + 5]
    expected = TorchEngine(load_network(folder, card)).logits(inputs)
    got = engine_of(name, precision).logits(inputs)
    check_logits(got, expected, precision)
    assert np.ptp(expected[:, 1] - expected[:, 0]) > 0.3, "different inputs must give different outputs, or this shows nothing"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("name", "n"), [("equivariant-centre", 80), ("compact-sky", 80), ("OU-66", 80), ("OU-200", 20)])
def test_an_object_has_the_same_bits_in_any_batch(name, n, precision, rng):
    engine = engine_of(name, precision)
    inputs = inputs_of(SHIPPED[name][1], n)
    whole = engine.logits(inputs)
    assert len(np.unique(whole, axis=0)) > n / 2
    order = rng.permutation(n)
    assert np.array_equal(engine.logits(inputs[order]), whole[order])
    for size in [size for size in (1, 7, 64) if size < n]:
        some = range(0, n, max(size, n // 4))
        assert all(np.array_equal(engine.logits(inputs[i : i + size]), whole[i : i + size]) for i in some)


@pytest.mark.parametrize("package", ["mer3-cascade", "ou7-sim"])
def test_the_number_of_threads_changes_no_bit(package):
    folder = SHIPPED_DIR / package
    for card in read_card(folder).all_networks:
        inputs, network, n_channels = inputs_of(card, BATCH + 3), load_network(folder, card), len(card.channels)
        engines = (OpenVinoEngine(network, n_channels, card.input_pixels, threads=n) for n in (1, 2, 3))
        one, *others = (engine.logits(inputs) for engine in engines)
        assert all(np.array_equal(one, logits) for logits in others), card.name


def test_inputs_of_any_layout_are_read_and_not_changed():
    engine = engine_of("OU-JYH", "float32")
    inputs = inputs_of(SHIPPED["OU-JYH"][1], 9)
    before = inputs.copy()
    expected = engine.logits(inputs)
    inputs.setflags(write=False)
    assert np.array_equal(engine.logits(inputs), expected)
    assert np.array_equal(engine.logits(np.asfortranarray(inputs)), expected)
    assert np.array_equal(engine.logits(inputs.astype(np.float64)), expected)
    assert np.array_equal(inputs, before)
    assert engine.logits(inputs[:0]).shape == (0, 2)


def test_results_outlive_the_next_call():
    engine = engine_of("OU-H", "float32")
    inputs = inputs_of(SHIPPED["OU-H"][1], 16)
    first = engine.logits(inputs[:8])
    kept = first.copy()
    engine.logits(inputs[8:])
    assert np.array_equal(first, kept)


def test_openvino_is_imported_late_and_sends_no_telemetry(tmp_path):
    """OpenVINO reports its use over the network unless that is blocked, and leaves an identifier in the home folder."""
    code = """
import sys
seen = set()
sys.addaudithook(lambda event, args: seen.add(event))
from torch import nn
from scanner.networks import engines
assert "openvino" not in sys.modules
# On import, urllib3 checks whether this machine has IPv6: it binds a socket on loopback.
seen.clear()
engines.make_engine(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), 1, 5, "openvino", threads=1)
assert "openvino" in sys.modules
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
# OpenVINO sends reports from a separate process.
sent = [event for event in seen if event.startswith(("socket.", "urllib.", "os.fork", "os.posix_spawn", "subprocess."))]
sys.exit(f"used the network or a process: {sent}" if sent else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", SHIPPED)
def test_features_are_what_the_last_layer_reads(name):
    """The last layer, applied by hand to the features, gives the logits, which are those without features to the last bit."""
    folder, card = SHIPPED[name]
    # A batch and a part of one, or a part alone for the large images.
    n = 11 if card.input_pixels < 200 else 5
    inputs = inputs_of(card, n)
    logits, features = engine_of(name, "float32").logits_and_features(inputs)
    assert np.array_equal(logits, engine_of(name, "float32").logits(inputs))
    last = load_network(folder, card)[-1]
    weight, bias = (values.detach().double().numpy() for values in (last.weight, last.bias))
    assert features.shape == (n, weight.shape[1])
    np.testing.assert_allclose(features.astype(np.float64) @ weight.T + bias, logits, rtol=1e-4, atol=1e-4)
    assert len(np.unique(features, axis=0)) > n / 2
    kept = features.copy()
    engine_of(name, "float32").logits_and_features(inputs[::-1])
    assert np.array_equal(features, kept)


@pytest.mark.parametrize("name", ["compact-sky", "equivariant-sky", "OU-JYH"])
def test_the_field_alone_decides_every_bit(name):
    folder, card = SHIPPED[name]
    inputs = inputs_of(card, 9)
    network = load_network(folder, card)
    whole, field = (OpenVinoEngine(network, len(card.channels), n, threads=1) for n in (card.input_pixels, card.field_pixels))
    assert np.array_equal(field.logits(field_of(inputs, card)), whole.logits(inputs))
