"""The preset `broad` covers what the forecast makes rare, and its lenses stay physical."""

import numpy as np
import pytest

from simulation.lensing import effective_einstein_radius_arcsec, einstein_radius_arcsec, ray_shoot
from simulation.population import broad
from simulation.population.draw import draw_system
from simulation.population.forecast_rows import draw_row
from simulation.population.galaxies import total_vis_mag
from simulation.systems import Mass, Sersic

KINDS = ("single", "compound_arc", "double_ring")
N = 300


@pytest.fixture(scope="module")
def lenses():
    rng = np.random.default_rng(3)
    return {kind: [broad.draw_lens(kind, rng, 30.0) for _ in range(N if kind == "single" else 60)] for kind in KINDS}


def radius_of(system, z_source):
    return einstein_radius_arcsec(system.velocity_dispersion_km_s, system.z_lens, z_source)


def offset_of(system, light):
    return np.hypot(light[0].x_arcsec - system.masses[0].x_arcsec, light[0].y_arcsec - system.masses[0].y_arcsec)


def members_of(system):
    return [mass for mass in system.masses[1:] if mass.z == system.z_lens]


@pytest.mark.parametrize("kind", KINDS)
def test_systems_are_whole_and_fit_the_stamp(kind, lenses):
    for system in lenses[kind]:
        assert (system.kind, system.detector_angle_deg) == (kind, 30.0)
        assert bool(system.source2) == (kind != "single")
        redshifts = [z for z in (system.z_source1, system.z_source2) if z]
        assert system.z_lens < redshifts[0] < [*redshifts, np.inf][1]
        assert all(0 < effective_einstein_radius_arcsec(system.masses, z) < 4.2 for z in redshifts)
        assert system.masses[0].velocity_dispersion_km_s == system.velocity_dispersion_km_s <= 600


def test_no_kind_but_a_lens_is_drawn(rng):
    with pytest.raises(ValueError, match="got 'nonlens'"):
        broad.draw_lens("nonlens", rng, 0.0)


def test_einstein_radii_cover_the_stamp_evenly_in_the_logarithm():
    rng = np.random.default_rng(1)
    rows = [broad.widened(rng, draw_row(rng)) for _ in range(3000)]
    radii = np.array([row.einstein_radius_arcsec for row in rows])
    # Three in ten keep the forecast's radius, most of them below 1 arcsec.
    assert 0.7 * np.log(4 / 2) / np.log(4 / 0.45) - 0.04 < np.mean(radii > 2) < 0.7 * np.log(4 / 2) / np.log(4 / 0.45) + 0.06
    assert radii.max() < 4.001


def test_sources_are_up_to_four_magnitudes_brighter_and_larger():
    rows = [draw_row(np.random.default_rng(i)) for i in range(800)]
    rng = np.random.default_rng(2)
    wide = [broad.widened(rng, row) for row in rows]
    brighter = np.array([row.source_vis_mag - new.source_vis_mag for row, new in zip(rows, wide, strict=True)])
    is_free = np.array([new.source_vis_mag > 20 for new in wide])
    assert 0 <= brighter.min() < brighter.max() <= 4
    assert brighter[is_free].mean() == pytest.approx(2, abs=0.1)
    growth = [
        new.source_half_light_radius_arcsec / max(row.source_half_light_radius_arcsec, 0.03)
        for row, new in zip(rows, wide, strict=True)
    ]
    slope = np.polyfit(brighter, np.log(growth), 1)[0]
    assert slope == pytest.approx(0.15, abs=0.06)


def test_half_of_the_deflectors_are_fainter_than_their_mass_implies():
    rng = np.random.default_rng(5)
    fainter = []
    for _ in range(2000):
        row = draw_row(rng)
        new = broad.widened(rng, row)
        expected = np.clip(10 * np.log10(new.velocity_dispersion_km_s / row.velocity_dispersion_km_s), -1.5, 1.5)
        fainter.append(new.lens_vis_mag - row.lens_vis_mag + expected)
    fainter = np.array(fainter)
    assert np.mean(fainter > 1e-9) == pytest.approx(0.5, abs=0.04)
    assert fainter.max() == pytest.approx(2.5, abs=0.05)
    assert fainter.min() > -1e-9


