"""The reference that is fitted to objects of two kinds, whose features are drawn; and to those of real networks."""

from types import SimpleNamespace

import numpy as np
import pytest

from infra.progress import no_progress
from scanner.networks.card_file import read_card
from scanner.networks.feature_reference import LENGTH, N_AXES, QUANTITIES, USUAL_SHARE
from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_network, load_scorer
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.scanner.cascades import write_cascade
from training.errors import TrainingError
from training.feature_reference import Described, axes_of, describe, fit_reference, importance_of, is_lens

N_FEATURES = 40
ONES = np.ones(N_FEATURES)


def drawn(n, seed, n_unseen=0, lenses=0.2):
    """Return objects whose first features are larger, and whose scores higher, for lenses; the committee lacks the last few."""
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(n) < lenses, "single", "nonlens")
    features = rng.gamma(2, 1, (n, N_FEATURES)).astype(np.float32)
    features[kinds == "single", :4] += 6
    odds = np.where(kinds == "single", 2, -4) + rng.normal(size=n)
    features[n - n_unseen :] = np.nan
    return Described(features, (1 / (1 + np.exp(-odds))).astype(np.float32), kinds)


@pytest.fixture(scope="module")
def parts():
    return [drawn(900, 1, n_unseen=300), drawn(500, 2, lenses=0.5)]


def test_lenses_are_near_lenses(parts):
    reference = fit_reference(parts, ONES)
    fresh = drawn(400, 3)
    found = reference.embeddings(fresh.features)
    unit = found / np.linalg.norm(found, axis=1)[:, None]
    nearest = np.argsort(-(unit @ unit.T), axis=1)[:, 1:6]
    lenses = fresh.kinds == "single"
    assert lenses[nearest[lenses]].mean() > 0.9
    assert found.shape == (400, N_AXES)
    own = reference.embeddings(np.concatenate([part.features[part.is_seen] for part in parts]))
    assert np.sqrt((own.astype(np.float64) ** 2).sum(axis=1).mean()) == pytest.approx(LENGTH, rel=0.01)


