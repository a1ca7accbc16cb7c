import numpy as np
import pytest

from scanner.pixels.shards import KINDS
from simulation.lensing import distance_ratio, einstein_radius_arcsec
from simulation.population import (
    EINSTEIN_RADII_ARCSEC,
    LENS_VIS_MAGS,
    VELOCITY_DISPERSIONS_KM_S,
    draw_neighbours,
    draw_system,
    field_mag,
)

LENSES = [kind for kind in KINDS if kind != "nonlens"]


def systems(kind, n=150, seed=1):
    rng = np.random.default_rng(seed)
    return [draw_system(kind, rng) for _ in range(n)]


@pytest.mark.parametrize("kind", LENSES)
def test_lenses_lie_in_the_stated_ranges(kind):
    for system in systems(kind):
        mass = system.masses[0]
        radius = einstein_radius_arcsec(mass.velocity_dispersion_km_s, system.z_lens, system.z_source1)
        assert EINSTEIN_RADII_ARCSEC[0] <= radius <= EINSTEIN_RADII_ARCSEC[1]
        assert VELOCITY_DISPERSIONS_KM_S[0] < system.velocity_dispersion_km_s < VELOCITY_DISPERSIONS_KM_S[1]
        assert LENS_VIS_MAGS[0] < system.galaxy[0].sed.vis_mag < LENS_VIS_MAGS[1]
        assert 0 < system.z_lens < system.z_source1
        assert distance_ratio(system.z_lens, system.z_source1) > 0


@pytest.mark.parametrize("kind", ["compound_arc", "double_ring"])
def test_galaxy_1_of_a_compound_lens_shines_and_deflects_at_one_place(kind):
    for system in systems(kind, 40):
        assert system.is_compound
        assert system.z_lens < system.z_source1 < system.z_source2
        mass, light = system.masses[1], system.source1[0]
        assert mass.z == system.z_source1
        assert (mass.x_arcsec, mass.y_arcsec) == (light.x_arcsec, light.y_arcsec)


def test_double_rings_are_aligned_and_compound_arcs_are_not():
    def offsets(kind):
        return [
            np.hypot(light.x_arcsec - s.galaxy[0].x_arcsec, light.y_arcsec - s.galaxy[0].y_arcsec)
            for s in systems(kind)
            for light in (s.source1[0], s.source2[0])
        ]

    aligned = offsets("double_ring")
    assert max(aligned) <= 0.25 * np.sqrt(2)
    assert np.median(offsets("compound_arc")) > 2 * np.median(aligned)


def test_half_of_the_plain_galaxies_are_twins_of_lens_galaxies():
    """Same magnitudes and colors as lens galaxies, so that a bright red galaxy is not yet a lens."""
    plain = [s for s in systems("nonlens", 400) if len(s.galaxy) == 1]
    assert 0.4 < len(plain) / 400 < 0.6
    lenses = systems("single", 200)
    for value in (lambda s: s.galaxy[0].sed.vis_mag, lambda s: s.galaxy[0].sed.vis_minus_h, lambda s: s.z_lens):
        a, b = [value(s) for s in plain], [value(s) for s in lenses]
        assert abs(np.median(a) - np.median(b)) < 0.5 * np.std(b)


@pytest.mark.parametrize("kind", KINDS)
def test_surroundings_and_detector_angle_tell_nothing_about_the_kind(kind):
    """The orientation of the PSF once gave a network the label (Wilde et al. 2022, section 3.2)."""
    drawn = systems(kind, 300)
    angles = np.radians([s.detector_angle_deg for s in drawn])
    assert abs(np.mean(np.exp(1j * angles))) < 0.2
    assert abs(np.mean(np.exp(3j * angles))) < 0.2
    assert np.mean([len(s.neighbours) for s in drawn]) == pytest.approx(6.3, abs=0.7)


def test_sources_come_in_blue_and_red():
    colors = [s.source1[0].sed.vis_minus_h for s in systems("single", 300)]
    assert 0.1 < np.mean(np.array(colors) > 1.5) < 0.3
    assert np.median(colors) < 0.9


def test_neighbours_leave_the_object_free():
    rng = np.random.default_rng(3)
    near = [np.hypot(n.x_arcsec, n.y_arcsec) for _ in range(50) for n in draw_neighbours(rng)]
    assert min(near) > 1.2


def test_field_counts_grow_by_a_factor_of_two_each_magnitude():
    rng = np.random.default_rng(4)
    mags = np.array([field_mag(rng, (20, 25)) for _ in range(4000)])
    assert mags.min() >= 20
    assert mags.max() <= 25
    assert np.sum(mags > 24) / np.sum((mags > 23) & (mags < 24)) == pytest.approx(10**0.3, rel=0.12)


def test_one_generator_state_gives_one_system():
    assert draw_system("double_ring", np.random.default_rng(5)) == draw_system("double_ring", np.random.default_rng(5))


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="kind must be one of"):
        draw_system("quasar", np.random.default_rng(1))
