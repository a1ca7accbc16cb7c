"""Tests of numbers of images against closed forms and lenstronomy's solver, and of the shapes of rings, quads and arcs."""

import numpy as np
import pytest
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LensModel.Solver.lens_equation_solver import LensEquationSolver
from scipy.ndimage import gaussian_filter

from simulation.lensing import distance_ratio, einstein_radius_arcsec, ray_shoot
from simulation.products.image_forms import MIN_IMAGE_MAGNIFICATION, morphology, n_images
from simulation.systems import Mass

Z_LENS, Z_SOURCE1, Z_SOURCE2 = 0.4, 1.1, 2.4
AXIS = (np.arange(240) - 119.5) * 0.05
X, Y = np.meshgrid(AXIS, AXIS)


def count(masses, source, z_source=Z_SOURCE1):
    return n_images(*ray_shoot(masses, z_source, X, Y), AXIS, *source)


def solve(mass, source):
    """Return the magnifications of all images, by lenstronomy."""
    ellipticity, ratio = (1 - mass.axis_ratio) / (1 + mass.axis_ratio), distance_ratio(mass.z, Z_SOURCE1)
    parameters = [
        {
            "theta_E": einstein_radius_arcsec(mass.velocity_dispersion_km_s, mass.z, Z_SOURCE1, mass.slope),
            "gamma": mass.slope,
            "e1": ellipticity * np.cos(2 * mass.angle_rad),
            "e2": ellipticity * np.sin(2 * mass.angle_rad),
            "center_x": mass.x_arcsec,
            "center_y": mass.y_arcsec,
        },
        {"gamma1": mass.shear[0] * ratio, "gamma2": mass.shear[1] * ratio, "ra_0": mass.x_arcsec, "dec_0": mass.y_arcsec},
    ]
    model = LensModel(["EPL", "SHEAR"])
    x, y = LensEquationSolver(model).image_position_from_source(
        *source, parameters, min_distance=0.02, search_window=6, solver="lenstronomy"
    )
    return model.magnification(x, y, parameters)


def n_visible(magnification):
    return int(np.sum((magnification > 0.5) | (magnification < -MIN_IMAGE_MAGNIFICATION)))


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.025, 0.025), (0.11, -0.03)], ids=["on_an_edge", "on_a_ray", "anywhere"])
@pytest.mark.parametrize("azimuth", [0.3, 1.9, 4.4])
def test_isothermal_sphere(centre, azimuth):
    # The second image has magnification 1 - theta_E / beta: it counts up to about beta = theta_E / 1.1.
    radius = einstein_radius_arcsec(240, Z_LENS, Z_SOURCE1)
    for beta, expected in ((0.1, 2), (0.5, 2), (0.8, 2), (0.97, 1), (1.05, 1), (2.0, 1)):
        offset = beta * radius * np.array([np.cos(azimuth), np.sin(azimuth)])
        assert count([Mass(Z_LENS, *centre, 240, 1.0, 0.0)], centre + offset) == expected, beta


def test_faint_images_in_the_core_do_not_count():
    axis = (np.arange(400) - 199.5) * 0.01
    beta_x, beta_y = ray_shoot([Mass(Z_LENS, 0.0, 0.0, 240, 1.0, 0.0)], Z_SOURCE1, *np.meshgrid(axis, axis))
    radius = einstein_radius_arcsec(240, Z_LENS, Z_SOURCE1)
    for magnification, expected in ((0.07, 1), (0.14, 2)):
        beta = radius / (1 + magnification)
        assert n_images(beta_x, beta_y, axis, beta * np.cos(0.3), beta * np.sin(0.3)) == expected


def test_no_lens_gives_one_image():
    assert count([], (0.31, -0.72)) == 1
    assert count([], (31.0, 0.0)) == 0


def test_isothermal_ellipsoid_inside_and_outside_its_diamond():
    # The cusps of an SIE's tangential caustic lie on its axes (Kormann, Schneider & Bartelmann 1994, section 4), at the image
    # of the tangential critical curve q x^2 + y^2 / q = theta_E^2: beta = x - alpha(x).
    q = 0.6
    radius = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    root = np.sqrt(1 - q**2)
    cusp_x = radius * (1 / np.sqrt(q) - np.sqrt(q) / root * np.arctan(root / q))
    cusp_y = radius * (np.sqrt(q) - np.sqrt(q) / root * np.arctanh(root))
    masses = [Mass(Z_LENS, 0.0, 0.0, 260, q, 0.0)]
    for factor, expected in ((0.9, 4), (1.1, 2)):
        # A source exactly on the axis has mirrored images on lines of the grid; hence the small offset.
        assert count(masses, (factor * cusp_x, 0.003)) == expected
        assert count(masses, (0.003, factor * cusp_y)) == expected


@pytest.mark.parametrize("slope", [1.85, 2.0, 2.15])
def test_against_lenstronomys_solver(slope, rng):
    found, expected = [], []
    for _ in range(25):
        centre = rng.normal(0, 0.1, 2)
        mass = Mass(Z_LENS, *centre, rng.uniform(210, 290), rng.uniform(0.5, 0.9), rng.uniform(0, 3), (0.03, 0.02), slope)
        source = centre + rng.uniform(-0.4, 0.4, 2)
        found.append(count([mass], source))
        expected.append(n_visible(solve(mass, source)))
    # A source within the grid's error of a caustic may differ.
    assert np.mean(np.equal(found, expected)) >= 0.92, (found, expected)
    assert {2, 4} <= set(expected)


