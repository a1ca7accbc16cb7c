from functools import cache

import numpy as np
import pytest

from simulation.population import crowds, shapes
from simulation.population.galaxies import BUILDERS, total_vis_mag
from simulation.systems import LOOKALIKES, Annulus, PointSource, Sersic, Spikes, SpiralArms
from tests.simulation.colours import vis_minus_h
from tests.simulation.surface_brightness import surface_brightness

KINDS = sorted(BUILDERS)
N_DRAWS = 200


@cache
def draws(kind, vis_mag=None, detector_angle_deg=20.0):
    """Return (z, light) for each of `N_DRAWS` seeds."""
    return [BUILDERS[kind](np.random.default_rng(seed), vis_mag, detector_angle_deg) for seed in range(N_DRAWS)]


def distance(part):
    return np.hypot(part.x_arcsec, part.y_arcsec)


def of_type(light, kind):
    return [part for part in light if isinstance(part, kind)]


def vis_flux(light):
    return sum(10 ** (-0.4 * part.sed.vis_mag) for part in light)


def test_every_lookalike_but_twin_and_artefact_has_a_builder():
    assert set(BUILDERS) == set(LOOKALIKES) - {"twin", "artefact"}


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_finite_near_the_centre_and_of_few_components(kind):
    for z, light in draws(kind):
        assert z > 0
        assert 1 <= len(light) <= 25
        for part in light:
            assert distance(part) < 4
            assert np.isfinite([part.sed.mag(band) for band in ("VIS", "Y", "J", "H")]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vis_mag", [16.0, 21.0, 26.0])
def test_all_components_together_have_the_requested_magnitude(kind, vis_mag):
    for _, light in draws(kind, vis_mag):
        assert -2.5 * np.log10(vis_flux(light)) == pytest.approx(vis_mag, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_galaxy_and_another_another(kind):
    build = BUILDERS[kind]
    first = build(np.random.default_rng(5), None, 20.0)
    assert build(np.random.default_rng(5), None, 20.0) == first
    assert build(np.random.default_rng(6), None, 20.0) != first


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"faint", "star", "blue_companions"}))
def test_half_of_the_galaxies_are_as_bright_as_lenses(kind):
    mags = np.array([total_vis_mag(light) for _, light in draws(kind)])
    assert mags.min() > 17.5
    assert mags.max() < 24.5
    assert 0.5 < (mags < 22.5).mean() < 0.85
    assert 20.5 < np.median(mags) < 22.5


def test_faint_galaxies_are_faint_and_follow_the_counts():
    mags = np.array([total_vis_mag(light) for _, light in draws("faint")])
    assert mags.min() > 22
    assert mags.max() < 25.5
    # If counts grow as 10^(0.3 mag), this share is beyond 24.5.
    expected = (1 - 10**-0.3) / (1 - 10 ** (-0.3 * 3.5))
    assert (mags > 24.5).mean() == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("kind", ["elliptical", "disc", "spiral", "edge_on", "group", "companions"])
def test_catalogue_positions_miss_the_centre_by_little(kind):
    """A scatter of 0.06 arcsec, for one in five of 0.2, has a standard deviation of 0.1 along each axis."""
    centres = np.array([(light[0].x_arcsec, light[0].y_arcsec) for _, light in draws(kind)])
    assert np.sqrt(0.8 * 0.06**2 + 0.2 * 0.2**2) == pytest.approx(centres.std(), rel=0.25)
    assert np.median(np.abs(centres)) < 0.07
    assert np.abs(centres.mean(axis=0)).max() < 0.03


def test_ellipticals_are_concentrated_and_red():
    lights = [light for _, light in draws("elliptical", 20.5)]
    assert all(2.5 <= light[0].sersic_index <= 6 for light in lights)
    red = np.median([vis_minus_h(light[0].sed) for light in lights])
    blue = np.median([vis_minus_h(max(light, key=lambda part: -part.sed.vis_mag).sed) for _, light in draws("disc", 20.5)])
    assert red > blue + 0.3


def test_fainter_galaxies_are_smaller():
    for kind in ("elliptical", "disc", "spiral", "edge_on"):
        bright, faint = (
            np.median([max(p.half_light_radius_arcsec for p in of_type(light, Sersic)) for _, light in draws(kind, mag)])
            for mag in (19.0, 24.0)
        )
        assert bright > 2 * faint


