import numpy as np
import pytest

from simulation.lensing import einstein_radius_arcsec
from simulation.population.deflectors import Deflector, at_distance, catalogue_offset_arcsec, lens_system, mass_axis_ratio
from simulation.systems import Mass, Sed, Sersic

GALAXY = (Sersic(0.1, -0.2, 0.8, 4.0, 0.7, 0.0, Sed(20.0, 19.5, 19.2, 19.0)),)
MASSES = (Mass(0.5, 0.1, -0.2, 250.0, 0.8, 0.0), Mass(0.5, 2.0, 0.0, 120.0, 0.8, 0.0))
DEFLECTOR = Deflector(0.1, -0.2, GALAXY, MASSES)
NEAR, FAR = ((Sersic(x, 0.0, 0.2, 1.0, 0.9, 0.0, Sed(24.0, 24.0, 24.0, 24.0)),) for x in (0.3, 0.4))


def test_a_single_lens_has_one_source():
    system = lens_system("single", DEFLECTOR, [(1.5, NEAR)], 30.0, neighbours=GALAXY)
    assert (system.kind, system.z_lens, system.z_source1, system.z_source2) == ("single", 0.5, 1.5, None)
    assert (system.masses, system.galaxy, system.source1, system.source2) == (MASSES, GALAXY, NEAR, ())
    assert (system.neighbours, system.velocity_dispersion_km_s, system.detector_angle_deg) == (GALAXY, 250.0, 30.0)


def test_the_mass_of_the_nearer_source_comes_last():
    middle = Mass(1.5, 0.3, 0.0, 150.0, 0.9, 0.0)
    system = lens_system("double_ring", DEFLECTOR, [(1.5, NEAR), (3.0, FAR)], 0.0, (middle,))
    assert (system.z_source1, system.z_source2) == (1.5, 3.0)
    assert (system.source1, system.source2, system.neighbours) == (NEAR, FAR, ())
    assert system.masses == (*MASSES, middle)


def test_points_about_a_deflector_are_even_in_area(rng):
    points = np.array([at_distance(rng, DEFLECTOR, 1.0, 2.0) for _ in range(4000)]) - (0.1, -0.2)
    squares = np.sum(points**2, axis=1)
    assert 1.0 <= squares.min() < squares.max() <= 4.0
    assert squares.mean() == pytest.approx(2.5, abs=0.06)
    assert np.abs(points.mean(axis=0)).max() < 0.08


def test_the_radius_is_that_of_the_deflector_alone():
    assert DEFLECTOR.radius_arcsec(2.0) == einstein_radius_arcsec(250.0, 0.5, 2.0)


def test_offsets_and_axis_ratios_have_their_scatter(rng):
    offsets = np.array([catalogue_offset_arcsec(rng) for _ in range(6000)])
    # Four in five with 0.06 arcsec, one in five with 0.2.
    assert np.mean(offsets**2) == pytest.approx(0.8 * 0.06**2 + 0.2 * 0.2**2, rel=0.1)
    ratios = [mass_axis_ratio(rng, 0.7) for _ in range(2000)]
    assert (np.mean(ratios), np.std(ratios)) == pytest.approx((0.7, 0.08), abs=0.01)
    assert {mass_axis_ratio(rng, 2.0), mass_axis_ratio(rng, -1.0)} == {0.98, 0.4}
