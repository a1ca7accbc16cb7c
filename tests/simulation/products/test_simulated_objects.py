"""Tests of the parts that `simulate_object` combines: hosts of twins, neighbours, conditions, flaws."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import CHALLENGE, MER, MER_10
from simulation.optics import artefacts
from simulation.optics.observation import Conditions, Optics
from simulation.population.textured import LEAST_CHOICE
from simulation.products import render
from simulation.products.dataset import DatasetSpec, simulate_at
from simulation.products.render import lens, simulate_object, visible_system
from simulation.systems import Picture, PointSource, Sed
from tests.simulation import hand_numbers
from tests.simulation.textures_made import lumpy_texture

SKY_ADU_PER_S = hand_numbers.SKY_ADU_PER_S["challenge"]
TWINS = {True: ("twin", 0.7), False: ("twin", 1.0)}
BRIGHT = PointSource(4.0, -3.0, Sed(19.0, 19.5, 20.0, 20.5))


@pytest.fixture
def flawless(monkeypatch):
    """Let flaws occur only if they are certain."""
    monkeypatch.setattr(artefacts, "RATES", tuple((flaw, instrument, 0.0) for flaw, instrument, _ in artefacts.RATES))


def made(draw_of, geometry=MER_10, seed=1, **kwargs):
    return simulate_object(draw_of, geometry, np.random.default_rng(seed), **kwargs)


def noise_of(simulated, band):
    return simulated.stamps[band] - simulated.scene.clean[band]


# Hosts of twins


@pytest.fixture
def asked_for(monkeypatch):
    """Record the kinds of the drawn systems; the real function draws them."""
    kinds = []

    def remembered(preset, draw_of, *args, **options):
        kinds.append(draw_of)
        return draw_system(preset, draw_of, *args, **options)

    draw_system = render.draw_system
    monkeypatch.setattr(render, "draw_system", remembered)
    return kinds


@pytest.mark.parametrize("lenses", [("double_ring",), ("compound_arc", "double_ring"), ()])
def test_twins_in_a_data_set_have_hosts_of_its_lenses(lenses, asked_for):
    """A data set without lenses has twins of every kind."""
    spec = DatasetSpec(
        n=10, seed=11, geometry="mer10", kinds=(*((kind, 0.3 / len(lenses)) for kind in lenses), TWINS[bool(lenses)])
    )
    assert "twin" in {simulate_at(spec, i).system.lookalike for i in range(10)}
    assert set(asked_for) == set(lenses or asked_for)
    assert lenses or len(set(asked_for)) > 1


@pytest.mark.parametrize("kind", ["single", "double_ring"])
def test_a_twin_is_a_visible_lens_without_its_sources(kind, monkeypatch):
    """So redshifts, magnitudes and colours of twins are those of the visible lenses in the same data set."""
    whole = []

    def remembered(system):
        whole.append(system)
        return without_sources(system)

    without_sources = render.without_sources
    monkeypatch.setattr(render, "without_sources", remembered)
    optics, rng = Optics(CHALLENGE, Conditions.nominal(0.0)), np.random.default_rng(6)
    for _ in range(5):
        twin, lensed = visible_system("twin", optics, rng, arcless_lens_shares=((kind, 1.0),))
        assert lensed is None
        assert whole[-1].kind == kind
        assert lens(whole[-1], optics) is not None
        assert twin == replace(
            whole[-1], kind="nonlens", lookalike="twin", masses=(), source1=(), source2=(), z_source1=None, z_source2=None
        )


# Neighbours


@pytest.mark.parametrize("draw_of", ["spiral", "single"])
@pytest.mark.parametrize(("geometry", "keep"), [(CHALLENGE, False), (MER, False), (MER, True)])
def test_neighbours_shine_in_the_stamps_where_they_lie(draw_of, geometry, keep, monkeypatch, flawless):
    """The difference between the same object with and without a star near it is the star."""
    beside = []
    for neighbours in ((BRIGHT,), ()):
        monkeypatch.setattr(render, "draw_surroundings", lambda *_, found=neighbours: found)
        beside.append(made(draw_of, geometry, keep_components=keep))
    star, alone = beside
    assert (star.system.neighbours, alone.system.neighbours) == ((BRIGHT,), ())
    assert star.scene.truth == alone.scene.truth
    for band, grid in geometry.grids.items():
        light = star.scene.clean[band].astype(float) - alone.scene.clean[band]
        flux = BRIGHT.sed.flux_adu_per_s(band)
        assert light.sum() == pytest.approx(flux, rel=2e-3)
        axis = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
        assert (light.sum(axis=0) * axis).sum() / flux == pytest.approx(4.0, abs=0.02)
        assert (light.sum(axis=1) * axis).sum() / flux == pytest.approx(-3.0, abs=0.02)
        # The noise differs only where there is light, by a small part of that light.
        recorded = star.stamps[band].astype(float) - alone.stamps[band]
        assert recorded.sum() == pytest.approx(flux, rel=0.03)
        brightest = [np.array(np.unravel_index(np.argmax(image), image.shape)) for image in (recorded, light)]
        assert np.abs(brightest[0] - brightest[1]).max() <= 1
    for name, images in star.scene.components.items():
        np.testing.assert_array_equal(images["VIS"], alone.scene.components[name]["VIS"])


def test_objects_have_the_neighbours_of_their_preset():
    """The components lack only the neighbours; the paper's images have no neighbours."""
    for seed in range(6):
        simulated = made("spiral", MER, seed, keep_components=True)
        lights = [light for light in simulated.system.neighbours if max(abs(light.x_arcsec), abs(light.y_arcsec)) < 8]
        assert lights
        for band in EUCLID:
            rest = simulated.scene.clean[band] - sum(images[band] for images in simulated.scene.components.values())
            assert rest.sum() > 0.8 * sum(light.sed.flux_adu_per_s(band) for light in lights)
    assert made("twin", CHALLENGE, preset="wilde2022").system.neighbours == ()


