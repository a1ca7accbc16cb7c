"""Tests of a fit against closed forms and scikit-learn, on a network of nine pixels."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight

from scanner.networks.engines import fast_precision
from scanner.networks.parameters import he_initialise
from tests.training.tiny import DEEP, KIND, LINEAR, SIDE, inputs_seen, rates_used, rows_of, tiny_config, tiny_dataset
from training import fit as fit_module
from training.checkpoint import save_weights
from training.errors import TrainingError
from training.fit import Worker, fit_network, start_file
from training.step import train_epoch

P_LENS = 0.4
"""Lens probability of the network that fits start from: between the share of lenses and one half."""


@pytest.fixture(scope="module")
def data():
    """Return a data set in which a quarter of the objects are lenses."""
    return tiny_dataset(160)


def begin(work, weight=0.0):
    """Save start weights that give every object the same probabilities."""
    network = LINEAR.build()
    with torch.no_grad():
        network[1].weight.fill_(weight)
        network[1].bias.copy_(torch.tensor([1 - P_LENS, P_LENS]).log())
    start_file(work, LINEAR).parent.mkdir(parents=True)
    save_weights(start_file(work, LINEAR), network)
    return Path("given")


def entropy(share):
    """Return the cross-entropy of the start probabilities if this share of objects are lenses."""
    return -(share * math.log(P_LENS) + (1 - share) * math.log(1 - P_LENS))


@pytest.mark.parametrize("balance", [True, False])
def test_classes_have_equal_or_natural_weights_in_the_loss(data, tmp_path, balance):
    config = tiny_config(LINEAR, epochs=1, batch_size=1000, start_from=begin(tmp_path), balance_classes=balance)
    share = {split: data.labels(LINEAR.classes)[rows_of(data, config, split)].mean() for split in ("train", "validation")}
    assert 0.2 < share["train"] < P_LENS - 0.1
    assert abs(share["train"] - share["validation"]) > 0.01
    (record,) = fit_network(LINEAR, data, config, tmp_path).history
    assert record.train_loss == pytest.approx(entropy(0.5 if balance else share["train"]), rel=1e-5)
    assert record.train_accuracy == pytest.approx(1 - share["train"])
    # With equal weights of both classes, 0.4 is too low for a lens; with natural weights, it is too high.
    bias = load_file(tmp_path / "linear" / "best.safetensors")["1.bias"]
    step = config.learning_rate if balance else -config.learning_rate
    assert (bias[1] - math.log(P_LENS)).item() == pytest.approx(step, rel=1e-3)
    slow = config.model_copy(update={"learning_rate": 1e-9})
    (tmp_path / "linear" / "last.safetensors").unlink()
    (record,) = fit_network(LINEAR, data, slow, tmp_path).history
    assert record.validation_loss == pytest.approx(entropy(0.5 if balance else share["validation"]), rel=1e-5)
    assert record.validation_accuracy == pytest.approx(1 - share["validation"])


def test_the_kind_is_learnt_and_checked_on_lenses_alone(tmp_path):
    data = replace(tiny_dataset(160), kinds=(np.arange(160) % 4).astype(np.int8))
    config = tiny_config(KIND, epochs=1, lenses_only=True, balance_classes=False, augment=False)
    with inputs_seen() as seen:
        (record,) = fit_network(KIND, data, config, tmp_path).history
    for split, is_training in (("train", True), ("validation", False)):
        rows = rows_of(data, config, split)
        lenses = data.inputs[SIDE].pixels[rows[data.kinds[rows] > 0]]
        assert 0 < len(lenses) < len(rows)
        given = np.concatenate(seen[is_training])
        assert sorted(map(bytes, np.float16(given))) == sorted(map(bytes, lenses))
    assert np.isfinite(record.validation_loss)
    for absent, other, name in ((3, 1, "double_ring"), (1, 2, "single")):
        rare = replace(data, kinds=np.where(data.kinds == absent, other, data.kinds).astype(np.int8))
        with pytest.raises(TrainingError, match=f"train split: every kind of lens needs objects, got none of {name}$"):
            fit_network(KIND, rare, config, tmp_path / name)


def test_weights_decay_apart_from_the_gradient(data, tmp_path):
    """Adam's first step equals the learning rate for any gradient; the decay is added (Loshchilov & Hutter 2019)."""
    decay, rate = 0.5, 1e-2
    start = begin(tmp_path, weight=2.0)
    config = tiny_config(LINEAR, epochs=1, batch_size=1000, weight_decay=decay, learning_rate=rate, start_from=start)
    weight = load_file(fit_network(LINEAR, data, config, tmp_path).weights)["1.weight"]
    step = weight.numpy() - 2.0 * (1 - rate * decay)
    assert np.abs(step) == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_every_step_has_the_learning_rate_of_the_schedule(data, tmp_path, schedule):
    config = tiny_config(LINEAR, epochs=5, learning_rate=0.01, schedule=schedule)
    with rates_used() as rates:
        fit_network(LINEAR, data, config, tmp_path)
    n_steps = 5 * math.ceil(len(rows_of(data, config, "train")) / 8)
    assert len(rates) == n_steps
    progress = np.arange(n_steps) / n_steps
    rise, fall = 0.0004 + 0.0096 * progress / 0.15, 0.01 * np.cos(np.pi / 2 * (progress - 0.15) / 0.85) ** 2
    expected = np.where(progress < 0.15, rise, fall) if schedule == "one_cycle" else np.full(n_steps, 0.01)
    assert rates == pytest.approx(expected, abs=1e-9)
    if schedule == "one_cycle":
        assert rates[0] == pytest.approx(0.0004)
        assert max(rates) > 0.0095
        assert 0 < rates[-1] < 1e-4


