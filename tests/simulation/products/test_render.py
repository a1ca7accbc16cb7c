from dataclasses import replace

import numpy as np
import pytest

from scanner.vocabulary.bands import EUCLID, VIS
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER, MER_10
from scanner.vocabulary.kinds import KINDS
from simulation.lensing import effective_einstein_radius_arcsec, einstein_radius_arcsec, ray_shoot
from simulation.optics.observation import Conditions, Optics
from simulation.population.draw import draw_surroundings, draw_system
from simulation.products import render as render_module
from simulation.products import truth as truth_module
from simulation.products.render import SimulationError, lens, render, simulate_object, stack, visible_system
from simulation.systems import LOOKALIKES, Mass, PointSource, Sed, Sersic, System
from tests.simulation.surface_brightness import surface_brightness

LENSES = [kind for kind in KINDS if kind != "nonlens"]


def optics(angle_deg=0.0, geometry=CHALLENGE):
    return Optics(geometry, Conditions.nominal(angle_deg))


def observed(system, optics, **kwargs):
    return render(system, optics, lens(system, optics) if system.source1 else None, **kwargs)


def visible_scene(kind, optics, rng, **kwargs):
    system, lensed = visible_system(kind, optics, rng)
    return system, render(system, optics, lensed, **kwargs)


@pytest.fixture(scope="module")
def compound():
    return visible_scene("double_ring", optics(), np.random.default_rng(3), keep_components=True)


@pytest.mark.parametrize("geometry", list(GEOMETRIES.values()), ids=list(GEOMETRIES))
@pytest.mark.parametrize("kind", [*KINDS, *LOOKALIKES])
def test_objects_have_the_geometrys_pixels_and_are_finite(kind, geometry):
    made = simulate_object(kind, geometry, np.random.default_rng(1))
    assert kind in {made.scene.truth["kind"], made.scene.truth["morphology"]}
    for band, grid in geometry.grids.items():
        assert made.stamps[band].shape == (grid.n_pixels, grid.n_pixels)
        assert made.stamps[band].dtype == np.float32
        assert np.all(np.isfinite(made.stamps[band]))
        assert made.stamps[band].std() > 0


@pytest.mark.parametrize("kind", LENSES)
def test_every_lens_passes_the_visibility_rule(kind):
    rng = np.random.default_rng(2)
    for _ in range(5):
        _, scene = visible_scene(kind, optics(), rng)
        truth = scene.truth
        assert truth["n_pix_source"] > 20
        assert truth["arc_snr"] > 14
        assert truth["magnification1"] > 1.6
        assert truth["n_source_im"] >= 1
        assert truth["is_challenge_lens"]
        assert (truth["magnification2"] is None) == (kind == "single")
        assert kind == "single" or truth["magnification2"] > 1.6
        assert truth["morphology"] in ({"arc", "quad", "ring"} if kind == "single" else {kind})


def test_a_system_with_invisible_arcs_is_not_a_lens():
    system, _ = visible_system("single", optics(), np.random.default_rng(4))
    assert lens(system, optics()) is not None
    faint = tuple(replace(light, sed=light.sed.dimmed(7)) for light in system.source1)
    assert lens(replace(system, source1=faint), optics()) is None


def test_a_source_far_from_the_lens_is_not_lensed():
    system, _ = visible_system("single", optics(), np.random.default_rng(4))
    moved = replace(system, source1=tuple(replace(light, x_arcsec=light.x_arcsec + 4) for light in system.source1))
    assert lens(moved, optics()) is None


def test_a_plain_galaxy_has_no_arcs_and_no_lensing_truth(rng):
    _, scene = visible_scene("nonlens", optics(), rng, keep_components=True)
    assert not scene.components["source1"]["VIS"].any()
    assert not scene.components["source2"]["H"].any()
    assert not scene.truth["is_challenge_lens"]
    for name in ("einstein_radius1_arcsec", "magnification1", "arc_snr", "n_pix_source", "z_source1", "source1_mag_vis"):
        assert scene.truth[name] is None


def test_morphology_is_measured_about_the_deflector_in_arcsec(monkeypatch):
    seen, morphology = [], render_module.morphology

    def spied(arcs, axis_arcsec, centre_arcsec, *rest):
        seen.append((axis_arcsec, centre_arcsec))
        return morphology(arcs, axis_arcsec, centre_arcsec, *rest)

    monkeypatch.setattr(render_module, "morphology", spied)
    system, _ = visible_system("single", optics(), np.random.default_rng(3))
    axis_arcsec, centre_arcsec = seen[-1]
    n = len(axis_arcsec)
    np.testing.assert_allclose(axis_arcsec, (np.arange(n) - (n - 1) / 2) * 0.1, atol=1e-9)
    assert centre_arcsec == (system.masses[0].x_arcsec, system.masses[0].y_arcsec)


