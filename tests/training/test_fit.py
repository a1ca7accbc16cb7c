import pytest
import torch
from safetensors.torch import load_file

from scanner.networks.architectures import FLAGSHIP_NETWORKS, PAPER_NETWORKS, ou66
from scanner.pixels.geometry import MER_10
from training.checkpoint import load_history
from training.config import PRESETS, TrainConfig
from training.dataset import prepare_dataset
from training.errors import TrainingError
from training.fit import fit_network
from training.step import class_weights, evaluate

OU_J = PAPER_NETWORKS[0]
CONFIG = TrainConfig(epochs=8, batch_size=8, networks=(OU_J,), learning_rate=2e-3)


@pytest.fixture(scope="module")
def unbroken(dataset, tmp_path_factory):
    work = tmp_path_factory.mktemp("fit")
    return work, fit_network(OU_J, dataset, CONFIG, work)


def losses(history):
    return [(r.epoch, r.train_loss, r.validation_loss, r.train_accuracy, r.validation_accuracy) for r in history]


def test_it_learns(unbroken):
    _, fit = unbroken
    assert [record.epoch for record in fit.history] == [*range(1, 9)]
    assert fit.best.validation_accuracy > 0.9
    assert all(record.time_s > 0 for record in fit.history)


def test_the_weights_kept_are_those_of_the_lowest_validation_loss(unbroken, dataset):
    from training.batches import BatchSource

    _, fit = unbroken
    network = ou66(1)
    network.load_state_dict(load_file(fit.weights))
    rows = dataset.rows("validation", 0.1, 0.1)
    weights = class_weights(dataset.labels(OU_J.classes)[rows], OU_J.classes)
    found = evaluate(network, BatchSource(dataset, OU_J, 8).in_order(rows), weights, bfloat16=True)
    assert found.loss == pytest.approx(min(r.validation_loss for r in fit.history), rel=1e-3)


class Killed(Exception):
    pass


def test_a_killed_fit_goes_on_and_ends_the_same(unbroken, dataset, tmp_path):
    _, fit = unbroken

    def kill(record):
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        fit_network(OU_J, dataset, CONFIG, tmp_path, kill)
    assert len(load_history(tmp_path / "OU-J" / "history.json")) == 2
    seen = []
    resumed = fit_network(OU_J, dataset, CONFIG, tmp_path, lambda record: seen.append(record.epoch))
    assert seen == [*range(1, 9)]
    assert losses(resumed.history) == losses(fit.history)
    for key, value in load_file(fit.weights).items():
        assert torch.equal(load_file(resumed.weights)[key], value)


def test_a_finished_fit_is_not_done_again_and_can_be_prolonged(unbroken, dataset):
    work, fit = unbroken
    before = fit.weights.stat().st_mtime_ns
    assert fit_network(OU_J, dataset, CONFIG, work).history == fit.history
    assert fit.weights.stat().st_mtime_ns == before


def test_another_configuration_does_not_go_on_from_this_checkpoint(unbroken, dataset):
    work, _ = unbroken
    with pytest.raises(TrainingError, match=r"last\.safetensors: belongs to a fit with another configuration"):
        fit_network(OU_J, dataset, CONFIG.model_copy(update={"seed": 1}), work)


def test_a_damaged_checkpoint_is_named(dataset, tmp_path):
    (tmp_path / "OU-J").mkdir()
    (tmp_path / "OU-J" / "last.safetensors").write_bytes(b"rubbish")
    with pytest.raises(TrainingError, match=r"last\.safetensors: not a readable checkpoint"):
        fit_network(OU_J, dataset, CONFIG, tmp_path)


def test_a_split_without_lenses_is_refused(dataset, tmp_path):
    config = CONFIG.model_copy(update={"validation_fraction": 1e-9})
    with pytest.raises(TrainingError, match=r"validation split: .*'nonlens': 0, 'lens': 0"):
        fit_network(OU_J, dataset, config, tmp_path)


def test_the_callers_random_state_is_left_alone(dataset, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    fit_network(OU_J, dataset, CONFIG.model_copy(update={"epochs": 1}), tmp_path)
    assert torch.rand(1) == expected


def test_a_network_of_kinds_on_a_schedule_goes_on_where_it_was_killed(shards_uri, tmp_path):
    spec = FLAGSHIP_NETWORKS[1]
    data = prepare_dataset(shards_uri, tmp_path / "data", [spec], MER_10.name)
    flagship = PRESETS["flagship"]
    config = flagship.model_copy(update={"epochs": 2, "batch_size": 32, "networks": (spec,)})

    def kill(record):
        raise Killed

    whole = fit_network(spec, data, config, tmp_path / "whole")
    with pytest.raises(Killed):
        fit_network(spec, data, config, tmp_path / "killed", kill)
    resumed = fit_network(spec, data, config, tmp_path / "killed")
    assert losses(resumed.history) == losses(whole.history)
    # Another number of epochs is another schedule.
    with pytest.raises(TrainingError, match="another configuration"):
        fit_network(spec, data, config.model_copy(update={"epochs": 3}), tmp_path / "killed")


def test_the_learning_rate_rises_then_falls_to_nothing():
    one_cycle = TrainConfig(schedule="one_cycle", learning_rate=0.01)
    rates = [one_cycle.learning_rate_at(progress) for progress in (0.0, 0.075, 0.15, 0.575, 1.0)]
    assert rates == pytest.approx([0.0004, 0.0052, 0.01, 0.005, 0.0], abs=1e-12)
    assert {PRESETS["paper"].learning_rate_at(progress) for progress in (0.0, 0.5, 1.0)} == {3e-4}


def test_the_paper_preset_is_the_papers():
    paper = PRESETS["paper"]
    assert (paper.epochs, paper.learning_rate) == (250, 3e-4)
    sizes = {spec.name: paper.batch_size_of(spec) for spec in paper.networks}
    assert (sizes["OU-66"], sizes["OU-200"]) == (250, 125)
    assert len(sizes) == 7


@pytest.mark.parametrize("networks", [(), (OU_J, OU_J)])
def test_networks_without_a_name_of_their_own_are_refused(networks):
    with pytest.raises(ValueError, match="each once"):
        TrainConfig(networks=networks)
