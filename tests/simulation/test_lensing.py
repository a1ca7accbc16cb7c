"""Tests of the deflection against closed forms, astropy's distances and lenstronomy's own multi-plane class."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import constants
from astropy import units as u
from lenstronomy.LensModel.lens_model import LensModel
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq

from simulation.lensing import (
    COSMOLOGY,
    distance_ratio,
    effective_einstein_radius_arcsec,
    einstein_radius_arcsec,
    ray_shoot,
)
from simulation.systems import Mass

Z_LENS, Z_SOURCE1, Z_SOURCE2 = 0.4, 1.1, 2.4
LENS = Mass(Z_LENS, 0.1, -0.05, 260, 0.7, 0.4, (0.03, -0.02))
STEEP = replace(LENS, slope=2.2)
GALAXY = Mass(Z_SOURCE1, -0.3, 0.4, 150, 0.8, 1.4, slope=1.9)
MEMBER = Mass(Z_LENS, -2.1, 1.4, 180, 0.8, 2.0)


def sphere(z, sigma, x=0.0, y=0.0, slope=2.0):
    return Mass(z, x, y, sigma, 1.0, 0.0, slope=slope)


def angular_distance(z1, z2):
    """Integrate the distance in Mpc between two redshifts of a flat universe (Hogg 1999, equations 15 and 19)."""
    hubble_distance_mpc = constants.c.to_value(u.km / u.s) / 70
    return hubble_distance_mpc * quad(lambda z: (0.3 * (1 + z) ** 3 + 0.7) ** -0.5, z1, z2, epsrel=1e-12)[0] / (1 + z2)


def integrated_ratio(z_lens, z_source):
    return angular_distance(z_lens, z_source) / angular_distance(0, z_source)


def physical_deflection(sigma):
    """Return the deflection by a singular isothermal sphere in arcsec, before any distance enters."""
    ratio = (sigma * u.km / u.s / constants.c).to_value(u.one)
    return (4 * np.pi * ratio**2 * u.rad).to_value(u.arcsec)


def lenstronomy_parameters(mass, z_source):
    ellipticity = (1 - mass.axis_ratio) / (1 + mass.axis_ratio)
    ratio = integrated_ratio(mass.z, z_source)
    return [
        {
            "theta_E": einstein_radius_arcsec(mass.velocity_dispersion_km_s, mass.z, z_source, mass.slope),
            "gamma": mass.slope,
            "e1": ellipticity * np.cos(2 * mass.angle_rad),
            "e2": ellipticity * np.sin(2 * mass.angle_rad),
            "center_x": mass.x_arcsec,
            "center_y": mass.y_arcsec,
        },
        {"gamma1": mass.shear[0] * ratio, "gamma2": mass.shear[1] * ratio, "ra_0": mass.x_arcsec, "dec_0": mass.y_arcsec},
    ]


def by_lenstronomy(masses, z_source, x, y):
    """Shoot rays with its generic multi-plane class, with power laws in hypergeometric functions for every slope."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cosmology is provided", category=UserWarning)
        model = LensModel(
            ["EPL", "SHEAR"] * len(masses),
            multi_plane=True,
            lens_redshift_list=[z for mass in masses for z in (mass.z, mass.z)],
            z_source=z_source,
            cosmo=COSMOLOGY,
        )
    return model.ray_shooting(x, y, [p for mass in masses for p in lenstronomy_parameters(mass, z_source)])


def mean_excess(masses, radius):
    """Return the inward deflection by spheres in one plane, averaged over 1000 azimuths about the first, less the radius."""
    phi = np.arange(1000) * 2 * np.pi / 1000
    cos, sin = np.cos(phi), np.sin(phi)
    inward = 0.0
    for mass in masses:
        dx = masses[0].x_arcsec + radius * cos - mass.x_arcsec
        dy = masses[0].y_arcsec + radius * sin - mass.y_arcsec
        own = einstein_radius_arcsec(mass.velocity_dispersion_km_s, mass.z, Z_SOURCE1, mass.slope)
        inward += np.mean((own / np.hypot(dx, dy)) ** (mass.slope - 1) * (dx * cos + dy * sin))
    return inward - radius


