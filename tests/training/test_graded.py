"""Graded objects become shards: the decided ones, a part held out, and how often each comes in an epoch."""

import numpy as np
import pytest

from scanner.sources.shards import decode_shard
from scanner.vocabulary.geometry import CHALLENGE
from tests.training.tiny import DEEP, SIDE, VIS, inputs_seen, rows_of, tiny_config, tiny_dataset
from training.build import build_ensemble
from training.dataset import Dataset, PreparedInputs, hashed_fraction
from training.errors import TrainingError
from training.evaluation.shard_scores import shard_footers, shards_digest
from training.fit import fit_network
from training.graded import HELD_OUT_FRACTION, GradedObject, GradedShards, LeftOut, repeated, write_graded


def graded(n, p_graded):
    return [GradedObject(object_id=i, p_graded=p_graded[i % len(p_graded)], is_compound=i % 3 == 0) for i in range(n)]


def stamps_of(n):
    rng = np.random.default_rng(1)
    return {b: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in CHALLENGE.grids.items()}


def rows_in(folder):
    shards = [decode_shard(path.read_bytes()) for path in sorted(folder.glob("*.parquet"))]
    return {int(i): kind for s in shards for i, kind in zip(s.object_ids, s.truth["kind"].to_pylist(), strict=True)}


@pytest.mark.parametrize(
    ("p_graded", "is_compound", "weight", "kind"),
    [
        (1.0, False, 1.0, "single"),
        (0.75, True, 0.5, "compound_arc"),
        (0.5, False, 0.0, "single"),
        (0.25, True, 0.5, "nonlens"),
        (0.0, False, 1.0, "nonlens"),
    ],
)
def test_weight_and_kind_follow_the_graders(p_graded, is_compound, weight, kind):
    one = GradedObject(object_id=1, p_graded=p_graded, is_compound=is_compound)
    assert (one.weight, one.kind) == (pytest.approx(weight), kind)


def test_decided_objects_are_learnt_or_held_out(tmp_path):
    objects, stamps = graded(24, [0.98, 0.6, 0.02, 0.3]), stamps_of(24)
    shards = write_graded(objects, stamps, CHALLENGE.name, tmp_path)
    decided = {one.object_id: one.kind for one in objects if one.p_graded in {0.98, 0.02}}
    held = {i for i in decided if hashed_fraction(np.array([i]))[0] < 0.3}
    assert rows_in(shards.held_out) == {i: kind for i, kind in decided.items() if i in held}
    assert rows_in(shards.learnt) == {i: kind for i, kind in decided.items() if i not in held}
    assert 0 < len(held) < len(decided)
    assert shards.weights() == {i: pytest.approx(0.96) for i in decided}
    shard = decode_shard(next(shards.learnt.glob("*.parquet")).read_bytes())
    np.testing.assert_array_equal(shard.stamps["H"], stamps["H"][shard.object_ids])


@pytest.mark.parametrize(("p_graded", "is_used"), [(0.75, True), (0.25, True), (0.74, False), (0.26, False)])
def test_graders_are_sure_enough_three_to_one(tmp_path, p_graded, is_used):
    shards = write_graded(graded(2, [1.0, p_graded]), stamps_of(2), CHALLENGE.name, tmp_path)
    assert (1 in shards.weights()) == is_used
    assert (1 in rows_in(shards.learnt) | rows_in(shards.held_out)) == is_used


@pytest.mark.parametrize("n", [1, 4, 5])
def test_every_object_is_in_a_shard_of_bounded_size(tmp_path, monkeypatch, n):
    monkeypatch.setattr("training.graded._ROWS_PER_SHARD", 2)
    shards = write_graded(graded(n, [1.0]), stamps_of(n), CHALLENGE.name, tmp_path)
    parts = [decode_shard(path.read_bytes()).object_ids.tolist() for path in tmp_path.rglob("*.parquet")]
    assert sorted(i for part in parts for i in part) == list(range(n)) == sorted(shards.weights())
    assert max(map(len, parts)) <= 2