def test_spirals_have_arms_at_the_scale_of_lensed_images():
    for _, light in draws("spiral", 20.5):
        armed = [part for part in of_type(light, Sersic) if part.arms is not None]
        assert armed
        assert all(2 <= part.arms.n_arms <= 4 for part in armed)
        assert all(10 <= np.degrees(abs(part.arms.pitch_rad)) <= 35 for part in armed)
        assert max(part.arms.strength for part in armed) <= 1
        # Arms show between 0.7 and 2 half-light radii.
        semi_major = max(part.half_light_radius_arcsec / np.sqrt(part.axis_ratio) for part in armed)
        assert 0.7 * semi_major < 2.5
        assert 2.0 * semi_major > 0.7


@pytest.mark.parametrize("n_arms", [2, 3, 4])
@pytest.mark.parametrize("pitch_deg", [-30.0, 12.0])
@pytest.mark.parametrize("q", [1.0, 0.5])
def test_arm_ridges_lie_where_the_drawn_arms_are_brightest(n_arms, pitch_deg, q):
    """Knots and bars are placed on the ridge; the brightness along an isophote of the disc gives its position."""
    arms = SpiralArms(0.8, np.radians(pitch_deg), 0.7, n_arms)
    disc = shapes.disc_light(draws("disc")[0][1][0].sed, 1.0, q, 0.4, arms)
    azimuths = np.linspace(0, 2 * np.pi, 721)[:-1]
    for scaled in (0.8, 1.7):
        x, y = np.transpose([shapes.on_ellipse(scaled, q, 0.4, azimuth) for azimuth in azimuths])
        brightness = surface_brightness(disc, x, y)
        for arm in range(n_arms):
            ridge = shapes.on_ellipse(scaled, q, 0.4, shapes.arm_azimuth_rad(arms, scaled, arm))
            at_ridge = surface_brightness(disc, np.array([ridge[0]]), np.array([ridge[1]]))[0]
            assert at_ridge == pytest.approx(brightness.max(), rel=1e-3)
        assert brightness.max() > 2 * brightness.min()


def test_knots_lie_on_the_arms():
    """The smooth disc with arms is brighter at knots than at points with the same distances and random azimuths."""
    on, off = [], []
    rng = np.random.default_rng(3)
    for _, light in draws("spiral", 20.5):
        disc = next(part for part in light[::-1] if isinstance(part, Sersic) and part.arms is not None)
        for knot in light[light.index(disc) + 1 :]:
            x, y = knot.x_arcsec - disc.x_arcsec, knot.y_arcsec - disc.y_arcsec
            along = x * np.cos(disc.angle_rad) + y * np.sin(disc.angle_rad)
            across = (y * np.cos(disc.angle_rad) - x * np.sin(disc.angle_rad)) / disc.axis_ratio
            if knot.sersic_index == 0.5:
                continue
            dx, dy = shapes.on_ellipse(np.hypot(along, across), disc.axis_ratio, disc.angle_rad, rng.uniform(0, 2 * np.pi))
            places = np.array([[knot.x_arcsec, disc.x_arcsec + dx], [knot.y_arcsec, disc.y_arcsec + dy]])
            brightness = surface_brightness(disc, *places)
            on.append(brightness[0])
            off.append(brightness[1])
    assert len(on) > 3 * N_DRAWS
    assert np.mean(np.array(on) > np.array(off)) > 0.75


def test_rings_resemble_einstein_rings_and_are_bluer_than_the_core():
    bluer, radii = [], []
    for _, light in draws("ring_galaxy"):
        rings = of_type(light, Annulus)
        assert rings
        radii += [ring.radius_arcsec for ring in rings]
        bluer.append(vis_minus_h(rings[0].sed) < vis_minus_h(light[0].sed))
    assert min(radii) >= 0.36
    assert max(radii) <= 2.75
    assert 0.6 < np.median(radii) < 1.6
    assert np.mean(bluer) > 0.95