@pytest.fixture
def points(rng):
    return rng.uniform(-4, 4, (2, 500))


# Distances and radii


@pytest.mark.parametrize(("z_lens", "z_source"), [(0.01, 0.02), (0.4, 1.1), (0.64, 1.8), (2.0, 6.0)])
def test_distances_against_integration_and_astropy(z_lens, z_source):
    assert distance_ratio(z_lens, z_source) == pytest.approx(integrated_ratio(z_lens, z_source), rel=1e-9)
    for z in (z_lens, z_source):
        assert COSMOLOGY.angular_diameter_distance(z).to_value(u.Mpc) == pytest.approx(angular_distance(0, z), rel=1e-9)
    assert distance_ratio(z_source, z_lens) == distance_ratio(z_lens, z_lens) == 0


def test_equation_1():
    expected = physical_deflection(250) * integrated_ratio(Z_LENS, Z_SOURCE1)
    assert einstein_radius_arcsec(250, Z_LENS, Z_SOURCE1) == pytest.approx(expected, rel=1e-6)
    # A rule of thumb: sigma = 220 km/s and D_ls / D_s = 1 bend light by 1.4 arcsec.
    assert physical_deflection(220) == pytest.approx(1.4, rel=0.01)


@pytest.mark.parametrize("slope", [1.6, 1.9, 2.2, 2.5])
def test_slopes_share_their_radius_at_distance_ratio_one_half(slope):
    z_half = brentq(lambda z: integrated_ratio(Z_LENS, z) - 0.5, 0.5, 5.0)
    expected = physical_deflection(250) / 2
    assert einstein_radius_arcsec(250, Z_LENS, z_half, slope) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("slope", [1.7, 2.0, 2.3])
def test_radii_of_one_deflector_scale_with_the_source_distances(slope):
    # alpha(r) ~ D_ls / D_s * r^(2 - slope) and alpha(theta_E) = theta_E, so theta_E ~ (D_ls / D_s)^(1 / (slope - 1)).
    masses = [replace(LENS, slope=slope)]
    radius1, radius2 = (effective_einstein_radius_arcsec(masses, z) for z in (Z_SOURCE1, Z_SOURCE2))
    ratio = integrated_ratio(Z_LENS, Z_SOURCE2) / integrated_ratio(Z_LENS, Z_SOURCE1)
    assert radius2 / radius1 == pytest.approx(ratio ** (1 / (slope - 1)), rel=1e-9)


@pytest.mark.parametrize("slope", [1.6, 2.0, 2.4])
@pytest.mark.parametrize("z_source", [Z_SOURCE1, Z_SOURCE2])
def test_light_on_a_spheres_einstein_radius_comes_from_its_centre(slope, z_source):
    mass = sphere(Z_LENS, 240, 0.2, -0.1, slope)
    radius = einstein_radius_arcsec(240, Z_LENS, z_source, slope)
    assert effective_einstein_radius_arcsec([mass], z_source) == radius
    phi = np.linspace(0, 6, 7)
    beta = ray_shoot([mass], z_source, 0.2 + radius * np.cos(phi), -0.1 + radius * np.sin(phi))
    np.testing.assert_allclose(beta, np.broadcast_to([[0.2], [-0.1]], (2, 7)), atol=1e-7)


# One plane


def test_masses_at_or_behind_the_source_do_nothing(points):
    np.testing.assert_array_equal(ray_shoot([LENS], Z_LENS, *points), points)
    np.testing.assert_array_equal(ray_shoot([], Z_SOURCE1, *points), points)
    np.testing.assert_array_equal(ray_shoot([LENS, GALAXY], Z_SOURCE1, *points), ray_shoot([LENS], Z_SOURCE1, *points))


