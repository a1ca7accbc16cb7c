"""Tests of the paper's preset against its table 1 and the SLACS table."""

import csv
from itertools import chain

import numpy as np
import pytest
from scipy.stats import kstest

from simulation.lensing import distance_ratio
from simulation.population import wilde2022
from simulation.population.draw import draw_system
from simulation.population.wilde2022 import draw_lens
from tests.shared import SHARED

SLACS = SHARED / "real" / "tables" / "slacs_all_params.csv"
KINDS = ("single", "compound_arc", "double_ring")
N = 600


@pytest.fixture(scope="module")
def lenses():
    rng = np.random.default_rng(4)
    return {kind: [draw_lens(kind, rng, 12.0) for _ in range(N)] for kind in KINDS}


def uniform(values, low, high):
    return kstest(values, "uniform", (low, high - low)).pvalue > 1e-4


def test_profiles_have_the_ranges_of_table_1(lenses):
    profiles = [light for kind in KINDS for s in lenses[kind] for light in (*s.galaxy, *s.source1, *s.source2)]
    assert uniform([p.half_light_radius_arcsec for p in profiles], 0.2, 7.0)
    assert uniform([p.sersic_index for p in profiles], 1.5, 20.0)
    assert uniform([p.axis_ratio for p in profiles], 0.3, 1.0)
    assert uniform([p.angle_rad for p in profiles], 0.0, np.pi)


def test_positions_have_the_ranges_of_table_1(lenses):
    for kind in KINDS:
        sources = [(s.source2 or s.source1)[0] for s in lenses[kind]]
        assert uniform([p.x_arcsec for p in sources], -5.0, 5.0)
        assert uniform([p.y_arcsec for p in sources], -5.0, 5.0)
        half = 0.25 if kind == "double_ring" else 5.0
        for system, source in zip(lenses[kind], sources, strict=True):
            for mass in system.masses:
                assert abs(mass.x_arcsec - source.x_arcsec) <= half
                assert abs(mass.y_arcsec - source.y_arcsec) <= half
    offsets = [m.x_arcsec - s.source2[0].x_arcsec for s in lenses["double_ring"] for m in s.masses]
    assert uniform(offsets, -0.25, 0.25)


def test_gamma_is_the_shear_for_the_farthest_source(lenses):
    gammas = []
    for system in chain(*lenses.values()):
        ratio = distance_ratio(system.z_lens, system.z_source2 or system.z_source1)
        gammas += [component * ratio for component in system.masses[0].shear]
        assert all(mass.shear == (0.0, 0.0) for mass in system.masses[1:])
        assert all(mass.slope == 2.0 for mass in system.masses)
    assert uniform(gammas, -0.5, 0.5)


def test_the_deflector_is_more_massive_in_two_of_three_systems(lenses):
    pairs = [[m.velocity_dispersion_km_s for m in s.masses] for kind in KINDS[1:] for s in lenses[kind]]
    assert np.mean([deflector > middle for deflector, middle in pairs]) == pytest.approx(2 / 3, abs=0.05)


def path_length(z_from, z_to):
    """Return the comoving path in Hubble lengths: H0 = 70 km/s/Mpc cancels, the matter density is 0.3."""
    z = np.linspace(z_from, z_to, 2001)
    return np.trapezoid(1 / np.sqrt(0.3 * (1 + z) ** 3 + 0.7), z)


def test_compound_arcs_lie_within_the_einstein_radius_of_equation_1(lenses):
    for system in lenses["compound_arc"]:
        deflector = system.masses[0]
        for z, (light, *_) in ((system.z_source1, system.source1), (system.z_source2, system.source2)):
            # In a flat universe D_ls / D_s is that of comoving distances.
            ratio = path_length(system.z_lens, z) / path_length(0.0, z)
            radius = 4 * np.pi * (deflector.velocity_dispersion_km_s / 299792.458) ** 2 * ratio * 206264.806
            offset = np.hypot(light.x_arcsec - deflector.x_arcsec, light.y_arcsec - deflector.y_arcsec)
            assert offset <= radius * 1.0001


def test_the_middle_galaxy_is_a_source_and_a_lens(lenses):
    for kind in KINDS[1:]:
        for system in lenses[kind]:
            assert system.z_lens < system.z_source1 < system.z_source2
            middle = system.masses[1]
            assert middle.z == system.z_source1
            assert (middle.x_arcsec, middle.y_arcsec) == (system.source1[0].x_arcsec, system.source1[0].y_arcsec)
            assert system.galaxy[0].x_arcsec == system.masses[0].x_arcsec
    assert all(len(s.masses) == 1 and not s.source2 and s.z_source2 is None for s in lenses["single"])


def test_faster_stars_shine_brighter(lenses):
    near = [s for kind in KINDS for s in lenses[kind] if 0.2 < s.z_lens < 0.22]
    sigma = np.log10([s.velocity_dispersion_km_s for s in near])
    slope = np.polyfit(sigma, [s.galaxy[0].sed.vis_mag for s in near], 1)[0]
    assert slope == pytest.approx(-10, abs=1.5)


def test_a_nonlens_is_a_lens_galaxy_alone(rng):
    for _ in range(50):
        system = draw_system("wilde2022", "nonlens", rng, 33.0)
        assert (system.kind, system.lookalike, system.detector_angle_deg) == ("nonlens", "twin", 33.0)
        assert system.galaxy
        assert (system.masses, system.source1, system.source2) == ((), (), ())


def test_a_kind_that_is_not_a_lens_is_refused(rng):
    with pytest.raises(ValueError, match="kind must be single, compound_arc or double_ring, got 'nonlens'"):
        draw_lens("nonlens", rng, 0.0)


@pytest.mark.needs_shared("real/tables/slacs_all_params.csv")
@pytest.mark.parametrize(
    ("column", "name"),
    [("z_lens", "DEFLECTOR_REDSHIFTS"), ("z_source", "SOURCE_REDSHIFTS"), ("sigma_v", "VELOCITY_DISPERSIONS_KM_S")],
)
def test_ranges_are_those_of_slacs_lenses(column, name):
    with SLACS.open() as file:
        values = [float(row[column]) for row in csv.DictReader(file) if row[column]]
    assert getattr(wilde2022, name) == pytest.approx((min(values), max(values)), rel=0.02)
