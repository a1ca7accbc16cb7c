import numpy as np
import pytest

from simulation.population.broad_lookalikes import (
    BROAD_BUILDERS,
    BROAD_VIS_MAGS,
    broad_blue_companions,
    broad_companions,
    broad_group,
    broad_merger,
    broad_ring,
)
from simulation.population.galaxies import BUILDERS, total_vis_mag
from simulation.systems import Annulus, Sersic


def drawn(shape, n=400, mag=21.0):
    rng = np.random.default_rng(8)
    return [shape(rng, mag, 0.5) for _ in range(n)]


def share_of(parts, light):
    return sum(10 ** (-0.4 * p.sed.vis_mag) for p in parts) / sum(10 ** (-0.4 * p.sed.vis_mag) for p in light)


def test_every_look_alike_keeps_a_given_magnitude():
    assert BROAD_BUILDERS.keys() == BUILDERS.keys()
    rng = np.random.default_rng(1)
    for build in BROAD_BUILDERS.values():
        z, light = build(rng, 21.5, 0.0)
        assert z > 0
        assert total_vis_mag(light) == pytest.approx(21.5, abs=1e-6)


def test_magnitudes_are_those_of_the_presets_lens_galaxies():
    rng = np.random.default_rng(2)
    mags = np.array([total_vis_mag(BROAD_BUILDERS["ring_galaxy"](rng, None, 0.0)[1]) for _ in range(600)])
    low, mode, high = BROAD_VIS_MAGS
    assert low <= mags.min() < mags.max() <= high
    assert mags.mean() == pytest.approx((low + mode + high) / 3, abs=0.2)


def test_rings_have_any_strength_and_radius():
    rings = [[p for p in light if isinstance(p, Annulus)] for light in drawn(broad_ring)]
    radii = np.array([ring[0].radius_arcsec for ring in rings])
    assert 0.3 < radii.min() < 0.5
    assert 3.0 < radii.max() < 4.2
    assert np.median(radii) == pytest.approx(np.sqrt(0.35 * 3.8), abs=0.2)
    shares = np.array([share_of(ring, light) for ring, light in zip(rings, drawn(broad_ring), strict=True)])
    assert shares.min() < 0.08
    assert shares.max() > 0.75
    assert np.mean([ring[0].spread_rad is not None for ring in rings]) == pytest.approx(0.35, abs=0.07)


def test_half_of_the_cores_have_the_size_of_early_types():
    cores, rings = zip(*[(light[0], light[1]) for light in drawn(broad_ring, 800)], strict=True)
    is_early = np.array([core.angle_rad != ring.angle_rad for core, ring in zip(cores, rings, strict=True)])
    assert np.mean(is_early) == pytest.approx(0.5, abs=0.06)
    relative = np.array([core.half_light_radius_arcsec / ring.radius_arcsec for core, ring in zip(cores, rings, strict=True)])
    assert relative[~is_early].max() <= 0.6 / 0.9
    assert np.mean(relative[is_early] > 1) > 0.1
    assert np.median([core.half_light_radius_arcsec for core in np.array(cores, object)[is_early]]) == pytest.approx(
        0.58, abs=0.1
    )


def test_two_in_five_rings_are_mostly_clumps_on_the_ring():
    lights = drawn(broad_ring)
    clumps = [[p for p in light if isinstance(p, Sersic) and p.sersic_index == 0.5] for light in lights]
    assert np.mean([bool(found) for found in clumps]) == pytest.approx(0.4, abs=0.07)
    shares = []
    for found, light in zip(clumps, lights, strict=True):
        if found:
            assert 8 <= len(found) <= 40
            (ring,) = [p for p in light if isinstance(p, Annulus)][:1]
            shares.append(share_of(found, [*found, ring]))
            assert np.median(ellipse_radii(found, ring)) == pytest.approx(ring.radius_arcsec, rel=0.08)
    assert 0.29 < min(shares) < 0.4
    assert 0.85 < max(shares) < 0.96


def ellipse_radii(parts, ring):
    """Circularised radius of the ellipse, like the ring's, on which each part lies."""
    dx = np.array([p.x_arcsec - ring.x_arcsec for p in parts])
    dy = np.array([p.y_arcsec - ring.y_arcsec for p in parts])
    along = dx * np.cos(ring.angle_rad) + dy * np.sin(ring.angle_rad)
    across = -dx * np.sin(ring.angle_rad) + dy * np.cos(ring.angle_rad)
    return np.hypot(along * ring.axis_ratio**0.5, across / ring.axis_ratio**0.5)


def test_nuclei_of_mergers_are_near_and_far():
    found = [[p for p in light if isinstance(p, Sersic) and p.sersic_index > 1.2] for light in drawn(broad_merger, 200)]
    distances = [np.hypot(b.x_arcsec - a.x_arcsec, b.y_arcsec - a.y_arcsec) for a, *others in found for b in others]
    apart = np.array([d for d in distances if d > 0.2])
    assert apart.min() < 0.3
    assert apart.max() > 2.0


@pytest.mark.parametrize("shape", [broad_companions, broad_blue_companions])
def test_companions_are_near_and_far_bright_and_faint(shape):
    distances, mags = [], []
    for light in drawn(shape):
        for part in light:
            at = float(np.hypot(part.x_arcsec, part.y_arcsec))
            if at > 0.34 and isinstance(part, Sersic) and part.sersic_index < 1.81:
                distances.append(at)
                mags.append(part.sed.vis_mag)
    assert 0.34 < min(distances) < 0.45
    assert 3.0 < max(distances) < 3.6
    assert min(mags) < 22.0
    assert max(mags) > 25.0


def test_groups_begin_at_0_3_arcsec():
    distances = [np.hypot(p.x_arcsec, p.y_arcsec) for light in drawn(broad_group, 200) for p in light]
    apart = [d for d in distances if d > 0.25]
    assert min(apart) < 0.4
    assert max(apart) < 4.2
