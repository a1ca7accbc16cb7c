from dataclasses import replace

import numpy as np
import pytest

from simulation.population import broad_sources
from simulation.population.broad_sources import draw_broad_source, reach_arcsec, scaled
from simulation.population.colours import quasar_sed
from simulation.population.forecast_rows import draw_row
from simulation.population.galaxies import total_vis_mag
from simulation.systems import Annulus, Picture, PointSource, Sed, Sersic
from tests.simulation.textures_made import lumpy_texture

SED = Sed(24.0, 23.5, 23.3, 23.0)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(4)
    row = replace(draw_row(rng), source_vis_mag=23.5, source_half_light_radius_arcsec=0.3)
    return [draw_broad_source(rng, 0.4, -0.2, 1.5, row, 0.4) for _ in range(600)]


def test_sources_have_the_magnitude_of_their_row(sources):
    assert [total_vis_mag(light) for light in sources] == pytest.approx([23.5] * len(sources), abs=1e-6)


def test_the_first_component_is_a_profile_at_the_position(sources):
    for light in sources:
        assert isinstance(light[0], Sersic)
        assert (light[0].x_arcsec, light[0].y_arcsec) == pytest.approx((0.4, -0.2))


def test_one_source_in_twelve_holds_a_quasar(sources):
    nuclei = [
        next((p for p in light if isinstance(p, Sersic) and p.half_light_radius_arcsec == 0.012), None) for light in sources
    ]
    found = [(nucleus, light) for nucleus, light in zip(nuclei, sources, strict=True) if nucleus]
    assert len(found) / len(sources) == pytest.approx(0.08, abs=0.035)
    shares = [10 ** (-0.4 * (nucleus.sed.vis_mag - 23.5)) for nucleus, _ in found]
    assert min(shares) >= 0.3
    assert max(shares) <= 0.97
    assert all((nucleus.x_arcsec, nucleus.y_arcsec) == (0.4, -0.2) for nucleus, _ in found)


def test_two_bright_sources_in_five_are_young():
    """A young population at redshift 1.5 has a VIS - H (AB) of 0.7 without dust and of 1.2 with an E(B-V) of 0.15."""
    rng = np.random.default_rng(5)
    row = replace(draw_row(rng), source_vis_mag=21.5, source_half_light_radius_arcsec=0.5)
    lights = [draw_broad_source(rng, 0.0, 0.0, 1.5, row, 0.4) for _ in range(600)]
    one_colour = [
        light for light in lights if len(light) > 4 and np.ptp([part.sed.vis_mag - part.sed.h_mag for part in light]) < 1e-9
    ]
    many = [light for light in lights if len(light) > 4]
    assert len(one_colour) / len(many) == pytest.approx(0.4, abs=0.07)
    assert all(0.5 < light[0].sed.vis_mag - light[0].sed.h_mag < 1.4 for light in one_colour)


def test_clump_clusters_have_most_of_their_light_in_clumps(rng):
    row = replace(draw_row(rng), source_vis_mag=24.0, source_half_light_radius_arcsec=0.3)
    for _ in range(50):
        whole, *clumps = broad_sources._clump_cluster(rng, 0.0, 0.0, 2.0, row)
        in_clumps = sum(10 ** (-0.4 * part.sed.vis_mag) for part in clumps) / 10 ** (-0.4 * 24.0)
        assert 5 <= len(clumps) <= 11
        assert 0.39 < in_clumps < 0.81
        assert 10 ** (-0.4 * (whole.sed.vis_mag - 24.0)) == pytest.approx(1 - in_clumps, abs=1e-2)


def test_scaling_multiplies_lengths_and_keeps_flux():
    light = (Sersic(1.0, -2.0, 0.4, 1.0, 0.5, 0.3, SED), Annulus(0.0, 1.0, 0.8, 0.1, 0.9, 0.0, SED))
    picture = Picture(1.0, -2.0, 0.4, 0.3, SED, lumpy_texture(1))
    sersic, annulus, smaller = scaled((*light, picture), 0.5)
    assert smaller == replace(picture, x_arcsec=0.5, y_arcsec=-1.0, half_light_radius_arcsec=0.2)
    assert sersic == replace(light[0], x_arcsec=0.5, y_arcsec=-1.0, half_light_radius_arcsec=0.2)
    assert annulus == replace(light[1], y_arcsec=0.5, radius_arcsec=0.4, width_arcsec=0.05)
    with pytest.raises(TypeError, match="PointSource"):
        scaled((PointSource(0.0, 0.0, SED),), 0.5)


def test_reach_is_the_farthest_edge():
    light = (Sersic(1.0, 0.0, 0.5, 1.0, 1.0, 0.0, SED), Annulus(0.0, 3.0, 0.25, 0.1, 1.0, 0.0, SED))
    assert reach_arcsec(light, 0.0, 0.0, 2.0) == pytest.approx(3.5)
    assert reach_arcsec(light, 1.0, 3.0, 2.0) == pytest.approx(4.0)
    picture = Picture(3.0, 4.0, 0.5, 0.3, SED, lumpy_texture(1))
    assert reach_arcsec((picture,), 0.0, 0.0, 2.0) == pytest.approx(6.0)
    assert reach_arcsec((PointSource(3.0, 4.0, SED),), 0.0, 0.0, 2.0) == pytest.approx(5.0)


def test_a_quasar_is_a_power_law():
    """f_nu ~ nu^-0.44, so between the middles of VIS and H a quasar reddens by 2.5 x 0.44 x log10(1.77 / 0.725) = 0.43 mag."""
    rng = np.random.default_rng(0)
    seds = [quasar_sed(22.0, 1.5, rng) for _ in range(2000)]
    assert {sed.vis_mag for sed in seds} == {22.0}
    assert np.mean([sed.vis_mag - sed.h_mag for sed in seds]) == pytest.approx(0.426, abs=0.03)
    # At redshift 5.5 hydrogen absorbs most of VIS.
    assert np.mean([s.vis_mag - s.h_mag for s in (quasar_sed(22.0, 5.5, rng) for _ in range(300))]) > 1.2