@pytest.mark.parametrize("beta", [0.15, 0.3, 0.5, 0.9, 1.5])
@pytest.mark.parametrize("azimuth", [0.3, 2.2])
def test_two_isothermal_spheres_on_one_line_of_sight(beta, azimuth):
    # All images lie on the line through the source, at t with beta = t - theta_1 sign(t) - theta_2 sign(t - theta_12 sign(t)),
    # where theta_i is the radius of mass i for source 2 and theta_12 that of the first for the second's plane. Each has
    # magnification t / beta. On the whole circle |t| = theta_12 rays hit the second mass's singular centre: hence a fine grid.
    theta_1, theta_2 = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE2), einstein_radius_arcsec(190, Z_SOURCE1, Z_SOURCE2)
    theta_12 = einstein_radius_arcsec(260, Z_LENS, Z_SOURCE1)
    roots = [beta + theta_1 + theta_2]
    roots += [t for t in (beta + theta_1 - theta_2,) if 0 < t < theta_12]
    roots += [t for t in (beta - theta_1 - theta_2,) if t < -theta_12]
    roots += [t for t in (beta - theta_1 + theta_2,) if -theta_12 < t < 0]
    masses = [Mass(Z_LENS, 0.013, 0.004, 260, 1.0, 0.0), Mass(Z_SOURCE1, 0.013, 0.004, 190, 1.0, 0.0)]
    source = (0.013 + beta * np.cos(azimuth), 0.004 + beta * np.sin(azimuth))
    axis = (np.arange(640) - 319.5) * 0.01
    found = n_images(*ray_shoot(masses, Z_SOURCE2, *np.meshgrid(axis, axis)), axis, *source)
    assert found == n_visible(np.array(roots) / beta), roots


def picture(masses, source, half_light_radius_arcsec, radius):
    """Return the `morphology` of an exponential source as in VIS: blurred to 0.17 arcsec, on pixels of 0.1 arcsec."""
    beta_x, beta_y = ray_shoot(masses, Z_SOURCE1, X, Y)
    r = np.hypot(beta_x - source[0], beta_y - source[1])
    blurred = gaussian_filter(np.exp(-1.678 * r / half_light_radius_arcsec), 0.17 / 2.355 / 0.05)
    pixels = blurred.reshape(120, 2, 120, 2).mean(axis=(1, 3)).astype(np.float32)
    centre = (masses[0].x_arcsec, masses[0].y_arcsec)
    n = n_images(beta_x, beta_y, AXIS, *source)
    fine = morphology(blurred, AXIS, centre, n, radius)
    assert morphology(pixels, AXIS.reshape(120, 2).mean(axis=1), centre, n, radius) == fine
    return fine


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.4, -0.7)])
@pytest.mark.parametrize("sigma", [190, 230, 280])
def test_morphology_of_an_isothermal_sphere(sigma, centre):
    radius = einstein_radius_arcsec(sigma, Z_LENS, Z_SOURCE1)
    masses = [Mass(Z_LENS, *centre, sigma, 1.0, 0.0)]
    assert picture(masses, centre, 0.1, radius) == "ring"
    for azimuth in (0.3, 2.0, 4.0):
        for beta in (0.5, 0.85, 1.2):
            source = centre + beta * radius * np.array([np.cos(azimuth), np.sin(azimuth)])
            assert picture(masses, source, 0.08, radius) == "arc", (azimuth, beta)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_morphology_of_an_isothermal_ellipsoid(angle):
    radius = einstein_radius_arcsec(270, Z_LENS, Z_SOURCE1)
    masses = [Mass(Z_LENS, 0.05, 0.02, 270, 0.6, angle)]
    assert picture(masses, (0.061, 0.024), 0.04, radius) == "quad"
    assert picture(masses, (0.061, 0.024), 0.4, radius) == "ring"
    assert picture(masses, (0.7, 0.5), 0.04, radius) == "arc"


def test_a_gap_makes_a_ring_an_arc():
    r, phi = np.hypot(X, Y), np.arctan2(Y, X)
    for gap_fraction, expected in ((0.0, "ring"), (0.1, "ring"), (0.3, "arc")):
        image = np.exp(-(((r - 1.0) / 0.15) ** 2)) * (np.abs(phi) > np.pi * gap_fraction)
        assert morphology(image, AXIS, (0.0, 0.0), 2, 1.0) == expected
    for faintest, expected in ((0.2, "ring"), (0.05, "arc")):
        image = np.exp(-(((r - 1.0) / 0.15) ** 2)) * np.where(np.abs(phi) > np.pi / 2, faintest, 1.0)
        assert morphology(image, AXIS, (0.0, 0.0), 2, 1.0) == expected
    # A disc that fills the radius is not a ring, although it covers all azimuths.
    assert morphology(np.exp(-r), AXIS, (0.0, 0.0), 2, 1.0) == "arc"
