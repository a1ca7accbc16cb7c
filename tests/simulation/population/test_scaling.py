import numpy as np
import pytest

from simulation.lensing import COSMOLOGY
from simulation.population.scaling import faber_jackson_mag, faber_jackson_velocity_dispersion_km_s
from tests.simulation.forecast_table import read_table


@pytest.mark.parametrize(("z", "band", "fading"), [(0.3, "VIS", 0.0), (1.2, "H", 0.7)])
def test_the_relation_can_be_inverted(z, band, fading):
    mag = faber_jackson_mag(187.0, z, band, fading)
    assert faber_jackson_velocity_dispersion_km_s(mag, z, band, fading) == pytest.approx(187.0)


def test_luminosity_goes_as_the_fourth_power():
    assert faber_jackson_mag(100.0, 0.4) - faber_jackson_mag(200.0, 0.4) == pytest.approx(2.5 * np.log10(2**4))


def test_magnitudes_are_absolute_ones_moved_to_their_distance():
    # At 10 pc and z = 0, VIS is 0.6 mag brighter than V (AB) for an old population.
    z = 1e-3
    distance = COSMOLOGY.distmod(z).value
    assert faber_jackson_mag(220.0, z) - distance == pytest.approx(-22.5 - 0.57, abs=0.1)


def test_galaxies_that_fade_were_brighter():
    assert faber_jackson_mag(200.0, 1.0) - faber_jackson_mag(200.0, 1.0, fading_mag_per_z=0.7) == pytest.approx(0.7)


def test_lens_galaxies_of_the_forecast_follow_it():
    rows = read_table()[:2000]
    rows = rows[rows[:, 0] < 1.2]
    excess = rows[:, 6] - [faber_jackson_mag(sigma, z) for z, sigma in rows[:, (0, 3)]]
    assert abs(np.median(excess)) < 0.1
    assert np.std(excess) < 0.2
