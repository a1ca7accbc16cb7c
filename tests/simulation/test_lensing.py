import numpy as np
import pytest
from astropy import constants
from astropy import units as u

from simulation.lensing import (
    COSMOLOGY,
    Mass,
    effective_einstein_radius_arcsec,
    einstein_radius_arcsec,
    lens_parameters,
    multi_plane_model,
    ray_shoot,
    single_plane_model,
    velocity_dispersion_km_s,
)

Z_LENS, Z_SOURCE1, Z_SOURCE2 = 0.4, 1.1, 2.4


def sphere(z, sigma, x=0.0, y=0.0):
    return Mass(z, x, y, sigma, 1.0, 0.0)


def angular_distance(z1, z2):
    """Between two redshifts of a flat universe, from comoving distances."""
    return (COSMOLOGY.comoving_distance(z2) - COSMOLOGY.comoving_distance(z1)) / (1 + z2)


def physical_deflection(sigma):
    """Of a singular isothermal sphere, in arcsec, before any distance enters."""
    ratio = (sigma * u.km / u.s / constants.c).to_value(u.one)
    return (4 * np.pi * ratio**2 * u.rad).to_value(u.arcsec)


def two_plane_by_hand(lens, galaxy, x, y, z_source):
    """Ray shooting through two isothermal spheres, written out with angular diameter distances only."""

    def unit(dx, dy):
        r = np.hypot(dx, dy)
        return dx / r, dy / r

    def ratio(z):
        return (angular_distance(z, z_source) / angular_distance(0, z_source)).to_value(u.one)

    ux, uy = unit(x - lens.x_arcsec, y - lens.y_arcsec)
    alpha1 = physical_deflection(lens.velocity_dispersion_km_s)
    to_galaxy = (angular_distance(lens.z, galaxy.z) / angular_distance(0, galaxy.z)).to_value(u.one)
    x1, y1 = x - to_galaxy * alpha1 * ux, y - to_galaxy * alpha1 * uy
    vx, vy = unit(x1 - galaxy.x_arcsec, y1 - galaxy.y_arcsec)
    alpha2 = physical_deflection(galaxy.velocity_dispersion_km_s)
    return (
        x - ratio(lens.z) * alpha1 * ux - ratio(galaxy.z) * alpha2 * vx,
        y - ratio(lens.z) * alpha1 * uy - ratio(galaxy.z) * alpha2 * vy,
    )


@pytest.fixture
def points():
    return np.random.default_rng(1).uniform(-4, 4, (2, 500))


def test_equation_1_against_astropy():
    expected = physical_deflection(250) * (angular_distance(Z_LENS, Z_SOURCE1) / angular_distance(0, Z_SOURCE1))
    assert einstein_radius_arcsec(250, Z_LENS, Z_SOURCE1) == pytest.approx(expected.to_value(u.one), rel=1e-6)
    # A rule of thumb: sigma = 220 km/s and D_ls / D_s = 1 bend light by 1.4 arcsec.
    assert physical_deflection(220) == pytest.approx(1.4, rel=0.01)


def test_velocity_dispersion_inverts_equation_1():
    sigma = velocity_dispersion_km_s(1.3, Z_LENS, Z_SOURCE1)
    assert einstein_radius_arcsec(sigma, Z_LENS, Z_SOURCE1) == pytest.approx(1.3)
    with pytest.raises(ValueError, match="behind the lens"):
        velocity_dispersion_km_s(1.3, 1.0, 0.5)


def test_a_source_in_front_is_not_lensed(points):
    beta = ray_shoot([sphere(Z_SOURCE1, 300)], Z_LENS, *points)
    np.testing.assert_array_equal(beta, points)


def test_single_sphere_moves_light_by_its_einstein_radius(points):
    x, y = points
    radius = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    beta_x, beta_y = ray_shoot([sphere(Z_LENS, 260, 0.2, -0.1)], Z_SOURCE1, x, y)
    r = np.hypot(x - 0.2, y + 0.1)
    np.testing.assert_allclose(beta_x, x - radius * (x - 0.2) / r, atol=2e-3)
    np.testing.assert_allclose(beta_y, y - radius * (y + 0.1) / r, atol=2e-3)