def symmetries(stamp):
    """Return the eight symmetric copies of a square stamp, as bytes."""
    return [np.rot90(s, k).tobytes() for s in (stamp, stamp.T) for k in range(4)]


@pytest.mark.parametrize("augment", [True, False])
def test_only_training_turns_and_flips_objects(data, tmp_path, augment):
    config = tiny_config(LINEAR, epochs=3, augment=augment)
    rows = {split: rows_of(data, config, split) for split in ("train", "validation")}
    stamps = data.inputs[SIDE].pixels[:, 0].astype(np.float32)
    with inputs_seen() as seen:
        fit_network(LINEAR, data, config, tmp_path)
    # Find the row of each input by the eight symmetric copies of its stamp.
    row_of = {aspect: row for row in rows["train"] for aspect in symmetries(stamps[row])}
    shown = [[stamp.tobytes() for stamp in epoch] for epoch in np.split(np.concatenate(seen[True])[:, 0], 3)]
    assert [sorted(row_of[stamp] for stamp in epoch) for epoch in shown] == [rows["train"].tolist()] * 3
    is_straight = np.array([[stamp == stamps[row_of[stamp]].tobytes() for stamp in epoch] for epoch in shown])
    # One stamp in eight is unchanged.
    assert is_straight.all() if not augment else 0.02 < is_straight.mean() < 0.25
    # Each epoch has an order of its own, and so its own turns and flips.
    orders = [[row_of[stamp] for stamp in epoch] for epoch in shown]
    assert all(a != b for a, b in ((orders[0], orders[1]), (orders[1], orders[2]), (orders[0], rows["train"].tolist())))
    checked = np.concatenate(seen[False])[:, 0]
    assert np.array_equal(checked, np.tile(stamps[rows["validation"]], (3, 1, 1)))


@pytest.fixture(scope="module")
def over_fitted(data, tmp_path_factory):
    """Return a fit of forty epochs whose last epochs are far from the best."""
    config = tiny_config(DEEP, epochs=40, batch_size=1000, learning_rate=3e-2, augment=False)
    return config, fit_network(DEEP, data, config, tmp_path_factory.mktemp("fit"))


