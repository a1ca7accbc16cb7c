"""Tests of colours against published ones and a brute-force integral."""

import numpy as np
import pytest

from simulation.population import colours
from simulation.population.colours import (
    PASSBANDS_MICRON,
    attenuation_mag,
    early_type_sed,
    galaxy_colours,
    k_correction_mag,
    mean_flux,
    star_forming_sed,
    star_sed,
    template,
    transmission,
)
from tests.simulation.colours import vis_minus_h

JOHNSON_MICRON = {
    "U": (0.335, 0.395),
    "B": (0.39, 0.49),
    "V": (0.505, 0.595),
    "R": (0.57, 0.73),
    "I": (0.73, 0.87),
    "J": (1.11, 1.39),
    "H": (1.49, 1.78),
    "K": (2.0, 2.31),
}
AB_LESS_VEGA_MAG = {"U": 0.79, "B": -0.09, "V": 0.02, "R": 0.21, "I": 0.45, "J": 0.91, "H": 1.39, "K": 1.85}


def rest_colour(blue, red, young_share, vega=True):
    """Return the colour of the template between two Johnson-Cousins bands."""
    mags = []
    for band in (blue, red):
        wavelengths = np.linspace(*JOHNSON_MICRON[band], 2001)
        ab = -2.5 * np.log10(mean_flux(wavelengths, template(wavelengths, young_share, 0.0)))
        mags.append(ab - AB_LESS_VEGA_MAG[band] * vega)
    return mags[0] - mags[1]


@pytest.mark.parametrize(
    ("bands", "colour"), [("UB", 0.5), ("BV", 0.96), ("VR", 0.6), ("VI", 1.2), ("VJ", 2.25), ("VH", 2.95), ("VK", 3.2)]
)
def test_the_old_template_has_the_colours_of_nearby_ellipticals(bands, colour):
    assert rest_colour(*bands, young_share=0.0) == pytest.approx(colour, abs=0.05)


def test_the_old_template_has_their_break_at_4000_angstrom():
    below, above = np.linspace(0.375, 0.395, 400), np.linspace(0.405, 0.425, 400)
    d4000 = template(above, 0.0, 0.0).mean() / template(below, 0.0, 0.0).mean()
    assert d4000 == pytest.approx(2.0, abs=0.2)
    assert template(above, 1.0, 0.0).mean() / template(below, 1.0, 0.0).mean() < 1.3


def test_the_young_template_is_blue():
    ends = np.array([0.13, 0.26])
    f_lambda = template(ends, 1.0, 0.0) / ends**2
    assert np.diff(np.log(f_lambda))[0] / np.diff(np.log(ends))[0] == pytest.approx(-2.0, abs=0.25)
    assert rest_colour("V", "H", 1.0, vega=False) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("z", "low", "high"), [(0.5, 1.5, 1.9), (1.0, 2.5, 3.0)])
def test_ellipticals_have_the_expected_colours_at_a_distance(z, low, high, rng):
    assert low < np.median([vis_minus_h(early_type_sed(21.0, z, rng)) for _ in range(200)]) < high


def test_ellipticals_redden_until_the_break_leaves_vis():
    reddening = np.diff([galaxy_colours(z, 0.03)[2] for z in np.arange(0.0, 1.31, 0.05)])
    assert (reddening > 0).all()
    assert np.diff([galaxy_colours(z, 0.0)[0] for z in (1.4, 3.0)])[0] < 0, "the break moves into Y"


def test_a_flat_spectrum_has_no_colour(monkeypatch):
    monkeypatch.setattr(colours, "_OLD", dict.fromkeys((0.0912, 2.5), 0.0))
    colours._tables.cache_clear()
    try:
        assert galaxy_colours(0.7, 0.0) == pytest.approx([0, 0, 0], abs=1e-9)
        # A flat f_nu has a K-correction of the bandwidth alone.
        assert k_correction_mag(0.7, "J") == pytest.approx(-2.5 * np.log10(1.7), abs=1e-6)
    finally:
        colours._tables.cache_clear()