def test_the_usual_distance_leaves_few_objects_beyond(parts):
    reference = fit_reference(parts, ONES)
    natural, odd = drawn(2000, 4), drawn(200, 5)
    beyond = (reference.anomalies(reference.embeddings(natural.features)) > 1).mean()
    assert beyond == pytest.approx(1 - USUAL_SHARE, abs=0.04)
    unlike = odd.features[:, ::-1] * np.float32([1, 6] * (N_FEATURES // 2))
    assert (reference.anomalies(reference.embeddings(unlike)) > 1).mean() > 0.9


def test_histograms_are_those_of_the_first_non_lenses(parts):
    reference = fit_reference(parts, ONES)
    natural = ~is_lens(parts[0].kinds)
    assert list(reference.histograms) == list(QUANTITIES)
    scores = log_odds(parts[0].p_lens[natural])
    histogram = reference.histograms["p_lens"]
    assert histogram.edges == pytest.approx(np.quantile(scores, np.arange(1, 10) / 10))
    assert histogram.counts.tolist() == np.histogram(scores, [-np.inf, *histogram.edges, np.inf])[0].tolist()
    seen = natural & parts[0].is_seen
    assert {reference.histograms[name].counts.sum() for name in ("axis_1", "axis_2", "axis_3")} == {seen.sum()}
    assert 0 < reference.histograms["anomaly"].counts.sum() < seen.sum()


def test_a_feature_without_importance_has_no_axis(parts):
    part = parts[0]
    seen, importance = part.is_seen, ONES.copy()
    importance[7] = 0
    projection = axes_of(part.features[seen], part.p_lens[seen], importance)
    assert np.abs(projection[7]).max() == 0 < np.abs(projection[8]).max()


def test_the_fit_is_the_same_twice(parts):
    first, second = (fit_reference(parts, ONES) for _ in range(2))
    assert np.array_equal(first.objects, second.objects)
    assert np.array_equal(first.projection, second.projection)


def test_too_few_objects_are_refused(parts):
    with pytest.raises(TrainingError, match="a reference needs 256 objects that the networks describe, 128 of them non-lenses"):
        fit_reference([drawn(200, 1)], ONES)
    with pytest.raises(TrainingError, match="128 of them non-lenses"):
        fit_reference([drawn(300, 1, lenses=0.9), *parts], ONES)


def test_shards_are_described_by_the_committee(tmp_path):
    spec = DatasetSpec(n=12, seed=3, kinds=(("nonlens", 0.5), ("single", 0.5)), geometry="mer10")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(simulate_objects(spec, range(12))))
    write_cascade(tmp_path / "pack")
    scorer = load_scorer(tmp_path / "pack", features=True, candidate_threshold=0.0)
    calls = []
    (found,) = describe(scorer, [str(tmp_path / "shards")], lambda *call: calls.append(call))
    assert calls == [(12, 12)]
    assert found.features.shape == (12, 16 + 64)
    assert found.is_seen.all()
    assert set(found.kinds) == {"nonlens", "single"}
    assert np.ptp(found.p_lens) > 0
    with pytest.raises(TrainingError, match="holds no shards"):
        describe(scorer, [str(tmp_path / "none")], no_progress)


class SeesBrightCorners:
    """A scorer whose committee sees objects with a bright corner only, and describes these by three features."""

    geometry = CHALLENGE

    def score(self, stamps):
        p_lens = stamps["VIS"][:, 0, 0]
        seen = p_lens > 0.5
        features = np.where(seen[:, None], np.full((len(seen), 3), 2.0), np.nan) if seen.any() else None
        return SimpleNamespace(features=features, p_lens=p_lens)


def shard_of_corners(path, corners, *, constant=False):
    """Write a shard whose objects have these values in a corner; constant images are rejected."""
    path.parent.mkdir(exist_ok=True)
    n = len(corners)
    stamps = {b: np.random.default_rng(0).normal(size=(n, g.n_pixels, g.n_pixels)) for b, g in CHALLENGE.grids.items()}
    stamps["VIS"][:, 0, 0] = corners
    if constant:
        stamps["VIS"][:] = 2.0
    kinds = {"kind": ["nonlens"] * n}
    path.write_bytes(encode_shard(shard_table(np.arange(n), stamps, kinds, CHALLENGE)))


@pytest.mark.parametrize("constant", [False, True])
def test_shards_that_no_committee_sees_leave_the_others(tmp_path, constant):
    shard_of_corners(tmp_path / "a" / "1.parquet", [0.1, 0.2], constant=constant)
    shard_of_corners(tmp_path / "a" / "2.parquet", [0.3, 0.9])
    shard_of_corners(tmp_path / "b" / "1.parquet", [0.1, 0.2, 0.3], constant=constant)
    first, second = describe(SeesBrightCorners(), [str(tmp_path / "a"), str(tmp_path / "b")], no_progress)
    n_left = 0 if constant else 1
    assert first.is_seen.tolist() == [False] * 2 * n_left + [False, True]
    assert second.is_seen.tolist() == [False] * 3 * n_left
    assert second.features.shape == (3 * n_left, 3)
    assert first.p_lens.tolist() == pytest.approx([0.1, 0.2] * n_left + [0.3, 0.9])


@pytest.mark.parametrize("constant", [False, True])
def test_shards_without_any_described_object_are_refused(tmp_path, constant):
    shard_of_corners(tmp_path / "a" / "1.parquet", [0.1, 0.2], constant=constant)
    shard_of_corners(tmp_path / "a" / "2.parquet", [])
    with pytest.raises(TrainingError, match="a: a reference needs objects that the committee sees, got none of 2: each"):
        describe(SeesBrightCorners(), [str(tmp_path / "a")], no_progress)


def test_importance_is_the_weight_of_the_last_layers(tmp_path):
    write_cascade(tmp_path / "pack")
    card = read_card(tmp_path / "pack")
    found = importance_of(tmp_path / "pack", card)
    weights = [load_network(tmp_path / "pack", network)[-1].weight.detach().numpy() for network in card.networks]
    assert [w.shape for w in weights] == [(4, 16), (4, 64)]
    column = weights[1][:, 5]
    assert found[16 + 5] == pytest.approx(max(abs(value - column.mean()) for value in column))