def test_isothermal_sphere_moves_light_by_its_radius(points):
    x, y = points
    radius = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    beta_x, beta_y = ray_shoot([sphere(Z_LENS, 260, 0.2, -0.1)], Z_SOURCE1, x, y)
    r = np.hypot(x - 0.2, y + 0.1)
    np.testing.assert_allclose(beta_x, x - radius * (x - 0.2) / r, atol=1e-6)
    np.testing.assert_allclose(beta_y, y - radius * (y + 0.1) / r, atol=1e-6)


def test_shear_alone(points):
    x, y = points
    feather = Mass(Z_LENS, 0.5, -0.2, 0.01, 1.0, 0.0, (0.06, -0.04))
    ratio = integrated_ratio(Z_LENS, Z_SOURCE1)
    beta_x, beta_y = ray_shoot([feather], Z_SOURCE1, x, y)
    np.testing.assert_allclose(beta_x, x - ratio * (0.06 * (x - 0.5) - 0.04 * (y + 0.2)), atol=1e-8)
    np.testing.assert_allclose(beta_y, y - ratio * (-0.04 * (x - 0.5) - 0.06 * (y + 0.2)), atol=1e-8)


@pytest.mark.parametrize("axis_ratio", [0.3, 0.8, 1.0])
def test_power_law_of_slope_2_is_the_isothermal_ellipsoid(points, axis_ratio):
    isothermal = replace(LENS, axis_ratio=axis_ratio)
    nearly = replace(isothermal, slope=2 + 1e-9)
    np.testing.assert_allclose(
        ray_shoot([nearly], Z_SOURCE1, *points), ray_shoot([isothermal], Z_SOURCE1, *points), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("slope", [1.7, 2.0, 2.3])
def test_deflection_is_the_integral_of_the_convergence(slope):
    # alpha(theta) = 1/pi * integral of kappa(theta') (theta - theta') / |theta - theta'|^2 over theta'. Matter outside the
    # ellipse q x^2 + y^2 / q = R^2 through theta does not bend the light (each thin elliptical shell pulls equally from all
    # sides), so the integral ends there.
    q, sigma = 0.6, 250.0
    mass = Mass(Z_LENS, 0, 0, sigma, q, 0.0, slope=slope)
    radius = einstein_radius_arcsec(sigma, Z_LENS, Z_SOURCE1, slope)
    x, y = 0.8, 0.5
    edge = np.hypot(np.sqrt(q) * x, y / np.sqrt(q))

    def integrand(phi, t, axis):
        # With R = edge * t^(1 / (3 - slope)) the mass within R is proportional to t: no cusp is left at the centre.
        big_r = edge * t ** (1 / (3 - slope))
        dx, dy = x - big_r * np.cos(phi) / np.sqrt(q), y - big_r * np.sin(phi) * np.sqrt(q)
        kappa_r_dr = radius ** (slope - 1) * edge ** (3 - slope) / 2  # kappa = (3 - slope) / 2 (radius / R)^(slope - 1)
        return kappa_r_dr * (dx, dy)[axis] / (dx**2 + dy**2) / np.pi

    beta = ray_shoot([mass], Z_SOURCE1, np.array(x), np.array(y))
    # The integrand is singular, yet integrable, where the ellipse meets theta.
    expected = [dblquad(integrand, 0, 1, 0, 2 * np.pi, args=(axis,), epsabs=1e-4, epsrel=1e-4)[0] for axis in (0, 1)]
    np.testing.assert_allclose([x - beta[0], y - beta[1]], expected, rtol=2e-3)


def test_critical_curve_of_an_ellipse_encloses_the_circles_area():
    step = 0.01
    axis = np.arange(-2.5, 2.5, step)
    beta_x, beta_y = ray_shoot([Mass(Z_LENS, 0, 0, 260, 0.6, 0.7)], Z_SOURCE1, *np.meshgrid(axis, axis))
    xx, xy = np.gradient(beta_x, step, axis=1), np.gradient(beta_x, step, axis=0)
    yx, yy = np.gradient(beta_y, step, axis=1), np.gradient(beta_y, step, axis=0)
    area = np.sum(xx * yy - xy * yx < 0) * step**2
    assert np.sqrt(area / np.pi) == pytest.approx(einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1), rel=0.01)