def test_both_sources_of_a_compound_lens_are_lensed():
    """The published notebook draws the middle galaxy unlensed; here its own position is dark and its light is a ring."""
    sed = Sed(23.0, 22.5, 22.3, 22.0)
    system = System(
        "double_ring", None, 0.3, 0.8, 2.5, (Mass(0.3, 0, 0, 280.0, 0.95, 0.0), Mass(0.8, 0.05, 0, 100.0, 1.0, 0.0)),
        (Sersic(0, 0, 0.8, 4.0, 0.9, 0.0, Sed(20.5, 19.8, 19.5, 19.2)),), (Sersic(0.05, 0, 0.15, 1.0, 1.0, 0.0, sed),),
        (Sersic(0, 0.08, 0.15, 1.0, 1.0, 0.0, sed),), (), 280.0, 0.0,
    )  # fmt: skip
    scene = observed(system, optics(), keep_components=True)
    axis = (np.arange(200) - 99.5) * 0.1
    radius = np.hypot(axis[None, :], axis[:, None])
    for number in (1, 2):
        source = scene.components[f"source{number}"]["VIS"]
        flux = source.sum(dtype=float)
        assert flux / sed.flux_adu_per_s("VIS") == pytest.approx(scene.truth[f"magnification{number}"], rel=0.02)
        einstein = scene.truth[f"einstein_radius{number}_arcsec"]
        # The area within half of the Einstein radius, where a galaxy near the axis would be without lensing, is dark.
        assert source[radius < einstein / 2].sum() < 0.03 * flux
        assert (source * radius).sum() / flux == pytest.approx(einstein, rel=0.1)
    assert scene.truth["einstein_radius2_arcsec"] > 1.3 * scene.truth["einstein_radius1_arcsec"]


@pytest.mark.parametrize("number", [1, 2])
def test_magnification_agrees_with_rays_shot_four_times_as_densely(compound, number):
    system, scene = compound
    z = (system.z_source1, system.z_source2)[number - 1]
    lights = (system.source1, system.source2)[number - 1]
    axis = (np.arange(960) - 479.5) * 0.0125
    beta = ray_shoot(system.masses, z, *np.meshgrid(axis, axis))
    lensed = sum(light.sed.flux_adu_per_s("VIS") * surface_brightness(light, *beta).sum() * 0.0125**2 for light in lights)
    unlensed = sum(light.sed.flux_adu_per_s("VIS") for light in lights)
    assert scene.truth[f"magnification{number}"] == pytest.approx(lensed / unlensed, rel=0.01)


def test_einstein_radii_of_the_truth_follow_equation_1(compound):
    system, scene = compound
    sigma, slope = system.velocity_dispersion_km_s, system.masses[0].slope
    alone = [einstein_radius_arcsec(sigma, system.z_lens, z, slope) for z in (system.z_source1, system.z_source2)]
    assert scene.truth["einstein_radius1_arcsec"] == pytest.approx(
        effective_einstein_radius_arcsec([m for m in system.masses if m.z == system.z_lens], system.z_source1), rel=1e-6
    )
    assert scene.truth["einstein_radius1_arcsec"] >= 0.999 * alone[0]
    # Galaxy 1 adds to the deflection of the farther source.
    assert scene.truth["einstein_radius2_arcsec"] > alone[1]


def test_arcs_of_the_papers_large_sources_are_not_cut_off():
    """Light at the border of the grid of rays would be cut off."""
    rng = np.random.default_rng(9)
    for _ in range(15):
        _, lensed = visible_system("single", optics(), rng, "wilde2022")
        for images in lensed.sources:
            if len(images["VIS"]) < 400:
                border = np.concatenate([images["VIS"][[0, -1]].ravel(), images["VIS"][:, [0, -1]].ravel()])
                assert border.max() < 1e-3 * images["VIS"].max()


def test_a_lens_far_from_the_centre_is_not_cut_off():
    """The position of a lens does not change its magnification, apart from pixel effects."""
    system, lensed = visible_system("single", optics(), np.random.default_rng(4))
    away = lens(system.moved(4.5, -4.0), optics())
    assert away.truth.magnifications[0] == pytest.approx(lensed.truth.magnifications[0], rel=0.01)
    assert len(away.sources[0]["VIS"]) == 400