@pytest.mark.parametrize(
    ("z", "young", "e_bv"), [(0.113, 0.0, 0.0), (0.757, 0.31, 0.23), (1.903, 0.8, 0.61), (4.37, 1.0, 0.07)]
)
def test_colours_equal_the_brute_force_count_of_photons(z, young, e_bv):
    mags = []
    for low, high in PASSBANDS_MICRON.values():
        wavelengths = np.linspace(low, high, 40001)
        f_nu = template(wavelengths / (1 + z), young, e_bv) * transmission(wavelengths, z)
        photons = np.trapezoid(f_nu / wavelengths**2 * wavelengths, wavelengths)
        of_ab_zero = np.trapezoid(1 / wavelengths**2 * wavelengths, wavelengths)
        mags.append(-2.5 * np.log10(photons / of_ab_zero))
    assert galaxy_colours(z, young, e_bv) == pytest.approx([mags[0] - m for m in mags[1:]], abs=0.02)


def test_attenuation_is_that_of_calzetti():
    # Calzetti et al. (2000), table of k: 4.05 at V by definition of R_V, 5.1 at B, 10.3 at 0.15 micron, 0.8 in H.
    k = attenuation_mag(np.array([0.55, 0.44, 0.15, 1.65]), 1.0)
    assert k == pytest.approx([4.05, 5.1, 10.3, 0.8], abs=0.15)
    assert attenuation_mag(np.array([0.55]), 0.3) == pytest.approx(0.3 * k[:1])


def test_the_intergalactic_medium_absorbs_only_below_lyman_alpha():
    assert transmission(np.array([0.7, 0.8]), 5.0) == pytest.approx([np.exp(-0.0036 * (7000 / 1215.67) ** 3.46), 1.0])
    assert galaxy_colours(5.0, 1.0)[0] > galaxy_colours(3.0, 1.0)[0] + 0.3


def test_star_forming_galaxies_come_in_a_range_of_colours(rng):
    colour = np.array([vis_minus_h(star_forming_sed(22.0, 1.0, rng)) for _ in range(2000)])
    assert (colour < 0.8).mean() > 0.05
    assert (colour > 2.0).mean() > 0.05
    clear, dusty = (np.median([vis_minus_h(star_forming_sed(23.0, 1.0, rng, dust)) for _ in range(200)]) for dust in (0.0, 0.6))
    assert dusty > clear + 1.0


def test_stars_lie_on_the_locus(rng):
    seds = [star_sed(20.0, rng) for _ in range(2000)]
    colour = np.array([vis_minus_h(sed) for sed in seds])
    assert -0.75 < colour.min() < -0.2
    assert 1.4 < colour.max() < 2.0
    # Dwarfs bluer than K have J - H near 0 (AB).
    assert abs(np.median([s.j_mag - s.h_mag for s in seds])) < 0.15
    faint = np.median([vis_minus_h(star_sed(24.0, rng)) for _ in range(500)])
    assert faint > np.median([vis_minus_h(star_sed(17.0, rng)) for _ in range(500)]) + 0.1


@pytest.mark.parametrize("draw", [early_type_sed, star_forming_sed])
def test_the_vis_magnitude_is_exact_and_colours_scatter(draw, rng):
    seds = [draw(21.5, 0.1, rng) for _ in range(500)]
    assert {sed.vis_mag for sed in seds} == {21.5}
    assert all(type(sed.mag(band)) is float for sed in seds for band in PASSBANDS_MICRON)
    # Y - J hardly depends on the mixture at this redshift, so that most of it is the scatter of two bands.
    assert 0.06 < np.std([sed.y_mag - sed.j_mag for sed in seds]) < 0.15


def test_colours_beyond_the_table_are_those_at_its_end():
    assert galaxy_colours(9.0, 0.5, 3.0) == galaxy_colours(colours.MAX_Z, 0.5, colours.MAX_E_BV)
