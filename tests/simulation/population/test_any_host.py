"""In the preset `any_host`, the light in the middle of a lens tells nothing about its mass or distance."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from simulation.lensing import einstein_radius_arcsec
from simulation.population import any_host, broad
from simulation.population.draw import BROAD_LOOKALIKE_SHARES, draw_system
from simulation.population.galaxies import BUILDERS, total_vis_mag
from simulation.systems import ARCLESS_LENS, Sersic

KINDS = ("single", "compound_arc", "double_ring")
N = 400


@pytest.fixture(scope="module")
def lenses():
    rng = np.random.default_rng(4)
    return [any_host.draw_lens("single", rng, 30.0) for _ in range(N)]


@pytest.mark.parametrize("kind", KINDS)
def test_mass_and_sources_are_those_of_a_broad_lens(kind):
    for seed in range(20):
        lens = any_host.draw_lens(kind, np.random.default_rng(seed), 30.0)
        of_broad = broad.draw_lens(kind, np.random.default_rng(seed), 30.0)
        assert (lens.kind, lens.source1, lens.source2) == (kind, of_broad.source1, of_broad.source2)
        assert lens.masses == tuple(m for i, m in enumerate(of_broad.masses) if i == 0 or m.z != of_broad.z_lens)
        assert lens.galaxy != of_broad.galaxy


def test_no_galaxy_of_a_cluster_betrays_the_mass():
    rng = np.random.default_rng(4)
    wide = [broad.draw_lens("single", rng, 30.0) for _ in range(N)]
    assert any(lens.neighbours for lens in wide)
    rng = np.random.default_rng(4)
    assert not any(any_host.draw_lens("single", rng, 30.0).neighbours for _ in range(N))


def test_the_host_stands_where_the_mass_is(lenses):
    for lens in lenses:
        middle, deflector = lens.galaxy[0], lens.masses[0]
        assert (middle.x_arcsec, middle.y_arcsec) == pytest.approx((deflector.x_arcsec, deflector.y_arcsec), abs=1e-12)


def test_its_light_tells_nothing_about_the_lens(lenses):
    rng = np.random.default_rng(4)
    wide = [broad.draw_lens("single", rng, 30.0) for _ in range(N)]

    def relation(systems, prediction):
        return spearmanr([total_vis_mag(system.galaxy) for system in systems], [prediction(s) for s in systems]).statistic

    def redshift(system):
        return system.z_lens

    def radius(system):
        return einstein_radius_arcsec(system.velocity_dispersion_km_s, system.z_lens, system.z_source1)

    assert relation(wide, redshift) > 0.4
    assert relation(wide, radius) < -0.3
    # The standard error of 400 draws is 0.05.
    assert abs(relation(lenses, redshift)) < 0.15
    assert abs(relation(lenses, radius)) < 0.15


def test_magnitudes_of_hosts_are_equally_frequent(lenses):
    mags = np.array([total_vis_mag(lens.galaxy) for lens in lenses])
    assert 18.5 - 1e-9 <= mags.min() < 18.7
    assert 23.1 < mags.max() <= 23.3 + 1e-9
    assert np.median(mags) == pytest.approx(20.9, abs=0.25)


def test_one_host_in_four_is_seen_edge_on(lenses):
    parts = [[part for part in lens.galaxy if isinstance(part, Sersic)] for lens in lenses]
    flattest = np.array([min((part.axis_ratio for part in of), default=1.0) for of in parts])
    assert np.mean(flattest < 0.25) == pytest.approx(0.25, abs=0.07)


def test_non_lenses_are_its_hosts_and_what_resembles_lenses(rng):
    drawn = {draw_system("any_host", "nonlens", rng, 0.0).lookalike for _ in range(300)}
    assert drawn == set(BROAD_LOOKALIKE_SHARES)
    arcless = [draw_system("any_host", ARCLESS_LENS, rng, 0.0) for _ in range(200)]
    assert {(system.kind, system.masses, system.source1) for system in arcless} == {("nonlens", (), ())}
    # The lens galaxies of broad are not as faint.
    assert np.mean([total_vis_mag(system.galaxy) > 22.5 for system in arcless]) == pytest.approx(1 / 6, abs=0.09)


def test_no_kind_but_a_lens_is_drawn(rng):
    with pytest.raises(ValueError, match="got 'nonlens'"):
        any_host.draw_lens("nonlens", rng, 0.0)


def test_hosts_have_the_shares_of_their_types(monkeypatch):
    drawn = []

    def recorded(name, build):
        return lambda *given: (drawn.append(name), build(*given))[1]

    monkeypatch.setattr(any_host, "BUILDERS", {name: recorded(name, build) for name, build in BUILDERS.items()})
    rng = np.random.default_rng(6)
    for _ in range(N):
        any_host.draw_lens("single", rng, 30.0)
    shares = {"elliptical": 0.35, "disc": 0.25, "spiral": 0.15, "edge_on": 0.25}
    assert set(drawn) == set(shares)
    for name, share in shares.items():
        # Three standard errors of 400 draws.
        assert drawn.count(name) / N == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / N))
