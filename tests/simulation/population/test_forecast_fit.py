"""Tests of the fit of the mixture."""

import json
import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest

from simulation.population.forecast_fit import expectation_maximisation
from simulation.population.forecast_rows import MIXTURE_JSON, draw_row

COLUMNS = (0, 1, 3, 6, 5, 12, 11, 4, 9, 2)
"""Columns of the table: those of `Row`, then the Einstein radius."""


def test_the_fit_finds_a_known_mixture(rng):
    truth = np.array([[-3.0, 0.0], [2.0, 1.0]])
    root = np.array([[1.0, 0.0], [0.8, 0.5]])
    which = rng.random(6000) < 0.3
    points = truth[1 - which.astype(int)] + rng.standard_normal((6000, 2)) @ root.T
    weights, means, covariances = expectation_maximisation(points, 2, 60, rng)
    order = np.argsort(means[:, 0])
    assert weights[order] == pytest.approx([0.3, 0.7], abs=0.02)
    assert means[order] == pytest.approx(truth, abs=0.1)
    assert covariances == pytest.approx(np.array([root @ root.T] * 2), abs=0.1)


def test_the_fit_is_run_from_the_command_line(tmp_path, rng):
    """The table imitates the published one."""
    table = np.zeros((400, 16))
    for line in table:
        row = draw_row(rng)
        line[list(COLUMNS)] = (*astuple(row), row.einstein_radius_arcsec)
    np.savetxt(tmp_path / "table.txt", table, fmt="%.3f", header="as published")
    command = [
        sys.executable,
        "-m",
        "simulation.population.forecast_fit",
        str(tmp_path / "table.txt"),
        "--out",
        str(tmp_path / "out.json"),
    ]
    subprocess.run(command, check=True, cwd=MIXTURE_JSON.parents[2])
    components = json.loads((tmp_path / "out.json").read_text())["components"]
    assert sum(c["weight"] for c in components) == pytest.approx(1.0, abs=1e-3)
    assert all(len(c["mean"]) == 9 and len(c["root"]) == 45 for c in components)