def test_a_second_call_that_ends_early_leaves_nothing_complete(tmp_path, monkeypatch):
    """Its first shards may be there, and the weights would be those of other objects."""
    shards = write_graded(graded(12, [1.0]), stamps_of(12), CHALLENGE.name, tmp_path)
    monkeypatch.setattr("training.graded.encode_shard", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_graded(graded(3, [0.0]), stamps_of(3), CHALLENGE.name, tmp_path)
    assert not shards.is_complete


def test_a_second_call_replaces_the_first(tmp_path):
    write_graded(graded(12, [1.0]), stamps_of(12), CHALLENGE.name, tmp_path)
    shards = write_graded(graded(3, [0.0]), stamps_of(3), CHALLENGE.name, tmp_path)
    assert rows_in(shards.learnt) | rows_in(shards.held_out) == dict.fromkeys(range(3), "nonlens")
    assert shards.weights().keys() == set(range(3))


def test_what_is_left_out_is_kept_until_the_next_call(tmp_path):
    gone = LeftOut(n_objects=2, first_reason="unit a: shard a is gone")
    shards = write_graded(graded(3, [0.0]), stamps_of(3), CHALLENGE.name, tmp_path, gone)
    assert shards.left_out == gone
    assert gone.warning.startswith("2 graded objects are left out")
    assert write_graded(graded(3, [0.0]), stamps_of(3), CHALLENGE.name, tmp_path).left_out is None


def test_weights_that_are_cut_off_are_incomplete(tmp_path):
    shards = write_graded(graded(3, [0.0]), stamps_of(3), CHALLENGE.name, tmp_path)
    assert shards.is_complete
    (tmp_path / "weights.json").write_text('{"0": 1.')
    assert not shards.is_complete
    with pytest.raises(TrainingError, match="holds no graded objects"):
        shards.weights()


def test_undecided_graders_are_an_error(tmp_path):
    with pytest.raises(TrainingError, match="got 3 undecided objects"):
        write_graded(graded(3, [0.5, 0.7]), stamps_of(3), CHALLENGE.name, tmp_path)
    assert not GradedShards(tmp_path).is_complete
    with pytest.raises(TrainingError, match="holds no graded objects"):
        GradedShards(tmp_path).weights()


def test_grades_that_are_all_held_out_are_an_error(tmp_path):
    """Object 3 would be learnt, but its graders are undecided."""
    objects = [GradedObject(object_id=i, p_graded=0.5 if i == 3 else 1.0, is_compound=False) for i in (4, 8, 3)]
    assert (hashed_fraction(np.array([4, 8, 3])) < HELD_OUT_FRACTION).tolist() == [True, True, False]
    with pytest.raises(TrainingError, match=r"at least 1 graded object to learn, got 0: .* all 2 that graders agree on"):
        write_graded(objects, stamps_of(3), CHALLENGE.name, tmp_path)
    assert not GradedShards(tmp_path).is_complete


@pytest.mark.parametrize(("n_train", "share"), [(1000, 0.2), (4000, 0.5), (900, 0.1)])
def test_graded_objects_have_their_share_of_an_epoch(n_train, share):
    weights = np.array([1.0, 0.5, 0.5, 1.0])
    times = repeated(n_train, weights, share)
    assert times.sum() / (times.sum() + n_train) == pytest.approx(share, abs=0.02)
    assert times[0] / times[1] == pytest.approx(2, rel=0.2)


def test_graded_objects_come_the_nearest_whole_number_of_times():
    # A fifth of the epoch is a quarter of the others: 25 times the weights, of which the sum is 10.
    assert repeated(100, np.array([0.5, 0.62, 0.92, 0.98, 6.98]), 0.2).tolist() == [1, 2, 2, 2, 17]


def test_each_graded_object_comes_at_least_once():
    assert repeated(10, np.array([1.0, 0.5] * 50), 0.2).min() == 1


def with_graded(dataset, pixels, kinds):
    """Append graded objects with ids from 5000 on."""
    n = len(kinds)
    inputs = PreparedInputs(VIS, np.concatenate([dataset.inputs[SIDE].pixels, pixels.astype(np.float16)]))
    ids = np.concatenate([dataset.group_ids, 5000 + np.arange(n)])
    return Dataset({SIDE: inputs}, np.append(dataset.kinds, kinds).astype(np.int8), ids, "with grades", n_graded=n)


@pytest.fixture
def grades(tmp_path):
    """Return the folder of two graded objects, one half as sure as the other."""
    folder = tmp_path / "graded"
    folder.mkdir()
    (folder / "weights.json").write_text('{"5000": 1.0, "5001": 0.5, "7": 1.0}')
    return folder


def test_an_epoch_shows_graded_objects_by_weight(tmp_path, grades):
    simulated = tiny_dataset(160)
    marks = np.stack([np.full((1, SIDE, SIDE), value) for value in (50.0, 70.0)])
    dataset = with_graded(simulated, marks, [0, 0])
    config = tiny_config(DEEP, epochs=1, graded=grades, graded_share=0.25, augment=False)
    with inputs_seen() as seen:
        fit_network(DEEP, dataset, config, tmp_path)
    shown = np.concatenate([batch.reshape(len(batch), -1)[:, 0] for batch in seen[True]])
    n_train = len(rows_of(simulated, config, "train"))
    times = [int(np.sum(shown == mark)) for mark in (50.0, 70.0)]
    assert times == repeated(n_train, np.array([1.0, 0.5]), 0.25).tolist()
    assert len(shown) == n_train + sum(times)
    checked = np.concatenate([batch.reshape(len(batch), -1)[:, 0] for batch in seen[False]])
    assert not np.isin(checked, [50.0, 70.0]).any()


def test_graded_objects_are_in_no_split():
    dataset = with_graded(tiny_dataset(160), np.zeros((2, 1, SIDE, SIDE)), [0, 1])
    rows = np.concatenate([dataset.rows(split, 0.3, 0.1) for split in ("train", "validation", "test")])
    assert sorted(rows) == list(range(160))
    assert dataset.graded_rows.tolist() == [160, 161]


def test_other_grades_are_another_fit(tmp_path, grades):
    dataset = with_graded(tiny_dataset(160), np.zeros((2, 1, SIDE, SIDE)), [0, 1])
    config = tiny_config(DEEP, epochs=1, graded=grades)
    fit_network(DEEP, dataset, config, tmp_path)
    (grades / "weights.json").write_text('{"5000": 0.9, "5001": 0.5}')
    with pytest.raises(TrainingError):
        fit_network(DEEP, dataset, config.model_copy(update={"epochs": 2}), tmp_path)


def test_a_built_ensemble_has_learnt_the_grades(built, mislabelled_uri, tmp_path):
    """The package says how many graded objects it learnt, and the splits are those of the simulated objects alone."""
    from tests.training.tiny_build import BUILD_CONFIG

    _, before, _ = built
    n = 12
    shards = write_graded(
        [GradedObject(object_id=900_000 + i, p_graded=float(i % 2), is_compound=False) for i in range(n)],
        stamps_of(n),
        CHALLENGE.name,
        tmp_path / "graded",
    )
    n_learnt = len(rows_in(shards.learnt))
    config = BUILD_CONFIG.model_copy(update={"graded": tmp_path / "graded", "epochs": 1})
    card = build_ensemble(config, mislabelled_uri, tmp_path, "graded-too")
    assert f"{n_learnt} graded objects, 20% of an epoch" in card.training_data.description
    assert card.training_data.n_objects == before.training_data.n_objects
    assert card.training_data.digest != before.training_data.digest
    of_shards = [shards_digest(shard_footers(uri)) for uri in (mislabelled_uri, str(shards.learnt))]
    assert card.training_data.data_sets == tuple(of_shards)