def test_the_weights_of_the_lowest_calibrated_loss_are_kept(over_fitted, data):
    config, fit = over_fitted
    losses = [record.calibrated_loss for record in fit.history]
    assert 1 < fit.best.epoch < 30
    assert fit.best.epoch != min(fit.history, key=lambda record: record.validation_loss).epoch
    assert fit.history[-1].validation_loss > 1.3 * min(record.validation_loss for record in fit.history)
    rows = rows_of(data, config, "validation")
    x, y = data.inputs[SIDE].pixels[rows].reshape(len(rows), -1).astype(np.float64), data.kinds[rows]
    kept = {name: tensor.numpy().astype(np.float64) for name, tensor in load_file(fit.weights).items()}
    hidden = np.maximum(x @ kept["1.weight"].T + kept["1.bias"], 0)
    logits = hidden @ kept["4.weight"].T + kept["4.bias"]
    p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    balanced = log_loss(y, p, sample_weight=compute_sample_weight("balanced", y))
    assert balanced == pytest.approx(fit.best.validation_loss, rel=1e-5)
    assert fit.best.calibrated_loss == min(losses)
    margins, weights = (logits[:, 1] - logits[:, 0])[:, np.newaxis], compute_sample_weight("balanced", y)
    calibrated = LogisticRegression(C=np.inf, tol=1e-10).fit(margins, y, weights).predict_proba(margins)
    assert min(losses) == pytest.approx(log_loss(y, calibrated, sample_weight=weights), rel=1e-5)
    assert accuracy_score(y, p > 0.5) == pytest.approx(fit.best.validation_accuracy)


def test_of_equally_good_epochs_the_first_is_kept(data, tmp_path):
    """At this rate only biases, which start at zero, can change at all: by the rate at every step."""
    config = tiny_config(LINEAR, batch_size=1000, learning_rate=1e-12)
    fit = fit_network(LINEAR, data, config, tmp_path)
    assert len({record.validation_loss for record in fit.history}) == 1
    assert load_file(fit.weights)["1.bias"].abs().numpy() == pytest.approx(1e-12, rel=1e-3)
    assert fit.best.epoch == 1


