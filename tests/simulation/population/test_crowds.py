"""Tests of several galaxies together, and of stars."""

import numpy as np
import pytest

from simulation.population import crowds, shapes
from simulation.population.galaxies import BUILDERS, total_vis_mag
from simulation.systems import Annulus, PointSource, Sersic, Spikes
from tests.simulation.colours import vis_minus_h
from tests.simulation.population.builds import N_DRAWS, draws, of_type, vis_flux
from tests.simulation.surface_brightness import surface_brightness


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
    make = crowds.companion
    monkeypatch.setattr(crowds, "companion", lambda *args, **how: made.append(make(*args, **how)) or made[-1])
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