def test_the_small_geometry_is_the_middle_of_the_large_one():
    """The images agree, apart from light that comes in across the edges."""
    system, lensed = visible_system("double_ring", optics(), np.random.default_rng(3))
    small, large = (render(system, optics(10.0, geometry), lensed).clean for geometry in (MER_10, MER))
    for band in EUCLID:
        middle = large[band][50:150, 50:150]
        np.testing.assert_allclose(small[band][20:80, 20:80], middle[20:80, 20:80], atol=0.01 * middle.max())


def test_flux_of_a_plain_galaxy_is_its_magnitude(rng):
    system = draw_system("euclid", "faint", rng, 0.0)
    scene = observed(system, optics())
    for name in EUCLID:
        true = sum(light.sed.flux_adu_per_s(name) for light in system.galaxy)
        assert scene.clean[name].sum(dtype=float) == pytest.approx(true, rel=0.03)


def test_components_add_up_to_the_whole(compound):
    system, scene = compound
    rng = np.random.default_rng(5)
    system = replace(system, neighbours=draw_surroundings("euclid", rng, 0.0))
    apart, whole = observed(system, optics(), keep_components=True), observed(system, optics())
    assert apart.truth == whole.truth == {**scene.truth}
    assert whole.components == {}
    for band in EUCLID:
        np.testing.assert_allclose(apart.clean[band], whole.clean[band], atol=2e-6 * whole.clean[band].max())
        parts = sum(images[band] for images in apart.components.values())
        # The components lack only the neighbours.
        assert (apart.clean[band] - parts).min() > -1e-5 * whole.clean[band].max()


@pytest.mark.parametrize("n", [0, 3])
def test_stamps_of_objects_are_stacked_band_by_band(n):
    stamps = [{band: np.full((grid.n_pixels,) * 2, i + 0.5) for band, grid in MER.grids.items()} for i in range(n)]
    stacked = stack(stamps, MER)
    assert list(stacked) == list(MER.grids)
    for band, grid in MER.grids.items():
        assert stacked[band].shape == (n, grid.n_pixels, grid.n_pixels)
        assert (stacked[band] == np.arange(n)[:, None, None] + 0.5).all()


def test_noise_is_added_to_the_sum_of_all_light():
    made = simulate_object("double_ring", CHALLENGE, np.random.default_rng(3), preset="wilde2022")
    residual = made.stamps["VIS"] - made.scene.clean["VIS"]
    dark = made.scene.clean["VIS"] < np.percentile(made.scene.clean["VIS"], 30)
    sigma = VIS.noise_electrons_per_pixel / VIS.electrons_per_adu_per_s
    assert residual[dark].std() == pytest.approx(sigma, rel=0.25)
    assert residual[~dark].std() > residual[dark].std()


def test_the_detector_turns_the_psf():
    star = System(
        "nonlens", "star", 1e-4, None, None, (), (PointSource(0.0, 0.0, Sed(18.0, 18.0, 18.0, 18.0)),), (), (), (), None, 0.0
    )
    north, turned, third = (observed(star, optics(angle, MER)).clean["VIS"] for angle in (0.0, 60.0, 120.0))
    assert np.abs(turned - north).max() > 0.005 * north.max()
    # The PSF is three-fold.
    assert np.abs(third - north).max() < 0.2 * np.abs(turned - north).max()


def test_a_scene_rotated_by_90_degrees_gives_the_rotated_image():
    """Everything turns: light, masses, shear and detector."""
    system, scene = visible_scene("compound_arc", optics(10.0, MER), np.random.default_rng(8))
    assert len(system.masses) > 1

    def turned(part):
        return replace(part, x_arcsec=-part.y_arcsec, y_arcsec=part.x_arcsec, **(
            {"angle_rad": part.angle_rad + np.pi / 2} if hasattr(part, "angle_rad") else {}
        ))  # fmt: skip

    masses = tuple(replace(turned(m), shear=(-m.shear[0], -m.shear[1])) for m in system.masses)
    parts = {name: tuple(turned(p) for p in getattr(system, name)) for name in ("galaxy", "source1", "source2")}
    other = observed(replace(system, masses=masses, **parts), optics(100.0, MER))
    for band in EUCLID:
        expected = np.rot90(scene.clean[band], -1)  # rows run up: this is anticlockwise on the sky
        np.testing.assert_allclose(other.clean[band], expected, atol=0.003 * expected.max())


def test_too_many_draws_are_an_error(monkeypatch):
    monkeypatch.setattr(truth_module, "MIN_ARC_SNR", 1e9)
    monkeypatch.setattr("simulation.products.render.MAX_TRIES", 2)
    with pytest.raises(SimulationError, match="no visible single of the preset euclid in 2 draws"):
        simulate_object("single", CHALLENGE, np.random.default_rng(1))
