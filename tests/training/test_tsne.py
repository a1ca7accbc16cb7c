import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE

from training.tsne import N_CELLS, TsneGrid, fit_tsne_grid


@pytest.fixture(scope="module")
def clusters():
    """Return outputs of seven networks for three kinds of object with lens shares of 0, 0.5 and 1."""
    rng = np.random.default_rng(0)
    kind = np.arange(240) % 3
    outputs = np.clip(np.array([0.1, 0.5, 0.9])[kind][:, None] + rng.normal(0, 0.03, (240, 7)), 0, 1)
    return outputs, rng.random(240) < np.array([0.0, 0.5, 1.0])[kind], kind


@pytest.fixture(scope="module")
def grid(clusters):
    return fit_tsne_grid(clusters[0], clusters[1], seed=1)


@pytest.mark.parametrize(("n", "n_networks", "perplexity"), [(100, 7, 30), (31, 2, 10)])
def test_references_lie_where_scikit_learn_puts_them(clusters, n, n_networks, perplexity):
    """The perplexity is 30, or a third of the number of other objects if there are few."""
    outputs, is_lens = clusters[0][:n, :n_networks], clusters[1][:n]
    layout = TSNE(perplexity=perplexity, random_state=5, init="pca").fit_transform(outputs.astype(np.float32)).astype(float)
    expected = 100 * (layout - layout.min(axis=0)) / (layout.max(axis=0) - layout.min(axis=0))
    grid = fit_tsne_grid(outputs, is_lens, seed=5)
    assert grid.positions == pytest.approx(expected, abs=1e-6)
    assert grid.values.shape == (100, 100)
    assert np.array_equal(grid.outputs, outputs)


def test_ten_objects_are_enough(clusters):
    outputs, is_lens, _ = (values[:10] for values in clusters)
    grid = fit_tsne_grid(outputs, is_lens, 0)
    assert (grid.positions.min(axis=0).tolist(), grid.positions.max(axis=0).tolist()) == ([0, 0], [100, 100])


def test_cells_hold_the_fraction_of_lenses_or_of_their_neighbours(clusters, grid):
    """Compute the fractions cell by cell, with loops."""
    _, is_lens, _ = clusters
    cells = np.minimum(grid.positions.astype(int), N_CELLS - 1)
    inside = {}
    for cell, lens in zip(map(tuple, cells), is_lens, strict=True):
        inside.setdefault(cell, []).append(lens)
    for row in range(N_CELLS):
        for column in range(N_CELLS):
            if (row, column) in inside:
                expected = np.mean(inside[row, column])
            else:
                around = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
                full = [np.mean(inside[cell]) for cell in around if cell in inside]
                expected = np.mean(full) if full else is_lens.mean()
            assert grid.values[row, column] == pytest.approx(expected)


def test_a_new_object_lies_amid_its_three_nearest_references(clusters, grid):
    outputs, _, _ = clusters
    new = np.random.default_rng(5).random((40, 7))
    got = grid.predict(new)
    for i, distances in enumerate(cdist(new, outputs)):
        position = grid.positions[np.argsort(distances)[:3]].mean(axis=0)
        row, column = np.minimum(position.astype(int), N_CELLS - 1)
        assert got[i] == grid.values[row, column]


def test_kinds_of_object_are_separated(clusters, grid):
    """Objects among empty cells get the overall fraction and do not count; their number depends on the machine's t-SNE."""
    outputs, is_lens, kind = clusters
    fresh = np.clip(outputs + np.random.default_rng(2).normal(0, 0.005, outputs.shape), 0, 1)
    value = grid.predict(fresh)
    is_placed = value != is_lens.mean()
    assert is_placed.mean() > 0.6
    assert value[is_placed & (kind == 0)].mean() < 0.1
    assert value[is_placed & (kind == 2)].mean() > 0.9
    assert 0.3 < value[kind == 1].mean() < 0.7


def test_an_object_among_empty_cells_gets_the_overall_fraction():
    outputs = np.array([[0.0], [1.0]])
    values = np.full((N_CELLS, N_CELLS), 0.25)
    values[0, 0], values[-1, -1] = 0.0, 1.0
    assert TsneGrid(outputs, np.array([[0.0, 0.0], [100.0, 100.0]]), values).predict(np.array([[0.4]])) == [0.25]


@pytest.mark.parametrize("constants", [(0.5, 0.5, 0.5), (0.2, 0.5, 0.9)])
def test_constant_networks_predict_the_share_of_lenses(constants):
    is_lens = np.arange(21) % 3 == 0
    grid = fit_tsne_grid(np.tile(constants, (21, 1)), is_lens, 0)
    assert np.array_equal(grid.positions, np.zeros((21, 2)))
    assert grid.predict(np.array([constants, [0.9] * 3])) == pytest.approx(1 / 3)


def test_a_constant_network_does_not_hide_the_others(clusters):
    outputs, is_lens, kind = clusters
    chosen = kind != 1
    outputs = np.column_stack([np.full(chosen.sum(), 0.5), outputs[chosen, :2]])
    value = fit_tsne_grid(outputs, is_lens[chosen], 0).predict(outputs)
    assert value[is_lens[chosen]].mean() > value[~is_lens[chosen]].mean() + 0.3


def test_a_single_network_is_embedded_too(clusters):
    outputs, is_lens, kind = clusters
    chosen = kind != 1
    grid = fit_tsne_grid(outputs[chosen, :1], is_lens[chosen], 0)
    value = grid.predict(outputs[chosen, :1])
    assert value[is_lens[chosen]].mean() > value[~is_lens[chosen]].mean() + 0.3


def test_few_objects_are_refused():
    with pytest.raises(ValueError, match="at least 10 objects, got 9"):
        fit_tsne_grid(np.zeros((9, 7)), np.zeros(9, bool), 0)
