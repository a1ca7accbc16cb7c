"""Tests of fits that are killed, prolonged or started wrongly, mostly on a network of nine pixels."""

import pytest
import torch
from safetensors.torch import load_file

from scanner.networks.architectures import FLAGSHIP_NETWORKS
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import MER_10
from tests.training.shards import write_shards
from tests.training.tiny import DEEP, LINEAR, inputs_seen, rows_of, tiny_config, tiny_dataset
from training import fit as fit_module
from training.checkpoint import load_history, save_history, save_weights
from training.config import PRESETS
from training.dataset import prepare_dataset
from training.errors import TrainingError
from training.fit import fit_network, start_file

CONFIG = tiny_config(DEEP, epochs=8, batch_size=16, prevalence=0.1)


@pytest.fixture(scope="module")
def data():
    return tiny_dataset(160)


@pytest.fixture
def short(data, tmp_path):
    """Run a fit of two epochs and return its work folder."""
    fit_network(DEEP, data, with_(epochs=2), tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    work = tmp_path_factory.mktemp("fit")
    return work, fit_network(DEEP, data, CONFIG, work)


def with_(**changes):
    return CONFIG.model_copy(update=changes)


def losses(history):
    return [(r.epoch, r.train_loss, r.validation_loss, r.train_accuracy, r.validation_accuracy) for r in history]


def assert_same(fit, other):
    assert losses(fit.history) == losses(other.history)
    for name in ("best", "last"):
        got, expected = (load_file(f.weights.with_name(f"{name}.safetensors")) for f in (fit, other))
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[key], value) for key, value in expected.items())


class Killed(Exception):
    pass


def kill_after(epoch):
    def kill(record):
        if record.epoch == epoch:
            raise Killed

    return kill


@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_a_killed_fit_continues_to_the_same_result(unbroken, data, tmp_path, epoch):
    with pytest.raises(Killed):
        fit_network(DEEP, data, CONFIG, tmp_path, kill_after(epoch))
    before = load_history(tmp_path / "deep" / "history.json")
    assert [record.epoch for record in before] == [*range(1, epoch + 1)]
    seen = []
    resumed = fit_network(DEEP, data, CONFIG, tmp_path, seen.append)
    assert seen == [*resumed.history] == load_history(tmp_path / "deep" / "history.json")
    # These are the records of the first run, with their times: finished epochs are not repeated.
    assert seen[:epoch] == before
    assert_same(resumed, unbroken[1])


def test_a_finished_fit_is_not_repeated(unbroken, data):
    work, fit = unbroken
    before = fit.weights.stat().st_mtime_ns
    seen = []
    with inputs_seen() as inputs:
        assert fit_network(DEEP, data, CONFIG, work, seen.append).history == fit.history
    assert inputs == {True: [], False: []}
    assert seen == [*fit.history]
    assert fit.weights.stat().st_mtime_ns == before


def test_a_fit_at_a_constant_rate_can_be_prolonged(unbroken, data, tmp_path):
    begun = fit_network(DEEP, data, with_(epochs=3), tmp_path)
    prolonged = fit_network(DEEP, data, CONFIG, tmp_path)
    assert prolonged.history[:3] == begun.history
    assert_same(prolonged, unbroken[1])


def test_a_fit_cannot_be_shortened(short, data):
    with pytest.raises(TrainingError, match=r"last\.safetensors: holds 2 epochs; epochs must be >= 2, got 1"):
        fit_network(DEEP, data, with_(epochs=1), short)


def test_a_kill_before_the_history_costs_no_epoch(data, tmp_path):
    """The checkpoint of the last epoch is written before its history."""
    fit = fit_network(DEEP, data, with_(epochs=2), tmp_path)
    history = tmp_path / "deep" / "history.json"
    save_history(history, load_history(history)[:1])
    assert tuple(load_history(history)) != fit.history
    fit_network(DEEP, data, with_(epochs=2), tmp_path)
    assert tuple(load_history(history)) == fit.history


def test_a_machine_with_other_arithmetic_continues_no_fit(data, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "has_fast_bfloat16", {"cpu": False}.__getitem__)
    fit_network(DEEP, data, with_(epochs=1, bfloat16=None), tmp_path)
    assert len(fit_network(DEEP, data, with_(epochs=2, bfloat16=False), tmp_path).history) == 2
    monkeypatch.setattr(fit_module, "has_fast_bfloat16", {"cpu": True}.__getitem__)
    with pytest.raises(TrainingError, match="if bfloat16 is not set, another kind of processor"):
        fit_network(DEEP, data, with_(epochs=3, bfloat16=None), tmp_path)