def test_magnification_of_a_small_disc_by_an_isothermal_sphere():
    # mu+ + mu- = (1 + theta_E / beta) + (theta_E / beta - 1) = 2 theta_E / beta for a point; surface brightness is kept.
    radius, beta, size, step = einstein_radius_arcsec(240, Z_LENS, Z_SOURCE1), 0.4, 0.02, 0.004
    axis = (np.arange(1000) - 499.5) * step
    x, y = np.meshgrid(axis, axis)
    beta_x, beta_y = ray_shoot([sphere(Z_LENS, 240)], Z_SOURCE1, x, y)
    seen = np.sum(np.hypot(beta_x - beta, beta_y) < size) * step**2
    assert seen / (np.pi * size**2) == pytest.approx(2 * radius / beta, rel=0.01)


@pytest.mark.parametrize("mass", [LENS, STEEP])
def test_jacobian_against_lenstronomys_hessian(mass, points):
    x, y = points
    step = 1e-5
    plus_x, plus_y = ray_shoot([mass], Z_SOURCE1, x + step, y), ray_shoot([mass], Z_SOURCE1, x, y + step)
    minus_x, minus_y = ray_shoot([mass], Z_SOURCE1, x - step, y), ray_shoot([mass], Z_SOURCE1, x, y - step)
    jacobian = np.array([np.subtract(plus_x, minus_x), np.subtract(plus_y, minus_y)]) / (2 * step)
    determinant = jacobian[0, 0] * jacobian[1, 1] - jacobian[0, 1] * jacobian[1, 0]
    magnification = LensModel(["EPL", "SHEAR"]).magnification(x, y, lenstronomy_parameters(mass, Z_SOURCE1))
    np.testing.assert_allclose(determinant, 1 / magnification, rtol=1e-4, atol=1e-4)


def test_deflections_of_a_group_add(points):
    alone = [np.subtract(ray_shoot([mass], Z_SOURCE1, *points), points) for mass in (STEEP, MEMBER)]
    together = np.subtract(ray_shoot([STEEP, MEMBER], Z_SOURCE1, *points), points)
    np.testing.assert_allclose(together, alone[0] + alone[1], atol=1e-12)


@pytest.mark.parametrize("masses", [[LENS], [STEEP], [LENS, MEMBER], [LENS, GALAXY], [STEEP, MEMBER, GALAXY]])
def test_rotating_everything_rotates_the_sources(masses, points):
    turn = 0.7
    cos, sin = np.cos(turn), np.sin(turn)

    def rotated(x, y):
        return cos * x - sin * y, sin * x + cos * y

    def turned(mass):
        x, y = rotated(mass.x_arcsec, mass.y_arcsec)
        shear = complex(*mass.shear) * np.exp(2j * turn)
        return replace(mass, x_arcsec=x, y_arcsec=y, angle_rad=mass.angle_rad + turn, shear=(shear.real, shear.imag))

    found = ray_shoot([turned(mass) for mass in masses], Z_SOURCE2, *rotated(*points))
    np.testing.assert_allclose(found, rotated(*ray_shoot(masses, Z_SOURCE2, *points)), atol=1e-7)


