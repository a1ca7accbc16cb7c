"""Tests of the preset `euclid` against the forecast that it follows."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.lensing import distance_ratio, einstein_radius_arcsec
from simulation.population.forecast import _draw_deflector, draw_lens
from simulation.population.forecast_rows import draw_row
from tests.simulation.colours import vis_minus_h

KINDS = ("single", "compound_arc", "double_ring")
N = 500


@pytest.fixture(scope="module")
def lenses():
    rng = np.random.default_rng(6)
    return {kind: [draw_lens(kind, rng, 77.0) for _ in range(N)] for kind in KINDS}


def radius_of(system, z_source):
    return einstein_radius_arcsec(system.velocity_dispersion_km_s, system.z_lens, z_source)


def offset_of(system, light):
    return np.hypot(light[0].x_arcsec - system.masses[0].x_arcsec, light[0].y_arcsec - system.masses[0].y_arcsec)


@pytest.mark.parametrize("kind", KINDS)
def test_systems_are_whole(kind, lenses):
    for system in lenses[kind]:
        assert (system.kind, system.detector_angle_deg, system.neighbours) == (kind, 77.0, ())
        assert system.masses[0].velocity_dispersion_km_s == system.velocity_dispersion_km_s <= 450
        assert 0.4 < radius_of(system, system.z_source1) < 4.001
        assert system.galaxy
        assert system.source1
        assert bool(system.source2) == (kind != "single")


def test_a_single_source_lies_anywhere_within_the_einstein_radius(lenses):
    shares = [offset_of(s, s.source1) / radius_of(s, s.z_source1) for s in lenses["single"]]
    assert max(shares) <= 0.951
    # Even in area.
    assert np.mean(np.square(shares)) == pytest.approx(0.95**2 / 2, abs=0.04)


def test_sources_of_compound_lenses_have_the_offsets_of_their_kind(lenses):
    for system in lenses["double_ring"]:
        for z, light in ((system.z_source1, system.source1), (system.z_source2, system.source2)):
            assert offset_of(system, light) <= min(0.25, 0.3 * radius_of(system, z)) + 1e-9
    for system in lenses["compound_arc"]:
        for z, light in ((system.z_source1, system.source1), (system.z_source2, system.source2)):
            assert 0.3 - 1e-9 <= offset_of(system, light) / radius_of(system, z) <= 0.9 + 1e-9


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_middle_galaxy_is_a_source_and_a_lesser_lens(kind, lenses):
    middles = []
    for system in lenses[kind]:
        assert system.z_lens < system.z_source1 < system.z_source2 - 0.29
        assert system.z_source2 < 5.0
        assert radius_of(system, system.z_source1) > 0.6
        middle = system.masses[-1]
        assert middle.z == system.z_source1
        assert (middle.x_arcsec, middle.y_arcsec) == (system.source1[0].x_arcsec, system.source1[0].y_arcsec)
        assert 80 <= middle.velocity_dispersion_km_s <= min(280, 0.95 * system.velocity_dispersion_km_s)
        assert [m.z for m in system.masses[:-1]] == [system.z_lens] * (len(system.masses) - 1)
        middles.append(middle.velocity_dispersion_km_s)
    assert len(set(middles)) > 0.9 * N, "not all at the limit"


def members_of(system):
    return [m for m in system.masses[1:] if m.z == system.z_lens]


def test_a_quarter_has_further_members_with_light_and_mass(lenses):
    singles = lenses["single"]
    assert np.mean([bool(members_of(s)) for s in singles]) == pytest.approx(0.25, abs=0.06)
    for system in singles:
        main = system.masses[0]
        for member in members_of(system):
            assert 1.5 <= np.hypot(member.x_arcsec - main.x_arcsec, member.y_arcsec - main.y_arcsec) <= 6.0
            assert member.velocity_dispersion_km_s < main.velocity_dispersion_km_s
            assert any((g.x_arcsec, g.y_arcsec) == (member.x_arcsec, member.y_arcsec) for g in system.galaxy)


def test_some_deflectors_have_the_mass_of_a_group(rng):
    row = replace(draw_row(rng), z_lens=0.5, z_source=1.5, velocity_dispersion_km_s=200.0)
    radii = [
        einstein_radius_arcsec(_draw_deflector(rng, row).mass.velocity_dispersion_km_s, 0.5, 1.5) / row.einstein_radius_arcsec
        for _ in range(2000)
    ]
    grown = [radius for radius in radii if radius > 1 + 1e-6]
    assert len(grown) / len(radii) == pytest.approx(0.15, abs=0.03)
    assert [min(grown), max(grown)] == pytest.approx([1.3, 2.6], abs=0.05)


def test_mass_follows_light_and_is_sheared(lenses):
    systems = lenses["single"]
    shear = [np.hypot(*s.masses[0].shear) * distance_ratio(s.z_lens, s.z_source1) for s in systems]
    assert np.mean(shear) == pytest.approx(0.035, abs=0.004)
    slopes = np.array([s.masses[0].slope for s in systems])
    assert (slopes == 2.0).mean() == pytest.approx(2 / 3, abs=0.07)
    assert 1.7 <= slopes.min() < slopes.max() <= 2.3
    assert np.std([s.masses[0].angle_rad - s.galaxy[0].angle_rad for s in systems]) == pytest.approx(0.1, abs=0.02)
    offsets = [s.masses[0].axis_ratio - s.galaxy[0].axis_ratio for s in systems if s.galaxy[0].axis_ratio > 0.5]
    assert np.median(np.abs(offsets)) < 0.08


def test_centring_scatters_as_catalogues_do(lenses):
    x = np.abs([s.masses[0].x_arcsec for kind in KINDS for s in lenses[kind]])
    assert np.median(x) == pytest.approx(0.046, abs=0.012)
    assert np.percentile(x, 95) > 0.15


def test_sources_are_blue_or_red_smooth_or_clumpy(lenses):
    singles = lenses["single"]
    assert np.mean([len(s.source1) > 1 for s in singles]) == pytest.approx(0.82 * 0.5, abs=0.07)
    assert max(len(s.source1) for s in singles) == 5
    for system in singles:
        knots = [k.half_light_radius_arcsec for k in system.source1[1:]]
        assert all(0.02 <= radius <= 0.08 for radius in knots)
    colour = np.array([vis_minus_h(s.source1[0].sed) for s in singles])
    assert np.median(colour) < 1.2
    assert (colour > 1.8).mean() > 0.08


def test_a_kind_that_is_not_a_lens_is_refused(rng):
    with pytest.raises(ValueError, match="kind must be single, compound_arc or double_ring, got 'nonlens'"):
        draw_lens("nonlens", rng, 0.0)