def test_another_number_of_epochs_is_another_schedule(data, tmp_path):
    config = with_(schedule="one_cycle", epochs=2)
    fit_network(DEEP, data, config, tmp_path)
    with pytest.raises(TrainingError, match="another configuration"):
        fit_network(DEEP, data, config.model_copy(update={"epochs": 3}), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"batch_size": 17},
        {"learning_rate": 2e-2},
        {"weight_decay": 0.1},
        {"schedule": "one_cycle"},
        {"balance_classes": False},
        {"validation_fraction": 0.2},
        {"test_fraction": 0.2},
        {"bfloat16": True},
        {"augment": False},
        {"num_workers": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_change_an_epoch_make_another_fit(short, data, change):
    with pytest.raises(TrainingError, match=r"last\.safetensors: belongs to a fit with another configuration"):
        fit_network(DEEP, data, with_(**change), short)


def test_other_data_or_another_network_make_another_fit(short, data):
    wider = type(DEEP)("deep", "deep", channels("sky_asinh", "VIS"))
    other = type(DEEP)("deep", "deeper", DEEP.channels)
    for spec, given in ((DEEP, tiny_dataset(160, seed=1)), (wider, data), (other, data)):
        with pytest.raises(TrainingError, match=r"other data or, .*; use another work folder"):
            fit_network(spec, given, CONFIG, short)


@pytest.mark.parametrize(
    "change",
    [
        {"networks": (LINEAR, DEEP)},
        {"cpus_per_worker": 0.5},
        {"use_gpu": False},
        {"prevalence": 1e-3},
        {"compound_share": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_do_not_make_another_fit(short, data, change):
    assert len(fit_network(DEEP, data, with_(epochs=3, **change), short).history) == 3


def test_a_fit_starts_from_the_given_weights(data, tmp_path):
    """A fit continues only if the start weights are the same, from whichever package."""

    def begin(value, package):
        network = LINEAR.build()
        torch.nn.init.constant_(network[1].weight, value)
        torch.nn.init.zeros_(network[1].bias)
        start_file(tmp_path, LINEAR).parent.mkdir(exist_ok=True)
        save_weights(start_file(tmp_path, LINEAR), network)
        return fit_network(LINEAR, data, with_(epochs=1, learning_rate=1e-6, start_from=tmp_path / package), tmp_path)

    assert load_file(begin(0.5, "a").weights)["1.weight"].numpy() == pytest.approx(0.5, abs=1e-4)
    before = (tmp_path / "linear" / "last.safetensors").stat().st_mtime_ns
    begin(0.5, "b")
    assert (tmp_path / "linear" / "last.safetensors").stat().st_mtime_ns == before
    with pytest.raises(TrainingError, match="another configuration"):
        begin(0.6, "a")


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "last.safetensors").write_bytes(b"rubbish")
    with pytest.raises(TrainingError, match=r"last\.safetensors: not a readable checkpoint"):
        fit_network(DEEP, data, CONFIG, tmp_path)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_lenses_is_refused(tmp_path, split):
    data = tiny_dataset(160)
    rows = rows_of(data, CONFIG, split)
    data.kinds[rows] = 0
    with pytest.raises(TrainingError, match=rf"^{split} split: .*'nonlens': {len(rows)}, 'lens': 0\}}; train on more objects"):
        fit_network(DEEP, data, CONFIG, tmp_path)


def test_a_fit_does_not_change_the_callers_random_state(data, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    fit_network(DEEP, data, with_(epochs=1), tmp_path)
    assert torch.rand(1) == expected


def test_the_callers_random_state_does_not_matter(unbroken, data, tmp_path):
    """Initial weights and dropout come from the seed of the fit."""
    torch.manual_seed(8)
    assert_same(fit_network(DEEP, data, CONFIG, tmp_path), unbroken[1])


def test_a_killed_flagship_fit_continues_its_schedule(tmp_path):
    spec = FLAGSHIP_NETWORKS[1]
    data = prepare_dataset(write_shards(tmp_path / "shards", 40), tmp_path / "data", [spec], MER_10.name)
    small = {"epochs": 2, "batch_size": 8, "networks": (spec,), "validation_fraction": 0.3, "bfloat16": False}
    config = PRESETS["flagship"].model_copy(update=small)
    whole = fit_network(spec, data, config, tmp_path / "whole")
    with pytest.raises(Killed):
        fit_network(spec, data, config, tmp_path / "killed", kill_after(1))
    assert_same(fit_network(spec, data, config, tmp_path / "killed"), whole)