@pytest.mark.parametrize("mass", [LENS, STEEP])
def test_shapes_and_the_singular_centre(mass):
    x, y = np.meshgrid(np.linspace(-1, 1, 150), np.linspace(-1, 1, 140))
    beta_x, beta_y = ray_shoot([mass], Z_SOURCE1, x.astype(np.float32), y.astype(np.float32))
    assert beta_x.shape == beta_y.shape == (140, 150)
    assert beta_x.dtype == np.float64
    # Many rays are shot in blocks; single rays have the same deflection.
    corner = ray_shoot([mass], Z_SOURCE1, x[-1, -1], y[-1, -1])
    np.testing.assert_allclose(corner, [beta_x[-1, -1], beta_y[-1, -1]], atol=1e-5)
    centre = ray_shoot([mass], Z_SOURCE1, np.array([mass.x_arcsec]), np.array([mass.y_arcsec]))
    np.testing.assert_allclose(np.ravel(centre), [mass.x_arcsec, mass.y_arcsec], atol=1e-6)


# Several planes


@pytest.mark.parametrize(
    "masses",
    [
        [LENS],
        [LENS, MEMBER],
        [LENS, replace(GALAXY, slope=2.0)],
        [STEEP, GALAXY],
        [STEEP, MEMBER, GALAXY, Mass(0.7, 1.5, -1.0, 120, 0.9, 0.2)],
    ],
    ids=["one_plane", "group", "two_isothermal", "two_power_laws", "three_planes"],
)
def test_against_lenstronomys_planes(masses, points):
    np.testing.assert_allclose(ray_shoot(masses, Z_SOURCE2, *points), by_lenstronomy(masses, Z_SOURCE2, *points), atol=3e-8)


def test_order_of_masses_is_irrelevant(points):
    masses = [STEEP, MEMBER, GALAXY]
    forward, backward = (ray_shoot(m, Z_SOURCE2, *points) for m in (masses, masses[::-1]))
    np.testing.assert_allclose(forward, backward, atol=1e-10)


def test_planes_at_nearly_one_redshift_act_as_one(points):
    near = ray_shoot([LENS, MEMBER], Z_SOURCE1, *points)
    gap = ray_shoot([LENS, replace(MEMBER, z=Z_LENS + 1e-7)], Z_SOURCE1, *points)
    np.testing.assert_allclose(gap, near, atol=1e-5)


@pytest.mark.parametrize(("sigma_lens", "sigma_galaxy"), [(260, 180), (200, 120), (320, 300)])
def test_ring_of_two_isothermal_spheres_on_axis(sigma_lens, sigma_galaxy):
    # The ring of source 2 solves 0 = t - theta_1 sign(t) - theta_2 sign(t1), with theta_i the radius of mass i for source 2
    # and t1 = t - theta_12 sign(t) where the ray meets the second mass, theta_12 being the first one's radius for that plane.
    # theta_12 < theta_1 (the plane is nearer than source 2), so t = theta_1 + theta_2 has t1 > 0 and is the solution.
    masses = [sphere(Z_LENS, sigma_lens), sphere(Z_SOURCE1, sigma_galaxy)]
    expected = sum(physical_deflection(m.velocity_dispersion_km_s) * integrated_ratio(m.z, Z_SOURCE2) for m in masses)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE2) == pytest.approx(expected, rel=1e-4)
    # Only light on the ring comes from the axis: light 1 % off the ring misses the axis by as much.
    phi = np.linspace(0, 6, 7)
    for factor in (0.99, 1.0, 1.01):
        beta = ray_shoot(masses, Z_SOURCE2, factor * expected * np.cos(phi), factor * expected * np.sin(phi))
        np.testing.assert_allclose(np.hypot(*beta), abs(factor - 1) * expected, atol=1e-4 * expected)


def test_radius_for_the_nearer_source_is_the_deflectors_alone():
    masses = [replace(LENS, shear=(0.05, 0.0)), sphere(Z_SOURCE1, 180)]
    expected = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == expected
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE2) > expected


