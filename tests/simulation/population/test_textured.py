from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from simulation.population.broad_sources import QUASAR_RADIUS_ARCSEC
from simulation.population.textured import LARGEST_BLUR_ARCSEC, LEAST_CHOICE, TEXTURED_SHARE, Texturing
from simulation.systems import Annulus, Mass, Picture, PointSource, Sed, Sersic, System
from tests.simulation.textures_made import lumpy_texture

SED = Sed(22.0, 21.5, 21.2, 21.0)
TEXTURES = tuple(lumpy_texture(seed) for seed in range(LEAST_CHOICE))


def galaxy(x=0.3, y=-0.2, radius=0.4, index=1.0, q=0.7, sed=SED):
    return Sersic(x, y, radius, index, q, 0.4, sed)


BULGE, DISC = galaxy(radius=0.1, index=3.0, sed=SED.share(0.2)), galaxy(sed=SED.share(0.8))


def system(**changes):
    values = {
        "kind": "single", "lookalike": None, "z_lens": 0.5, "z_source1": 1.5, "z_source2": None,
        "masses": (Mass(0.5, 0.0, 0.0, 220.0, 0.8, 0.0),), "galaxy": (galaxy(index=4.0),), "source1": (galaxy(),),
        "source2": (), "neighbours": (), "velocity_dispersion_km_s": 220.0, "detector_angle_deg": 10.0,
    }  # fmt: skip
    return System(**{**values, **changes})


def spiral(*lights):
    return system(kind="nonlens", lookalike="spiral", z_source1=None, masses=(), source1=(), galaxy=lights)


def texturing(seed=0, textures=TEXTURES):
    return Texturing(textures, default_rng(seed))


def pictured(lights, n=60):
    """Return the results with a picture among `n` draws of the same galaxies."""
    drawn = [texturing(seed).galaxies(lights) for seed in range(n)]
    return [parts for parts in drawn if any(isinstance(part, Picture) for part in parts)]


def test_the_stated_share_of_galaxies_becomes_pictures():
    seeds = range(2000)
    for of in (
        lambda t: t.galaxies((galaxy(),)),
        lambda t: t.system(system()).source1,
        lambda t: t.system(spiral(DISC)).galaxy,
    ):
        share = np.mean([isinstance(of(texturing(seed))[0], Picture) for seed in seeds])
        assert share == pytest.approx(TEXTURED_SHARE, abs=0.035)


def test_a_picture_has_place_size_and_magnitudes_of_its_galaxy():
    for (picture,) in pictured((BULGE, DISC)):
        assert (picture.x_arcsec, picture.y_arcsec, picture.half_light_radius_arcsec) == (0.3, -0.2, 0.4)
        for band in ("VIS", "Y", "J", "H"):
            assert picture.sed.mag(band) == pytest.approx(SED.mag(band))


def test_pictures_use_all_textures_and_orientations():
    pictures = [picture for (picture,) in pictured((DISC,), 600)]
    assert {id(picture.texture) for picture in pictures} == {id(texture) for texture in TEXTURES}
    assert {picture.is_mirrored for picture in pictures} == {True, False}
    quadrants = np.histogram([picture.angle_rad for picture in pictures], 4, (0, 2 * np.pi))[0]
    assert quadrants.min() > 0.15 * len(pictures)


@pytest.mark.parametrize(
    "lights",
    [
        pytest.param((galaxy(index=2.5),), id="early type"),
        pytest.param((galaxy(q=0.2),), id="edge on"),
        pytest.param((galaxy(sed=SED.dimmed(3.1)),), id="faint"),
        pytest.param((galaxy(radius=0.07),), id="small"),
        pytest.param((BULGE, replace(DISC, sed=SED.share(0.1))), id="bulge"),
        pytest.param((PointSource(0.3, -0.2, SED),), id="star"),
        pytest.param((DISC, Annulus(0.3, -0.2, 0.8, 0.1, 0.8, 0.0, SED)), id="ring"),
        pytest.param((galaxy(radius=1.01 * LARGEST_BLUR_ARCSEC / 0.1),), id="too large"),
    ],
)
def test_galaxies_that_show_no_texture_stay(lights):
    assert pictured(lights) == []
    assert texturing().galaxies(lights) == lights


def test_a_galaxy_stays_if_few_textures_are_sharp_enough():
    few = texturing(textures=TEXTURES[1:])
    assert all(few.galaxies((DISC,)) == (DISC,) for _ in range(60))
    blurred = tuple(lumpy_texture(seed, blur=0.7) for seed in range(30))
    for seed in range(60):
        (part,) = texturing(seed, (*blurred, *TEXTURES)).galaxies((DISC,))
        assert part == DISC or part.texture in TEXTURES


def test_other_components_keep_their_order_and_identity():
    star, ring = PointSource(0.3, -0.2, SED), Annulus(2.0, 2.0, 0.8, 0.1, 0.8, 0.0, SED)
    other, early = (galaxy(x=3.0), galaxy(x=3.0, radius=0.1, index=3.0, sed=SED.dimmed(3))), galaxy(x=-2.0, index=4.0)
    lights = (ring, other[0], early, star, other[1])
    for parts in pictured(lights):
        assert parts[0] is ring
        assert isinstance(parts[1], Picture)
        assert parts[2:] == (early, star)
    left = [parts for parts in (texturing(seed).galaxies(lights) for seed in range(60)) if len(parts) == 5]
    assert left
    assert all(parts == lights for parts in left)


def test_spirals_and_sources_become_pictures_as_a_whole():
    knot = galaxy(x=0.9, radius=0.05, sed=SED.dimmed(2))
    results = {len(texturing(seed).system(spiral(BULGE, DISC, knot)).galaxy) for seed in range(60)}
    assert results == {1, 3}
    merger = replace(spiral(BULGE, DISC, knot), lookalike="merger")
    assert {len(texturing(seed).system(merger).galaxy) for seed in range(60)} == {2, 3}
    lens = system(source1=(galaxy(index=4.0), knot), source2=(DISC, knot), z_source2=2.0, kind="double_ring")
    drawn = [texturing(seed).system(lens) for seed in range(60)]
    assert {(len(s.source1), len(s.source2)) for s in drawn} == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {(s.masses, s.galaxy) for s in drawn} == {(lens.masses, lens.galaxy)}


def test_a_quasar_stays_a_quasar():
    quasar = system(source1=(galaxy(), galaxy(radius=QUASAR_RADIUS_ARCSEC, index=0.5)))
    assert all(texturing(seed).system(quasar) == quasar for seed in range(60))


def test_the_size_is_that_of_half_the_light():
    """Two equal galaxies 2 arcsec apart: half of the light is near the first, so the picture reaches as far as the other."""
    near, far = galaxy(sed=SED.share(0.49)), galaxy(x=2.3, sed=SED.share(0.51))
    drawn = [texturing(seed).system(system(source1=(near, far))).source1 for seed in range(60)]
    (size,) = {parts[0].half_light_radius_arcsec for parts in drawn if len(parts) == 1}
    assert size == pytest.approx(np.hypot(2.0, 0.4))