def test_only_pictures_change_an_object():
    textures = tuple(lumpy_texture(seed) for seed in range(LEAST_CHOICE))
    seen = set()
    for seed in range(8, 14):
        plain, textured = (made("spiral", seed=seed, textures=given) for given in ((), textures))
        pictures = [part for part in textured.system.galaxy + textured.system.neighbours if isinstance(part, Picture)]
        if not pictures or any(max(abs(picture.x_arcsec), abs(picture.y_arcsec)) < 4 for picture in pictures):
            seen.add(bool(pictures))
            assert np.array_equal(plain.stamps["VIS"], textured.stamps["VIS"]) == (not pictures)
    assert seen == {True, False}


# Conditions


@pytest.mark.parametrize("geometry", [CHALLENGE, MER])
def test_an_object_is_observed_under_its_drawn_conditions(geometry, monkeypatch, flawless):
    """The test sets depth, background and seeing far from nominal."""
    depth, offset = {"VIS": 3.0, "Y": 2.5, "J": 2.0, "H": 1.5}, {"VIS": 1.0, "Y": 2.0, "J": 3.0, "H": 4.0}
    monkeypatch.setattr(render, "draw_surroundings", lambda *_: ())
    monkeypatch.setattr(render, "draw_conditions", lambda _, angle: Conditions.nominal(angle))
    nominal = made("star", geometry)
    monkeypatch.setattr(render, "draw_conditions", lambda _, angle: Conditions(angle, 1.2, depth, offset))
    poor = made("star", geometry)
    assert poor.system == nominal.system
    for band in EUCLID:
        # On MER pixels noise is correlated; see the tests of noise for its size.
        noise = noise_of(poor, band)
        dark = poor.scene.clean[band] < 0.02 * SKY_ADU_PER_S[band]
        sigma = SKY_ADU_PER_S[band] if geometry is CHALLENGE else noise[dark].std() / depth[band]
        assert noise[dark].std() == pytest.approx(depth[band] * sigma, rel=0.05)
        assert noise[dark].mean() == pytest.approx(offset[band] * depth[band] * sigma, rel=0.15)
        shares = [made_.scene.clean[band].max() / made_.scene.clean[band].sum() for made_ in (poor, nominal)]
        assert shares[0] < 0.9 * shares[1]


def test_conditions_scatter_between_objects_and_not_in_the_papers(flawless):
    """The ratio of the noise to that of the band table scatters by 0.1 in ln for `euclid`, and is 1 for every paper object."""
    for preset, draw_of, n, low, high in (("euclid", "faint", 16, 0.05, 0.3), ("wilde2022", "twin", 3, 0.0, 0.02)):
        ratios, levels = [], []
        for seed in range(n):
            simulated = made(draw_of, CHALLENGE, seed, preset=preset)
            expected = np.sqrt(
                SKY_ADU_PER_S["VIS"] ** 2
                + np.maximum(simulated.scene.clean["VIS"], 0) / hand_numbers.ELECTRONS_PER_ADU_PER_S["VIS"]
            )
            noise = noise_of(simulated, "VIS") / expected
            ratios.append(np.log(noise.std()))
            levels.append(np.median(noise))
        assert low < np.std(ratios) < high
        assert abs(np.mean(ratios)) < 0.1
        assert (np.std(levels) > 0.08) == (preset == "euclid")


# Flaws


def n_masked(simulated):
    return sum(int(np.sum(image == 0)) for image in simulated.stamps.values())


def test_objects_of_the_survey_have_flaws_and_the_papers_none(monkeypatch):
    """Gaps are exact zeros, which noise does not produce."""
    monkeypatch.setattr(artefacts, "RATES", ((artefacts.gap, "VIS", 30.0),))
    for draw_of in ("spiral", "single"):
        assert n_masked(made(draw_of)) > 100
    assert n_masked(made("twin", CHALLENGE, preset="wilde2022")) == 0


def test_some_objects_have_flaws_and_most_have_none():
    """Without gaps a stamp has no masked pixel; it has 0.06 gaps in VIS and 0.03 in NISP on average."""
    flawed = [n_masked(made("star", MER_10, seed)) > 3 for seed in range(60)]
    assert 0 < sum(flawed) < 15


def test_an_artefact_has_a_conspicuous_flaw_and_others_have_none(flawless):
    def is_flawed(simulated):
        noise = {band: noise_of(simulated, band) for band in EUCLID}
        return n_masked(simulated) > 0 or any(np.abs(n).max() > 8 * np.median(np.abs(n)) / 0.6745 for n in noise.values())

    assert sum(is_flawed(made("artefact", MER_10, seed)) for seed in range(12)) >= 10
    assert sum(is_flawed(made("faint", MER_10, seed)) for seed in range(12)) == 0
