"""Tests of checkpoints: what is restored trains on as if never stored."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.training.tiny import LINEAR, SIDE
from training import checkpoint
from training.checkpoint import (
    EpochRecord,
    load_checkpoint,
    load_history,
    save_checkpoint,
    save_history,
    save_weights,
)
from training.errors import TrainingError

HISTORY = [EpochRecord(1, 2.5, 0.7, 0.5, 0.8, 0.4), EpochRecord(2, 2.4, 0.6, 0.6, 0.75, 0.5)]


def pair(seed):
    """Return a network with random weights and its optimiser."""
    torch.manual_seed(seed)
    network = LINEAR.build()
    return network, torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)


def steps(network, optimiser, n):
    for i in range(n):
        inputs = torch.linspace(-1, 1 + i, 2 * SIDE**2).reshape(2, 1, SIDE, SIDE)
        optimiser.zero_grad()
        network(inputs).square().sum().backward()
        optimiser.step()


@pytest.fixture
def stored(tmp_path):
    """Store a network after three steps; return the file, the network and the optimiser."""
    network, optimiser = pair(1)
    steps(network, optimiser, 3)
    save_checkpoint(tmp_path / "last.safetensors", network, optimiser, HISTORY, "a fit")
    return tmp_path / "last.safetensors", network, optimiser


def test_a_restored_fit_takes_the_same_steps(stored):
    path, network, optimiser = stored
    other, restored = pair(2)
    assert load_checkpoint(path, other, restored, "a fit") == HISTORY
    for fit in ((network, optimiser), (other, restored)):
        steps(*fit, 2)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_without_a_checkpoint_nothing_changes(tmp_path):
    network, optimiser = pair(1)
    assert load_checkpoint(tmp_path / "last.safetensors", network, optimiser, "a fit") == []
    assert torch.equal(network[1].weight, pair(1)[0][1].weight)


def test_a_checkpoint_of_another_fit_is_refused(stored):
    with pytest.raises(TrainingError, match=r"last\.safetensors: belongs to a fit with another configuration, other data or, "):
        load_checkpoint(stored[0], *pair(2), "another fit")


@pytest.mark.parametrize("spoil", [lambda _: b"rubbish", lambda data: data[:-1]], ids=["rubbish", "cut"])
def test_a_damaged_checkpoint_is_named(stored, spoil):
    path = stored[0]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(TrainingError, match=r"last\.safetensors: not a readable checkpoint .* delete it to start"):
        load_checkpoint(path, *pair(2), "a fit")


def test_a_kill_while_writing_leaves_the_epoch_before(stored, monkeypatch):
    path, network, optimiser = stored
    before = path.read_bytes()

    def killed(_tensors, part, _metadata):
        part.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, network, optimiser, [], "a fit")
    assert path.read_bytes() == before


def test_histories_are_lists_of_records(tmp_path):
    path = tmp_path / "history.json"
    assert load_history(path) == []
    save_history(path, HISTORY)
    assert load_history(path) == HISTORY
    assert json.loads(path.read_text())[0]["validation_loss"] == 0.8
    assert [file.name for file in tmp_path.iterdir()] == ["history.json"]


def test_weights_are_stored_by_name(tmp_path):
    network, _ = pair(3)
    save_weights(tmp_path / "best.safetensors", network)
    weights = load_file(tmp_path / "best.safetensors")
    assert set(weights) == {"1.weight", "1.bias"}
    assert torch.equal(weights["1.weight"], network[1].weight)
