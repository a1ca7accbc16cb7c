"""Fit the mixture of `simulation.population.forecast_rows` to the table of Collett (2015).

Run `python -m simulation.population.forecast_fit TABLE`.

The table is `lenses_Euclid.txt` of https://github.com/tcollett/LensPop.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.population.forecast_rows import MIXTURE_JSON, to_coordinates

Array = NDArray[np.float64]

N_COMPONENTS = 10
_COLUMNS = (0, 1, 3, 6, 5, 12, 11, 4, 9)
"""Columns of the table, in the order of `Row`."""
_RADIUS_COLUMN, _ROW_SOURCE_RADIUS = 2, 6
_MIN_RADIUS_ARCSEC = 0.3
"""Smallest Einstein radius in the fit, below any that is drawn: a Gaussian mixture would smear out a cut at its edge."""
_ROUNDED_TO_ARCSEC = 0.01
_N_ITERATIONS = 400
_SEED = 2015
_DIGITS = 5


def main() -> None:
    """Fit the mixture to a table and write it."""
    parser = argparse.ArgumentParser(description="Fit the population of lenses to the forecast table of Collett (2015).")
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=MIXTURE_JSON)
    arguments = parser.parse_args()
    arguments.out.write_text(json.dumps(fit(np.loadtxt(arguments.table)), indent=None, separators=(",", ":")) + "\n")


def fit(table: Array) -> dict[str, Any]:
    """Return the file's content, for a table as published, [row, column]."""
    rng = np.random.default_rng(_SEED)
    rows = table[table[:, _RADIUS_COLUMN] > _MIN_RADIUS_ARCSEC][:, _COLUMNS]
    # Radii in the table are rounded, some to 0.
    radii = rows[:, _ROW_SOURCE_RADIUS] + rng.uniform(-0.5, 0.5, len(rows)) * _ROUNDED_TO_ARCSEC
    rows[:, _ROW_SOURCE_RADIUS] = np.maximum(radii, _ROUNDED_TO_ARCSEC / 2)
    points = to_coordinates(rows)
    weights, means, covariances = expectation_maximisation(points, N_COMPONENTS, _N_ITERATIONS, rng)
    lower = np.tril_indices(points.shape[1])
    components = [
        {"weight": _rounded(weight), "mean": _rounded(mean), "root": _rounded(np.linalg.cholesky(covariance)[lower])}
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    ]
    source = "Collett 2015, ApJ 811, 20; table lenses_Euclid.txt of https://github.com/tcollett/LensPop"
    return {"source": source, "n_rows": len(rows), "components": components}


def expectation_maximisation(
    points: Array, n_components: int, n_iterations: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return weights, means and covariances of the Gaussian mixture of maximum likelihood (Dempster, Laird & Rubin 1977).

    Args:
        points: [row, coordinate].
        n_components: Gaussians with full covariances.
        n_iterations: Iterations, starting from means at random points.
        rng: Source of randomness.
    """
    n = len(points)
    spread = np.cov(points.T)
    weights = np.full(n_components, 1 / n_components)
    means = points[rng.choice(n, n_components, replace=False)]
    covariances = np.repeat(spread[None], n_components, axis=0)
    floor = 1e-4 * np.diag(np.diag(spread))
    for _ in range(n_iterations):
        shares = _responsibilities(points, weights, means, covariances)
        totals = shares.sum(axis=0)
        weights, means = totals / n, shares.T @ points / totals[:, None]
        for k in range(n_components):
            centred = points - means[k]
            covariances[k] = (shares[:, k, None] * centred).T @ centred / totals[k] + floor
    return weights, means, covariances


def _responsibilities(points: Array, weights: Array, means: Array, covariances: Array) -> Array:
    """Return the share of each component in each point, [row, component]."""
    logs = np.empty((len(points), len(weights)))
    for k, (weight, mean, covariance) in enumerate(zip(weights, means, covariances, strict=True)):
        root = np.linalg.cholesky(covariance)
        scaled = np.linalg.solve(root, (points - mean).T)
        logs[:, k] = np.log(weight) - 0.5 * np.sum(scaled**2, axis=0) - np.sum(np.log(np.diag(root)))
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _rounded(values: Any) -> Any:
    """Round numbers to a few significant digits."""
    array = np.asarray(values)
    return float(f"{array:.{_DIGITS}g}") if array.ndim == 0 else [float(f"{v:.{_DIGITS}g}") for v in array.tolist()]


if __name__ == "__main__":
    main()