@pytest.mark.parametrize("slope", [1.8, 2.0, 2.2])
def test_radius_of_two_masses_in_one_place(slope):
    # alpha = (theta_a^(s - 1) + theta_b^(s - 1)) r^(2 - s) = r
    masses = [sphere(Z_LENS, sigma, 0.1, 0.2, slope) for sigma in (250, 200)]
    a, b = (einstein_radius_arcsec(sigma, Z_LENS, Z_SOURCE1, slope) for sigma in (250, 200))
    expected = (a ** (slope - 1) + b ** (slope - 1)) ** (1 / (slope - 1))
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == pytest.approx(expected, rel=1e-4)


def test_radius_of_a_group_encloses_its_mean_critical_density():
    # Inside the radius mean convergence is 1. The convergence of an isothermal sphere is theta_E / (2 r).
    masses = [sphere(Z_LENS, 250, 0.3, 0.1), sphere(Z_LENS, 200, 0.9, 0.3), sphere(Z_LENS, 150, -4.0, 1.0)]
    radius = effective_einstein_radius_arcsec(masses, Z_SOURCE1)
    step = 0.005
    axis = np.arange(-4, 4, step) + step / 3
    x, y = np.meshgrid(axis + 0.3, axis + 0.1)
    inside = np.hypot(x - 0.3, y - 0.1) < radius
    kappa = sum(
        einstein_radius_arcsec(m.velocity_dispersion_km_s, m.z, Z_SOURCE1)
        / (2 * np.hypot(x[inside] - m.x_arcsec, y[inside] - m.y_arcsec))
        for m in masses
    )
    assert kappa.mean() == pytest.approx(1, rel=0.005)


@pytest.mark.parametrize("slope", [1.8, 2.0, 2.3])
def test_radius_of_a_group_against_an_average_over_many_azimuths(slope):
    """The companion is just outside the radius."""
    masses = [sphere(Z_LENS, 250, 0.3, 0.1, slope), sphere(Z_LENS, 120, 1.9, 1.3, slope)]
    expected = brentq(lambda radius: mean_excess(masses, radius), 1.0, 1.9)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == pytest.approx(expected, rel=2e-4)


def test_the_largest_of_several_circles_counts():
    """A heavy companion focuses light inside a second, larger circle."""
    masses = [sphere(Z_LENS, 150, 0.3, 0.1, 2.5), sphere(Z_LENS, 450, 2.3, 0.1, 2.5)]
    assert [mean_excess(masses, radius) > 0 for radius in (0.3, 1.5, 2.4, 5.0)] == [True, False, True, False]
    expected = brentq(lambda radius: mean_excess(masses, radius), 2.4, 5.0)
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == pytest.approx(expected, rel=2e-4)


def test_circles_near_the_limits_are_found(monkeypatch):
    masses = [sphere(Z_LENS, 31.4)] * 2
    expected = 2 * physical_deflection(31.4) * integrated_ratio(Z_LENS, Z_SOURCE1)
    assert 0.03 < expected < 0.033
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == pytest.approx(expected, rel=1e-4)
    # Rounded deflections are almost never exactly 15 arcsec, so these are given.
    monkeypatch.setattr("simulation.lensing._mean_inward", lambda *arguments: np.full(len(arguments[-1]), 15.0))
    assert effective_einstein_radius_arcsec(masses, Z_SOURCE1) == 15


@pytest.mark.parametrize(
    "masses", [[sphere(Z_LENS, 10), sphere(Z_LENS, 5, 3.0)], [sphere(Z_SOURCE2, 250)], [sphere(Z_LENS, 900)] * 2]
)
def test_a_radius_that_does_not_exist_is_an_error(masses):
    with pytest.raises(ValueError, match=r"no Einstein radius between 0\.03 and 15 arcsec for z_source=1\.1"):
        effective_einstein_radius_arcsec(masses, Z_SOURCE1)


def test_zero_shear_is_not_evaluated(points, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("simulation.lensing._shear.derivatives", refuse)
    ray_shoot([MEMBER], Z_SOURCE1, *points)
    with pytest.raises(AssertionError):
        ray_shoot([LENS], Z_SOURCE1, *points)
