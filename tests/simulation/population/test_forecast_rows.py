"""Tests of the mixture against the table that it was fitted to."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr

from simulation.lensing import einstein_radius_arcsec
from simulation.population import forecast_fit, forecast_rows
from simulation.population.forecast_rows import draw_row, from_coordinates, mixture_of, to_coordinates
from tests.simulation.forecast_table import read_table

COLUMNS = (0, 1, 3, 6, 5, 12, 11, 4, 9, 2)
"""Columns of the table: those of `Row`, then the Einstein radius."""
NAMES = (
    "z_lens",
    "z_source",
    "sigma",
    "lens_mag",
    "lens_radius",
    "source_mag",
    "source_radius",
    "lens_q",
    "source_q",
    "radius",
)


@pytest.fixture(scope="module")
def drawn():
    """Draw rows of the mixture, [row, column] as in `NAMES`."""
    rng = np.random.default_rng(5)
    rows = [draw_row(rng) for _ in range(12000)]
    return np.array([(*astuple(row), row.einstein_radius_arcsec) for row in rows])


def test_the_table_obeys_equation_1():
    rows = read_table()[:500]
    radii = [einstein_radius_arcsec(sigma, z_l, z_s) for z_l, z_s, sigma in rows[:, (0, 1, 3)]]
    assert np.abs(radii - rows[:, 2]).max() < 0.011, "rounded to 0.01 arcsec"


@pytest.fixture(scope="module")
def held_out():
    """Return every second row of the table, and rows of a mixture that was fitted to the others."""
    whole, rng = read_table(0.0), np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast_fit, "_N_ITERATIONS", 60)
        mixture = mixture_of(forecast_fit.fit(whole[::2])["components"])
        patch.setattr(forecast_rows, "read_mixture", lambda: mixture)
        rows = [draw_row(rng) for _ in range(6000)]
    drawn = np.array([(*astuple(row), row.einstein_radius_arcsec) for row in rows])
    others = whole[1::2]
    return others[others[:, 2] > 0.4], drawn


@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_has_the_distribution_of_held_out_rows(name, held_out):
    # The limits are wider, since the fit has half of the rows and few steps.
    check_column(name, *held_out, slack=1.25)


def test_a_mixture_has_the_correlations_of_held_out_rows(held_out):
    rows, drawn = held_out
    assert np.abs(spearmanr(rows[:, COLUMNS])[0] - spearmanr(drawn)[0]).max() < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_mixture_fits_every_column_of_its_table(name, drawn):
    check_column(name, read_table(), drawn)


def check_column(name, table, drawn, slack=1.0):
    i = NAMES.index(name)
    expected, got = table[:, COLUMNS[i]], drawn[:, i]
    if name == "source_radius":
        got = np.round(got, 2)  # as the table has it, down to 0
    low, median, high = np.percentile(expected, [5, 50, 95])
    assert np.percentile(got, [5, 50, 95]) == pytest.approx([low, median, high], abs=slack * 0.05 * (high - low))
    assert np.median(got) == pytest.approx(median, rel=slack * 0.035)
    assert ks_2samp(expected, got).statistic < slack * 0.045


def test_the_shipped_mixture_has_the_correlations_of_its_table(drawn):
    difference = spearmanr(read_table()[:, COLUMNS])[0] - spearmanr(drawn)[0]
    assert np.abs(difference).max() < 0.05


def test_the_population_is_the_published_one(drawn):
    """The medians of the forecast's lenses above 0.4 arcsec are those of the whole table, with more massive lenses."""
    median = dict(zip(NAMES, np.median(drawn, axis=0), strict=True))
    assert median["z_lens"] == pytest.approx(0.62, abs=0.05)
    assert median["z_source"] == pytest.approx(1.8, abs=0.08)
    assert median["source_mag"] == pytest.approx(25.5, abs=0.2)
    assert median["source_radius"] == pytest.approx(0.12, abs=0.02)
    assert 220 < median["sigma"] < 240
    assert 20.1 < median["lens_mag"] < 20.9
    assert 0.65 < median["radius"] < 0.8
    assert drawn[:, -1].min() > 0.4


def test_coordinates_can_be_inverted(rng):
    row = draw_row(rng)
    back = from_coordinates(to_coordinates(np.array([astuple(row)]))[0])
    assert astuple(back) == pytest.approx(astuple(row), rel=1e-9)
