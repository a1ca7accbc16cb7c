"""Tests of the sky around objects, against counts and against real Euclid fields."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from scipy.signal import fftconvolve
from scipy.stats import kstest

from scanner.vocabulary.bands import EUCLID
from simulation.population.field import (
    FIELD_SIDE_ARCSEC,
    N_NEIGHBOURS_IN_FIELD,
    NEIGHBOUR_VIS_MAGS,
    counts_per_arcmin2,
    draw_field_galaxy,
    draw_neighbours,
    field_mag,
    field_redshift,
)
from simulation.systems import PointSource, Sersic, Spikes
from tests.shared import REAL

FIELDS = (
    "102020064_NEG635872258496841682.fits",
    "102021016_NEG629685198482852633.fits",
    "102022474_NEG590266584471556814.fits",
)


def total_mag(lights, band="VIS"):
    return -2.5 * np.log10(sum(10 ** (-0.4 * light.sed.mag(band)) for light in lights))


def galaxies(fields):
    """Return the galaxies of drawn fields, each with its position and components."""
    groups = []
    for lights in fields:
        by_place = {}
        for light in lights:
            if isinstance(light, Sersic):
                by_place.setdefault((light.x_arcsec, light.y_arcsec), []).append(light)
        groups += by_place.items()
    return groups


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(3)
    return [draw_neighbours(rng, 40.0) for _ in range(1500)]


def test_counts_are_those_of_deep_surveys():
    assert counts_per_arcmin2(24.5) == pytest.approx(30)
    assert counts_per_arcmin2(23.5) / counts_per_arcmin2(22.5) == pytest.approx(10**0.3)
    assert counts_per_arcmin2(25.0 + 1e-9) == pytest.approx(counts_per_arcmin2(25.0))
    assert 1.4 < counts_per_arcmin2(26.0) / counts_per_arcmin2(25.0) < 10**0.3


@pytest.mark.parametrize("mag_range", [(19.0, 24.0), (23.0, 27.0)])
def test_magnitudes_follow_the_counts(mag_range, rng):
    low, high = map(counts_per_arcmin2, mag_range)
    mags = [field_mag(rng, mag_range) for _ in range(3000)]
    assert kstest(mags, np.vectorize(lambda m: (counts_per_arcmin2(m) - low) / (high - low))).pvalue > 1e-3


def test_redshifts_grow_with_faintness(rng):
    assert np.median([field_redshift(rng, 24.0) for _ in range(4000)]) == pytest.approx(0.85, abs=0.05)
    assert np.median([field_redshift(rng, 26.0) for _ in range(2000)]) > 1.05
    assert max(field_redshift(rng, 26.0, z_max=0.9) for _ in range(500)) < 0.9


def test_fields_hold_as_many_galaxies_as_counted(fields):
    found = galaxies(fields)
    n = np.array([len(galaxies([lights])) for lights in fields])
    # Half a galaxy of each field is kept away from the middle, and some fields have a halo.
    assert n.mean() == pytest.approx(N_NEIGHBOURS_IN_FIELD, rel=0.06)
    assert n.var() > 1.5 * n.mean(), "fields differ by more than chance"
    bright = sum(total_mag(parts) < 24.5 for _, parts in found) / len(fields) / (FIELD_SIDE_ARCSEC / 60) ** 2
    assert bright == pytest.approx(1.15 * 30, rel=0.1)
    assert max(total_mag(parts) for _, parts in found) <= NEIGHBOUR_VIS_MAGS[1]


def test_neighbours_keep_clear_of_the_object(fields):
    for (x, y), parts in galaxies(fields):
        assert np.hypot(x, y) > (0.6 if total_mag(parts) > 24.5 else 1.2)
        assert max(abs(x), abs(y)) <= FIELD_SIDE_ARCSEC / 2
    assert any(np.hypot(x, y) < 1.2 for (x, y), _ in galaxies(fields)), "faint ones may be near"


def test_stars_and_halos_are_rare_and_bright_stars_have_spikes(fields):
    counted = Counter(type(light) for lights in fields for light in lights)
    assert counted[PointSource] / len(fields) == pytest.approx(0.03, abs=0.015)
    for lights in fields:
        for star in (light for light in lights if isinstance(light, PointSource)):
            spikes = [light for light in lights if isinstance(light, Spikes)]
            assert bool(spikes) == (total_mag([star, *spikes]) < 19.5)
            assert np.hypot(star.x_arcsec, star.y_arcsec) >= 1.2
            for ray in spikes:
                assert ray.angle_rad == pytest.approx(np.radians(40.0))
                assert (ray.x_arcsec, ray.y_arcsec) == (star.x_arcsec, star.y_arcsec)
    assert counted[Spikes] > 0
    halos = [place for place, parts in galaxies(fields) if total_mag(parts) < 19.0]
    assert len(halos) / len(fields) == pytest.approx(0.06 * 0.75, abs=0.02)
    assert min(np.hypot(*place) for place in halos) >= 5.0


def test_galaxies_shrink_and_turn_blue_with_faintness(rng):
    def sample(vis_mag):
        return [draw_field_galaxy(rng, 1.0, 2.0, vis_mag) for _ in range(800)]

    for vis_mag, radius in ((24.0, 0.3), (26.0, 0.18)):
        assert np.median([g[0].half_light_radius_arcsec for g in sample(vis_mag)]) == pytest.approx(radius, rel=0.15)
    colour = {mag: np.array([total_mag(g) - total_mag(g, "H") for g in sample(mag)]) for mag in (21.0, 26.0)}
    assert np.median(colour[21.0]) > np.median(colour[26.0]) + 0.3
    assert (colour[21.0] > 1.6).mean() > 2 * (colour[26.0] > 1.6).mean()
    assert all(total_mag(g) == pytest.approx(21.0, abs=1e-6) for g in sample(21.0))


def test_the_same_generator_gives_the_same_field():
    first, second = (draw_neighbours(np.random.default_rng(8)) for _ in range(2))
    assert first == second


def sources_of(path):
    """Return the area of a real field's outskirts in arcmin2, and VIS magnitude and VIS - H of each source there."""
    with fits.open(path, memmap=False) as hdus:
        vis, h = (hdus[name].data.astype(float) for name in ("VIS_FLUX", "NIR_H_FLUX"))
    seen = vis != 0
    blurred = ndimage.gaussian_filter(vis, np.sqrt(0.50**2 - 0.18**2) / 2.355 / 0.1)
    # The VIS cutout of one file is shifted, since it is at the mosaic's edge.
    match = fftconvolve(np.clip(h, 0, 20), np.clip(blurred / 1e-3, 0, 20)[::-1, ::-1], mode="same")
    shift = np.array(np.unravel_index(match.argmax(), match.shape)) - 149
    h = np.roll(h, -shift, (0, 1))
    smooth = ndimage.gaussian_filter(vis, 1.5)
    low, middle = np.percentile(smooth[seen], [10, 40])
    sigma = (middle - low) / (1.2816 - 0.2533)
    empty = seen & (smooth < middle + 1.25 * sigma)
    vis_sky, h_sky = np.median(vis[empty]), np.median(h[empty])
    y, x = np.indices(vis.shape)
    outside = seen & (np.hypot(y - 149.5 + shift[0], x - 149.5 + shift[1]) > 60)
    labels, n = ndimage.label(smooth > middle + 3.25 * sigma)
    found = []
    for i in range(1, n + 1):
        pixels = labels == i
        row, column = ndimage.center_of_mass(smooth * pixels)
        if pixels.sum() < 8 or not outside[int(row), int(column)] or min(row, column) < 5 or max(row, column) > 294:
            continue
        aperture = np.hypot(y - row, x - column) <= 5
        total = (vis - vis_sky)[ndimage.binary_dilation(pixels, iterations=4)].sum()
        in_vis, in_h = (blurred - vis_sky)[aperture].sum(), (h - h_sky)[aperture].sum()
        if total > 0 and in_vis > 0:
            colour = 2.5 * np.log10(max(in_h, 1.0) / in_vis) + EUCLID["VIS"].zero_point_ab_mag - EUCLID["H"].zero_point_ab_mag
            found.append((EUCLID["VIS"].zero_point_ab_mag - 2.5 * np.log10(total), colour))
    return outside.sum() / 100 / 3600, found


@pytest.mark.needs_shared(*(f"real/{name}" for name in FIELDS))
def test_counts_and_colours_are_those_of_real_fields(rng):
    areas, sources = zip(*(sources_of(REAL / name) for name in FIELDS), strict=True)
    mags, colours = np.array(list(chain(*sources))).T
    for limit in (24.5, 26.0):
        real = (mags < limit).sum() / sum(areas)
        assert real / 1.7 < counts_per_arcmin2(limit) < real * 1.7
    drawn = [draw_field_galaxy(rng, 0.0, 0.0, field_mag(rng, (19.0, 24.5))) for _ in range(1500)]
    colour = np.median([total_mag(g) - total_mag(g, "H") for g in drawn])
    assert colour == pytest.approx(np.median(colours[mags < 24.5]), abs=0.4)