def test_some_rings_are_partial_off_centre_or_with_knots():
    lights = [light for _, light in draws("ring_galaxy")]
    partial_rings = [any(ring.spread_rad is not None for ring in of_type(light, Annulus)) for light in lights]
    offsets = [
        np.hypot(ring.x_arcsec - light[0].x_arcsec, ring.y_arcsec - light[0].y_arcsec) > 0.05 * ring.radius_arcsec
        for light in lights
        for ring in of_type(light, Annulus)[:1]
    ]
    assert 0.2 < np.mean(partial_rings) < 0.55
    assert 0.1 < np.mean(offsets) < 0.35
    assert 0.4 < np.mean([len(light) > 5 for light in lights]) < 0.95


def test_edge_on_discs_are_thin():
    for _, light in draws("edge_on"):
        discs = light[1:]
        assert discs
        assert all(0.1 <= part.axis_ratio <= 0.25 for part in discs)
    turned = [len({round(part.angle_rad, 6) for part in light[1:]}) > 1 for _, light in draws("edge_on")]
    assert 0.15 < np.mean(turned) < 0.45


def merger_nuclei(light):
    """Return the places of galaxies' components, the one with the most light first."""
    places = {}
    for part in of_type(light, Sersic):
        places.setdefault((round(part.x_arcsec, 9), round(part.y_arcsec, 9)), []).append(part)
    return sorted(places, key=lambda place: -vis_flux(places[place]))


def test_mergers_have_two_nuclei_and_a_little_debris():
    separations, debris = [], []
    for _, light in draws("merger", 20.5):
        first, second, *_ = merger_nuclei(light)
        separations.append(np.hypot(first[0] - second[0], first[1] - second[1]))
        debris.append(vis_flux(of_type(light, Annulus)) / vis_flux(light))
    assert np.percentile(separations, 2) > 0.3
    assert 1.0 < np.median(separations) < 2.0
    assert max(separations) < 3.2
    assert max(debris) < 0.2
    assert 0.01 < np.median(debris) < 0.1
    assert np.mean(np.array(debris) > 0) > 0.6


def test_tails_start_at_a_nucleus():
    """The ellipse of each tail passes through a galaxy's position, where the tail is already bright."""
    n_tails = 0
    for _, light in draws("merger", 20.5):
        nuclei = merger_nuclei(light)
        for tail in of_type(light, Annulus):
            if (round(tail.x_arcsec, 9), round(tail.y_arcsec, 9)) in nuclei:
                continue  # a shell, about a nucleus
            at_nuclei = surface_brightness(tail, *np.transpose(nuclei))
            azimuths = np.linspace(0, 2 * np.pi, 181)
            semi_major = tail.radius_arcsec / np.sqrt(tail.axis_ratio)
            along = [shapes.on_ellipse(semi_major, tail.axis_ratio, tail.angle_rad, azimuth) for azimuth in azimuths]
            x, y = np.transpose(along)
            ridge = surface_brightness(tail, tail.x_arcsec + x, tail.y_arcsec + y)
            assert at_nuclei.max() > 0.3 * ridge.max()
            n_tails += 1
    assert n_tails > N_DRAWS / 2


@pytest.mark.parametrize(("kind", "radii"), [("companions", (0.6, 3.0)), ("blue_companions", (0.6, 2.5))])
def test_companions_lie_where_lensed_images_do(kind, radii):
    outer = []
    for _, light in draws(kind, 20.5):
        host, last = light[0], light[-1]
        outer.append(np.hypot(last.x_arcsec - host.x_arcsec, last.y_arcsec - host.y_arcsec))
        assert last.sed.vis_mag > 20.5 + 0.5
        assert last.half_light_radius_arcsec <= 0.5
    assert min(outer) > radii[0] - 1e-6
    assert max(outer) < radii[1] + 1e-6


@pytest.mark.parametrize("kind", ["companions", "blue_companions"])
def test_there_are_one_to_four_companions(kind, monkeypatch):
    made = []
    make = crowds._companion
    monkeypatch.setattr(crowds, "_companion", lambda *args: made.append(make(*args)) or made[-1])
    numbers = []
    for seed in range(100):
        made.clear()
        BUILDERS[kind](np.random.default_rng(seed), 20.5, 0.0)
        numbers.append(len(made))
    assert set(numbers) == {1, 2, 3, 4}
    assert np.bincount(numbers)[1:].min() > 10


