"""OU-T-SNE: embed the networks' outputs in a plane and map the share of lenses there (Wilde et al. 2022, section 3.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import convolve2d
from scipy.spatial import cKDTree
from sklearn.manifold import TSNE

N_CELLS = 100
"""Number of cells along each side of the embedding."""
N_NEIGHBOURS = 3
PERPLEXITY = 30.0


@dataclass(frozen=True)
class TsneGrid:
    """Reference objects embedded by t-SNE, and the fraction of lenses in each cell of a grid over the embedding.

    t-SNE gives no position to objects that it was not run on. Here a new object lies at the mean position of its three nearest
    reference objects in the space of the networks' outputs.
    """

    outputs: NDArray[np.float64]
    """`[reference, network]`: outputs that t-SNE was run on."""
    positions: NDArray[np.float64]
    """`[reference, 2]`: positions in cells of the grid, 0 to `N_CELLS`."""
    values: NDArray[np.float64]
    """`[row, column]`: lens fraction; a cell without references has the mean of its eight neighbours that have some, or the
    fraction among all references if no neighbour has any."""

    def predict(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return, for outputs `[object, network]`, the value `[object]` of the cell that each object lies in."""
        n = min(N_NEIGHBOURS, len(self.outputs))
        _, nearest = cKDTree(self.outputs).query(np.asarray(outputs, np.float64), k=range(1, n + 1))
        rows, columns = _cells(self.positions[nearest].mean(axis=1)).T
        return self.values[rows, columns]


def fit_tsne_grid(outputs: NDArray[np.floating], is_lens: NDArray[np.bool_], seed: int) -> TsneGrid:
    """Embed objects by their networks' outputs and measure the lens fraction of each cell.

    Args:
        outputs: `[object, network]`: lens probabilities, 0 to 1.
        is_lens: `[object]`.
        seed: Seed of t-SNE.

    Raises:
        ValueError: fewer than ten objects.
    """
    if len(outputs) < 10:
        raise ValueError(f"t-SNE needs at least 10 objects, got {len(outputs)}")
    references = np.asarray(outputs).astype(np.float64)
    layout = _layout(references.astype(np.float32), seed)
    low, span = layout.min(axis=0), np.ptp(layout, axis=0)
    positions = (layout - low) / np.where(span > 0, span, 1) * N_CELLS
    return TsneGrid(references, positions, _lens_fractions(positions, is_lens))


def _layout(outputs: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Return positions `[object, 2]`, all equal if the outputs of all objects are equal, where t-SNE would crash."""
    n, n_networks = outputs.shape
    if not np.ptp(outputs, axis=0).any():
        return np.zeros((n, 2))
    # One network has no second principal component.
    init = "pca" if n_networks > 1 else "random"
    model = TSNE(perplexity=min(PERPLEXITY, (n - 1) / 3), random_state=seed, init=init)
    return np.asarray(model.fit_transform(outputs), np.float64)


def _lens_fractions(positions: NDArray[np.float64], is_lens: NDArray[np.bool_]) -> NDArray[np.float64]:
    flat = np.ravel_multi_index(tuple(_cells(positions).T), (N_CELLS, N_CELLS))
    shape = (N_CELLS, N_CELLS)
    n = np.bincount(flat, minlength=N_CELLS**2).reshape(shape)
    fraction = np.bincount(flat, is_lens, minlength=N_CELLS**2).reshape(shape) / np.maximum(n, 1)
    is_full = n > 0
    around = np.ones((3, 3))
    around[1, 1] = 0
    n_full = convolve2d(is_full.astype(float), around, mode="same")
    of_neighbours = convolve2d(np.where(is_full, fraction, 0), around, mode="same") / np.maximum(n_full, 1)
    return np.where(is_full, fraction, np.where(n_full > 0.5, of_neighbours, is_lens.mean()))


def _cells(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(positions.astype(np.int64), 0, N_CELLS - 1)