def test_one_deflector_in_three_has_galaxies_inside_its_ring(lenses):
    n_inside = []
    for system in lenses["single"]:
        deflector, radius = system.masses[0], effective_einstein_radius_arcsec(system.masses, system.z_source1)
        distances = [np.hypot(m.x_arcsec - deflector.x_arcsec, m.y_arcsec - deflector.y_arcsec) for m in members_of(system)]
        n_inside.append(sum(distance < radius for distance in distances))
        # Every galaxy with mass has light at its place.
        lit = {(round(light.x_arcsec, 6), round(light.y_arcsec, 6)) for light in system.galaxy}
        assert {(round(m.x_arcsec, 6), round(m.y_arcsec, 6)) for m in members_of(system)} <= lit
    assert 0.25 < np.mean(np.array(n_inside) > 0) < 0.45
    assert max(n_inside) >= 2


def test_galaxies_of_a_crowded_core_lie_within_its_limits(rng):
    system = next(s for s in iter(lambda: draw_system("euclid", "single", rng, 0.0), None) if len(s.masses) == 1)
    light, masses = broad.draw_members_inside(rng, system, 200)
    deflector = system.masses[0]
    radius = einstein_radius_arcsec(deflector.velocity_dispersion_km_s, system.z_lens, system.z_source1)
    distances = np.array([np.hypot(m.x_arcsec - deflector.x_arcsec, m.y_arcsec - deflector.y_arcsec) for m in masses])
    assert distances.min() >= max(0.2 * radius, 0.3) - 1e-9
    assert distances.max() <= 1.6 * radius + 1e-9
    assert {mass.z for mass in masses} == {system.z_lens}
    assert max(mass.velocity_dispersion_km_s for mass in masses) < deflector.velocity_dispersion_km_s
    faintest = total_vis_mag(system.galaxy) + 2.8
    assert max(part.sed.vis_mag for part in light) <= faintest + 1e-9


def test_offsets_of_compound_lenses_are_those_of_their_kind(lenses):
    for kind, near, far in (("double_ring", (0, 0.3), (0, 0.3)), ("compound_arc", (0.2, 0.9), (0.1, 0.9))):
        for system in lenses[kind]:
            for (low, high), z, light in (
                (near, system.z_source1, system.source1),
                (far, system.z_source2, system.source2),
            ):
                assert low - 1e-9 <= offset_of(system, light) / radius_of(system, z) <= high + 1e-9


def test_a_cluster_shears_images_across_its_direction():
    """The mean shear of a distant isothermal mass, from its deflection field, has the sign that clusters are given."""
    far = Mass(0.5, 40.0, 0.0, 400.0, 1.0, 0.0)
    step = 0.05
    x, y = np.array([step, -step, 0.0, 0.0]), np.array([0.0, 0.0, step, -step])
    beta_x, beta_y = ray_shoot([far], 2.0, x, y)
    gamma1 = 0.5 * (-(beta_x[0] - beta_x[1]) + (beta_y[2] - beta_y[3])) / (2 * step)
    assert gamma1 < 0
    rng = np.random.default_rng(7)
    for _ in range(200):
        around = broad._cluster(rng, draw_row(rng), 0.0, 0.0)
        (brightest,) = around.cluster_light
        direction = np.arctan2(brightest.y_arcsec, brightest.x_arcsec)
        assert np.hypot(*around.shear) > 0.05
        np.testing.assert_allclose(np.arctan2(*around.shear[::-1]), np.arctan2(-np.sin(2 * direction), -np.cos(2 * direction)))


def test_one_deflector_in_seven_is_of_late_type(lenses):
    is_late = [
        len({part.sersic_index for part in s.galaxy[:2] if isinstance(part, Sersic)} & {1.0}) > 0 and len(s.galaxy) > 1
        for s in lenses["single"]
    ]
    # Envelopes of early types are exponential too, a quarter of the rest.
    assert 0.25 < np.mean(is_late) < 0.5