def test_critical_curve_of_an_ellipse_encloses_the_circles_area():
    mass = Mass(Z_LENS, 0, 0, 260, 0.6, 0.7)
    step = 0.01
    axis = np.arange(-2.5, 2.5, step)
    x, y = np.meshgrid(axis, axis)
    beta_x, beta_y = ray_shoot([mass], Z_SOURCE1, x, y)
    xx, xy = np.gradient(beta_x, step, axis=1), np.gradient(beta_x, step, axis=0)
    yx, yy = np.gradient(beta_y, step, axis=1), np.gradient(beta_y, step, axis=0)
    area = np.sum(xx * yy - xy * yx < 0) * step**2
    radius = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    assert np.sqrt(area / np.pi) == pytest.approx(radius, rel=0.01)


def test_two_planes_against_ray_shooting_by_hand(points):
    lens, galaxy = sphere(Z_LENS, 260, 0.1, 0.05), sphere(Z_SOURCE1, 180, -0.3, 0.4)
    expected = two_plane_by_hand(lens, galaxy, *points, Z_SOURCE2)
    found = ray_shoot([lens, galaxy], Z_SOURCE2, *points)
    np.testing.assert_allclose(found, expected, atol=3e-3)


def test_galaxy_1_does_not_act_on_its_own_light(points):
    lens, galaxy = sphere(Z_LENS, 260), sphere(Z_SOURCE1, 180, -0.3, 0.4)
    np.testing.assert_array_equal(ray_shoot([lens, galaxy], Z_SOURCE1, *points), ray_shoot([lens], Z_SOURCE1, *points))


def test_order_of_planes_is_irrelevant(points):
    lens = Mass(Z_LENS, 0.1, 0.0, 260, 0.7, 0.4, (0.03, -0.02))
    galaxy = Mass(Z_SOURCE1, -0.3, 0.4, 180, 0.8, 1.4)
    forward, backward = (ray_shoot(m, Z_SOURCE2, *points) for m in ([lens, galaxy], [galaxy, lens]))
    np.testing.assert_allclose(forward, backward, atol=1e-10)


def test_several_planes_at_one_redshift_are_a_single_plane(points):
    masses = [Mass(Z_LENS, 0.1, 0.0, 260, 0.7, 0.4, (0.03, -0.02)), Mass(Z_LENS, -1.3, 0.4, 180, 0.8, 1.4)]
    parameters = lens_parameters(masses, Z_SOURCE1)
    single = single_plane_model(masses).ray_shooting(*points, parameters)
    multi = multi_plane_model(masses, Z_SOURCE1).ray_shooting(*points, parameters)
    np.testing.assert_allclose(multi, single, atol=1e-9)


@pytest.mark.parametrize(("sigma_lens", "sigma_galaxy"), [(260, 180), (200, 120), (320, 300)])
def test_ring_of_two_spheres_on_axis_has_the_sum_of_their_radii(sigma_lens, sigma_galaxy):
    masses = [sphere(Z_LENS, sigma_lens), sphere(Z_SOURCE1, sigma_galaxy)]
    expected = sum(
        physical_deflection(m.velocity_dispersion_km_s)
        * (angular_distance(m.z, Z_SOURCE2) / angular_distance(0, Z_SOURCE2)).to_value(u.one)
        for m in masses
    )
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE2) == pytest.approx(expected, rel=0.005)
    # Light on the ring comes from the axis.
    beta_x, beta_y = ray_shoot(masses, Z_SOURCE2, np.array([expected, 0.0]), np.array([0.0, expected]))
    np.testing.assert_allclose(np.hypot(beta_x, beta_y), 0, atol=0.005 * expected)


def test_radius_for_the_nearer_source_is_the_deflectors_alone():
    masses = [Mass(Z_LENS, 0.2, 0.1, 260, 0.6, 0.3, (0.05, 0.0)), sphere(Z_SOURCE1, 180)]
    expected = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == pytest.approx(expected, rel=0.005)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE2) > expected


def test_a_radius_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="no Einstein radius"):
        effective_einstein_radius_arcsec([sphere(Z_LENS, 10)], Z_SOURCE1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": 0.0}, "redshift"),
        ({"axis_ratio": 1.2}, "axis_ratio"),
        ({"velocity_dispersion_km_s": -1.0}, "velocity_dispersion"),
    ],
)
def test_impossible_masses_are_refused(change, message):
    values = {"z": 0.5, "x_arcsec": 0, "y_arcsec": 0, "velocity_dispersion_km_s": 200, "axis_ratio": 0.8, "angle_rad": 0}
    with pytest.raises(ValueError, match=message):
        Mass(**{**values, **change})