def test_the_time_of_an_epoch_includes_training_and_validation(data, tmp_path, monkeypatch):
    """Use a clock that only these two advance, by 3 and by 4 seconds."""
    now = [100.0]
    monkeypatch.setattr(fit_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    for name, seconds in (("train_epoch", 3), ("evaluate", 4)):
        monkeypatch.setattr(fit_module, name, slowed(getattr(fit_module, name), now, seconds))
    fit = fit_network(LINEAR, data, tiny_config(LINEAR), tmp_path)
    assert [record.time_s for record in fit.history] == [7.0] * 4


def slowed(function, now, seconds):
    def slow(*args, **kwargs):
        now[0] += seconds
        return function(*args, **kwargs)

    return slow


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_loss_that_is_not_finite_ends_the_fit(tmp_path, split):
    data, config = tiny_dataset(160), tiny_config(LINEAR)
    data.inputs[SIDE].pixels[rows_of(data, config, split)[0]] = np.inf
    with pytest.raises(TrainingError, match="linear: loss is not finite in epoch 1; lower the learning rate"):
        fit_network(LINEAR, data, config, tmp_path)


def test_networks_differ_by_their_names_and_seeds(data, tmp_path):
    """Fit the same architecture to the same data."""
    twin = type(DEEP)("twin", "deep", DEEP.channels)

    def first_loss(name, spec, **changes):
        return fit_network(spec, data, tiny_config(spec, epochs=1, **changes), tmp_path / name).history[0].train_loss

    losses = [first_loss("a", DEEP), first_loss("b", twin), first_loss("c", DEEP, seed=4)]
    assert len(set(losses)) == 3
    assert first_loss("d", DEEP) == losses[0]


def test_the_start_weights_follow_from_seed_and_name(data, tmp_path):
    """They are drawn again here, as future versions must draw them; steps of 1e-30 do not change them."""
    config = tiny_config(DEEP, epochs=1, learning_rate=1e-30)
    fit_network(DEEP, data, config, tmp_path)
    seeds = np.random.SeedSequence([config.seed, int.from_bytes(b"deep", "big"), 0, 0])
    with torch.random.fork_rng():
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
        network = DEEP.build()
        he_initialise(network)
    for name, weights in load_file(tmp_path / "deep" / "best.safetensors").items():
        torch.testing.assert_close(weights, network.state_dict()[name], rtol=0, atol=1e-12)


def test_workers_train_on_their_parts_and_the_first_one_writes(data, tmp_path):
    config = tiny_config(LINEAR, epochs=1, augment=False)
    wrapped, parts = [], []

    def wrap(network):
        wrapped.append(torch.nn.Sequential(network))
        return wrapped[-1]

    for rank in range(2):
        with inputs_seen() as seen:
            fit_network(LINEAR, data, config, tmp_path / str(rank), worker=Worker(rank, 2, wrap=wrap))
        # Both the wrapped and the inner network see each batch.
        assert len(seen[True]) == 2 * math.ceil(len(rows_of(data, config, "train")) // 2 / 8)
        parts.append({stamp.tobytes() for batch in seen[True] for stamp in batch})
        # Each rank evaluates the whole validation split.
        assert sum(map(len, seen[False])) == 2 * len(rows_of(data, config, "validation"))
    assert len(parts[0]) == len(parts[1]) == len(rows_of(data, config, "train")) // 2
    assert not parts[0] & parts[1]
    assert sorted(path.name for path in (tmp_path / "0" / "linear").iterdir()) == [
        "best.safetensors",
        "history.json",
        "last.safetensors",
    ]
    assert list((tmp_path / "1" / "linear").iterdir()) == []
    saved = load_file(tmp_path / "0" / "linear" / "best.safetensors")
    assert saved.keys() == LINEAR.build().state_dict().keys()
    assert torch.equal(saved["1.weight"], wrapped[0][0][1].weight)


def test_each_worker_draws_its_own_dropout(data, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        fit_module, "train_epoch", lambda *to, **so: drawn.append(torch.rand(1).item()) or train_epoch(*to, **so)
    )
    for number, rank in enumerate((0, 1, 1)):
        fit_network(LINEAR, data, tiny_config(LINEAR, epochs=1), tmp_path / str(number), worker=Worker(rank, 2))
    assert drawn[0] != drawn[1] == drawn[2]


PRECISIONS = [(None, True, True), (None, False, False), (True, False, True), (False, True, False)]


@pytest.mark.parametrize(("asked", "is_fast", "used"), PRECISIONS)
def test_precision_follows_the_machine_unless_it_is_asked_for(data, tmp_path, monkeypatch, asked, is_fast, used):
    monkeypatch.setattr(fit_module, "has_fast_bfloat16", {"cpu": is_fast}.__getitem__)
    seen = []

    def recorded(*arguments, bfloat16, **options):
        seen.append(bfloat16)
        return train_epoch(*arguments, bfloat16=bfloat16, **options)

    monkeypatch.setattr(fit_module, "train_epoch", recorded)
    fit_network(LINEAR, data, tiny_config(LINEAR, epochs=1, bfloat16=asked), tmp_path)
    assert seen == [used]


def test_bfloat16_is_fast_where_openvino_finds_the_instructions(monkeypatch):
    assert fit_module.has_fast_bfloat16("cpu") == (fast_precision("openvino") == "bfloat16")
    monkeypatch.setattr(fit_module, "available_engines", lambda: ["torch"])
    assert not fit_module.has_fast_bfloat16("cpu")
    assert not fit_module.has_fast_bfloat16("cuda:0")
