"""Objects that are like another: against the cosine written out by hand, over nights, plans and conditions."""

import numpy as np
import pytest

from scanner.catalogue.wanted import Wanted
from scanner.review.embeddings.rows import EmbeddingsError, most_like, read_embedded, rows_with
from tests.scanner.catalogue_parts import NIGHT, finished

LATER, REFERENCE = "2026-11-25", "a" * 64
N = 60


def drawn(seed=0, n=N):
    return np.random.default_rng(seed).normal(1, 1, (n, 32)).astype(np.float32)


def embedded_night(root, embeddings, night=NIGHT, reference=REFERENCE, first=0):
    """Write a night of two tiles; every fifth object is excluded by a first stage, which gives it no embedding."""
    ids = range(first, first + len(embeddings))
    p_lens = {i: (i % 10) / 10 for i in ids}
    tiles = {"a": {i: p for i, p in p_lens.items() if i % 2}, "b": {i: p for i, p in p_lens.items() if not i % 2}}
    values = {i: values.tolist() for i, values in zip(ids, embeddings, strict=True) if i % 5}
    return finished(
        root,
        tiles,
        night=night,
        embeddings=values,
        reference_sha256=reference,
        changes=None,
    )


@pytest.fixture
def root(tmp_path):
    embedded_night(str(tmp_path), drawn())
    return str(tmp_path)


def by_hand(embeddings, query, among):
    """Return the distances from an object to others, nearest first, and their numbers."""
    unit = embeddings.astype(np.float64) / np.linalg.norm(embeddings.astype(np.float64), axis=1)[:, None]
    found = sorted((1 - float(unit[query] @ unit[i]), i) for i in among if i != query and i % 5)
    return [d for d, _ in found], [i for _, i in found]


def test_the_nearest_are_those_of_the_cosine(root):
    distances, ids = by_hand(drawn(), 7, range(N))
    rows = most_like(root, "7", 10)
    assert rows["object_id"].to_pylist() == ids[:10]
    assert rows["distance"].to_pylist() == pytest.approx(distances[:10], abs=1e-5)
    assert most_like(root, "7", 1000)["object_id"].to_pylist() == ids
    assert most_like(root, "7", 0).num_rows == 0


def test_conditions_hold_for_the_neighbours_alone(root):
    _, ids = by_hand(drawn(), 12, [i for i in range(N) if i % 10 >= 7])
    assert most_like(root, "12", 5, Wanted(min_p_lens=0.65))["object_id"].to_pylist() == ids[:5]
    assert most_like(root, "12", 5, Wanted(subclass="double_ring")).num_rows == 0


@pytest.mark.parametrize("name", ["5", "9999", "no such name"])
def test_an_object_without_an_embedding_is_named(root, name):
    with pytest.raises(EmbeddingsError, match=f"no object_id or candidate_id with an embedding is '{name}'"):
        most_like(root, name, 5)


def test_a_candidate_id_names_an_object(tmp_path):
    root = str(tmp_path)
    values = {i: row.tolist() for i, row in enumerate(drawn(n=4))}
    names = {"candidate_id": [f"EUCL J{i}" for i in range(4)]}
    finished(root, {"a": dict.fromkeys(range(4), 0.9)}, embeddings=values, reference_sha256=REFERENCE, changes=names)
    assert most_like(root, "EUCL J2", 3).equals(most_like(root, "2", 3))


def test_nights_of_one_reference_are_searched_together(root):
    embedded_night(root, drawn(1), LATER, first=N)
    embedded_night(root, drawn(2), "2026-11-26", "b" * 64, first=2 * N)
    both = np.concatenate([drawn(), drawn(1)])
    _, ids = by_hand(both, 7, range(2 * N))
    assert most_like(root, "7", 20)["object_id"].to_pylist() == ids[:20]
    _, ids = by_hand(both, 7, range(N))
    assert most_like(root, "7", 20, Wanted(night=NIGHT))["object_id"].to_pylist() == ids[:20]
    other = most_like(root, str(2 * N + 1), 1000)["object_id"].to_numpy()
    assert other.min() >= 2 * N


def test_the_newest_night_of_an_object_counts(root):
    embedded_night(root, drawn(1), LATER)
    found, row = rows_with(read_embedded(root), "7")
    assert found.table["night"][row].as_py() == LATER
    assert found.embeddings[row].tolist() == drawn(1)[7].tolist()


def test_the_object_may_lie_in_another_night_or_plan(root):
    plan = embedded_night(root, drawn(1), LATER, first=N)
    both = np.concatenate([drawn(), drawn(1)])
    _, ids = by_hand(both, 7, range(N, 2 * N))
    for wanted in (Wanted(night=LATER), Wanted(plan=plan.plan_id[:12])):
        rows = most_like(root, "7", 20, wanted)
        assert rows["object_id"].to_pylist() == ids[:20]
        assert set(rows["night"].to_pylist()) == {LATER}
    with pytest.raises(EmbeddingsError, match="no object_id or candidate_id with an embedding is '9999'"):
        most_like(root, "9999", 20, Wanted(night=LATER))


def test_an_embedding_of_another_reference_is_not_compared(root):
    embedded_night(root, drawn(2), LATER, "b" * 64, first=N)
    with pytest.raises(EmbeddingsError, match="the embedding of '7' has another reference than those of the night or plan"):
        most_like(root, "7", 20, Wanted(night=LATER))


def test_an_object_of_the_wanted_night_is_taken_there(root):
    embedded_night(root, drawn(1), LATER)
    _, ids = by_hand(drawn(), 7, range(N))
    assert most_like(root, "7", 20, Wanted(night=NIGHT))["object_id"].to_pylist() == ids[:20]


def test_an_object_of_two_nights_comes_once(root):
    embedded_night(root, drawn(1), LATER)
    both = np.concatenate([drawn(), drawn(1)])
    unit = both / np.linalg.norm(both, axis=1)[:, None]
    distances = (1 - unit @ unit[N + 7]).reshape(2, N).min(axis=0)
    ids = sorted((i for i in range(N) if i % 5 and i != 7), key=lambda i: distances[i])
    for most in (10, 1000):
        rows = most_like(root, "7", most)
        assert rows["object_id"].to_pylist() == ids[:most]
        assert rows["distance"].to_pylist() == pytest.approx(distances[ids[:most]], abs=1e-5)


def test_a_catalogue_without_embeddings_says_what_it_needs(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}})
    with pytest.raises(EmbeddingsError, match="scan it with an ensemble that has a reference"):
        most_like(str(tmp_path), "1", 5)