def test_blue_companions_are_blue_and_often_tangential_at_one_radius():
    bluer, spread, tangential = [], [], []
    for _, light in draws("blue_companions"):
        host = light[0]
        others = [p for p in of_type(light, Sersic) if (p.x_arcsec, p.y_arcsec) != (host.x_arcsec, host.y_arcsec)]
        assert 1 <= len(others) <= 4
        x, y = np.transpose([(p.x_arcsec - host.x_arcsec, p.y_arcsec - host.y_arcsec) for p in others])
        bluer += [vis_minus_h(host.sed) - vis_minus_h(part.sed) for part in others]
        off = np.array([p.angle_rad for p in others]) - np.arctan2(y, x) - np.pi / 2
        tangential += list(np.abs((off + np.pi / 2) % np.pi - np.pi / 2) < 0.3)
        if len(others) > 2:
            spread.append(np.std(np.hypot(x, y)) / np.mean(np.hypot(x, y)))
    assert np.median(bluer) > 0.5
    assert np.mean(np.array(bluer) > 0) > 0.95
    # Random position angles would be tangential in one case of five.
    assert 0.35 < np.mean(tangential) < 0.75
    assert 0.4 < np.mean(np.array(spread) < 0.2) < 0.9


def test_some_companions_have_the_colour_of_the_host():
    same = [abs(vis_minus_h(light[-1].sed) - vis_minus_h(light[0].sed)) < 1e-6 for _, light in draws("companions")]
    assert 0.25 < np.mean(same) < 0.55


@pytest.mark.parametrize("kind", ["merger", "group"])
def test_galaxies_that_belong_together_share_their_redshift(kind, monkeypatch):
    redshifts = set()
    for module in (shapes, crowds):
        for name in ("early_type_sed", "star_forming_sed"):
            make = getattr(module, name)
            monkeypatch.setattr(module, name, lambda mag, z, *rest, make=make: redshifts.add(z) or make(mag, z, *rest))
    for seed in range(50):
        redshifts.clear()
        z, _ = BUILDERS[kind](np.random.default_rng(seed), 20.5, 0.0)
        assert redshifts == {z}


def test_groups_have_two_to_five_red_galaxies():
    numbers, colours = [], []
    for _, light in draws("group", 20.5):
        nuclei = {(round(p.x_arcsec, 6), round(p.y_arcsec, 6)) for p in of_type(light, Sersic)}
        numbers.append(len(nuclei))
        colours.append(np.ptp([vis_minus_h(p.sed) for p in light]))
    assert set(numbers) == {2, 3, 4, 5}
    # One redshift and one kind of population give one colour with scatter.
    assert np.median(colours) < 0.35


def test_bright_stars_have_rays_that_follow_the_detector():
    for angle in (0.0, 20.0, 200.0):
        for _, light in draws("star", 17.0, angle):
            rays = of_type(light, Spikes)
            assert rays
            for ray in rays:
                assert (np.degrees(ray.angle_rad) - angle) % 60 == pytest.approx(0, abs=1e-6)
                assert 0.5 <= ray.length_arcsec <= 1.0
            # A companion within three magnitudes has rays of its own.
            assert 0.015 < vis_flux(rays) / vis_flux(light) < 0.045


def test_rays_of_a_star_follow_the_detector_every_60_degrees():
    ray = of_type(draws("star", 17.0, 20.0)[0][1], Spikes)[0]
    azimuths = np.radians(np.arange(360))
    around = surface_brightness(ray, ray.x_arcsec + 0.8 * np.cos(azimuths), ray.y_arcsec + 0.8 * np.sin(azimuths))
    is_peak = (around > np.roll(around, 1)) & (around > np.roll(around, -1))
    assert np.flatnonzero(is_peak).tolist() == [20, 80, 140, 200, 260, 320]


def test_stars_are_points_some_double_and_the_faint_without_rays():
    assert not any(of_type(light, Spikes) for _, light in draws("star", 21.0))
    double = [len(of_type(light, PointSource)) == 2 for _, light in draws("star")]
    assert 0.05 < np.mean(double) < 0.22
    mags = [total_vis_mag(light) for _, light in draws("star")]
    assert min(mags) > 15
    assert max(mags) < 22
