"""Each change alters what it names and nothing else, by closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.lensing import effective_einstein_radius_arcsec
from simulation.population.draw import draw_system
from simulation.products import system_changes as changes
from simulation.systems import PointSource, Sersic

PARTS = ("masses", "galaxy", "source1", "source2", "neighbours")


@pytest.fixture(scope="module", params=["single", "compound_arc", "double_ring"])
def system(request):
    rng = np.random.default_rng(3)
    while True:
        drawn = draw_system("euclid", request.param, rng, 0.0)
        if all(mass.z > drawn.z_lens for mass in drawn.masses[1:]):
            return drawn


def changed(change, system):
    return change(system, np.random.default_rng(1))


def differing(one, other):
    return {name for name in PARTS if getattr(one, name) != getattr(other, name)}


def sources(system):
    return {name for name in ("source1", "source2") if getattr(system, name)}


def mags(light, band):
    return np.array([part.sed.mag(band) for part in light])


@pytest.mark.parametrize(("change", "sign"), [(changes.brighter_source(1.5), -1), (changes.brighter_source(-1.5), 1)])
def test_sources_become_brighter_in_every_band(system, change, sign):
    after = changed(change, system)
    assert differing(system, after) == sources(system)
    for name in sources(system):
        for band in ("VIS", "Y", "J", "H"):
            step = mags(getattr(after, name), band) - mags(getattr(system, name), band)
            np.testing.assert_allclose(step, sign * 1.5)


@pytest.mark.parametrize("band", ["VIS", "Y", "J", "H"])
def test_sources_become_brighter_in_one_band_alone(system, band):
    after = changed(changes.brighter_source_in(band, 0.5), system)
    assert differing(system, after) == sources(system)
    for other in ("VIS", "Y", "J", "H"):
        step = mags(after.source1, other) - mags(system.source1, other)
        np.testing.assert_allclose(step, -0.5 if other == band else 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "part"), [(changes.redder_source(0.9), "source1"), (changes.redder_deflector(0.9), "galaxy")]
)
def test_redder_light_keeps_its_vis_magnitude(system, change, part):
    after = changed(change, system)
    assert part in differing(system, after) <= sources(system) | {part}
    steps = {band: mags(getattr(after, part), band) - mags(getattr(system, part), band) for band in ("VIS", "Y", "J", "H")}
    for band, step in {"VIS": 0.0, "Y": -0.3, "J": -0.6, "H": -0.9}.items():
        np.testing.assert_allclose(steps[band], step, atol=1e-12)


def test_the_deflector_changes_light_or_shape_alone(system):
    brighter = changed(changes.brighter_deflector(1.0), system)
    assert differing(system, brighter) == {"galaxy"}
    np.testing.assert_allclose(mags(brighter.galaxy, "H"), mags(system.galaxy, "H") - 1)
    flat = changed(changes.with_axis_ratio(0.6), system)
    assert {part.axis_ratio for part in (flat.masses[0], *flat.galaxy)} == {0.6}
    assert flat.masses[1:] == system.masses[1:]
    assert replace(flat.masses[0], axis_ratio=system.masses[0].axis_ratio) == system.masses[0]


@pytest.mark.parametrize("factor", [0.75, 1.5])
def test_the_einstein_radius_grows_and_the_pattern_stays(system, factor):
    after = changed(changes.larger(factor), system)
    alone = [effective_einstein_radius_arcsec(s.masses[:1], s.z_source1) for s in (system, after)]
    assert alone[1] == pytest.approx(factor * alone[0])
    centre = np.array([system.masses[0].x_arcsec, system.masses[0].y_arcsec])
    for name in sources(system):
        before, now = (np.array([getattr(s, name)[0].x_arcsec, getattr(s, name)[0].y_arcsec]) for s in (system, after))
        np.testing.assert_allclose(now - centre, factor * (before - centre))
    if system.is_compound:
        middle, first = after.masses[-1], after.source1[0]
        np.testing.assert_allclose([middle.x_arcsec, middle.y_arcsec], [first.x_arcsec, first.y_arcsec])


def test_a_star_lies_beside_the_system_and_inside_the_stamp(system):
    for seed in range(20):
        (star,) = changes.bright_star(18.0)(system, np.random.default_rng(seed)).neighbours[len(system.neighbours) :]
        assert isinstance(star, PointSource)
        assert star.sed.vis_mag == 18
        assert 3.0 <= np.hypot(star.x_arcsec, star.y_arcsec) <= 4.5


def test_the_field_moves_by_a_distance_in_any_direction(system):
    directions = set()
    for seed in range(8):
        after = changes.off_centre(0.3)(system, np.random.default_rng(seed))
        dx, dy = (getattr(after.masses[0], at) - getattr(system.masses[0], at) for at in ("x_arcsec", "y_arcsec"))
        assert np.hypot(dx, dy) == pytest.approx(0.3)
        for one, other in zip((*system.masses, *system.galaxy), (*after.masses, *after.galaxy), strict=True):
            assert (other.x_arcsec - one.x_arcsec, other.y_arcsec - one.y_arcsec) == pytest.approx((dx, dy))
        directions.add(int(np.degrees(np.arctan2(dy, dx)) // 90))
    assert len(directions) >= 3


def test_a_turn_keeps_distances_and_turns_angles(system):
    after = changed(changes.turned(37.0), system)
    for one, other in zip((*system.galaxy, *system.source1), (*after.galaxy, *after.source1), strict=True):
        before, now = complex(one.x_arcsec, one.y_arcsec), complex(other.x_arcsec, other.y_arcsec)
        assert now == pytest.approx(before * np.exp(1j * np.radians(37)))
        assert isinstance(one, Sersic)
        assert other.angle_rad - one.angle_rad == pytest.approx(np.radians(37))
        assert other.sed == one.sed
