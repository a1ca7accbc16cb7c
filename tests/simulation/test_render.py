from dataclasses import replace

import numpy as np
import pytest

from scanner.pixels.bands import EUCLID, VIS
from scanner.pixels.geometry import CHALLENGE, GEOMETRIES
from scanner.pixels.shards import KINDS
from simulation import render as render_module
from simulation.lensing import einstein_radius_arcsec, ray_shoot
from simulation.observation import Optics
from simulation.population import draw_system
from simulation.render import SimulationError, render, simulate_object, visible_scene

LENSES = [kind for kind in KINDS if kind != "nonlens"]


@pytest.fixture(scope="module")
def compound():
    return visible_scene("double_ring", "challenge", np.random.default_rng(3))


def faint(system, vis_mag):
    """The system with its first source at another magnitude."""
    source = tuple(replace(light, sed=replace(light.sed, vis_mag=vis_mag)) for light in system.source1)
    return replace(system, source1=source)


@pytest.mark.parametrize("geometry", list(GEOMETRIES))
@pytest.mark.parametrize("kind", KINDS)
def test_objects_have_the_geometrys_pixels_and_are_finite(kind, geometry):
    made = simulate_object(kind, geometry, np.random.default_rng(1))
    for band, grid in GEOMETRIES[geometry].grids.items():
        assert made.stamps[band].shape == (grid.n_pixels, grid.n_pixels)
        assert made.stamps[band].dtype == np.float32
        assert np.all(np.isfinite(made.stamps[band]))
        assert made.stamps[band].std() > 0


@pytest.mark.parametrize("kind", LENSES)
def test_every_lens_passes_the_visibility_rule(kind):
    rng = np.random.default_rng(2)
    for _ in range(5):
        _, scene = visible_scene(kind, "challenge", rng)
        truth = scene.truth
        assert truth["n_pix_source"] > 20
        assert truth["arc_snr"] > 15
        assert truth["magnification1"] > 1.6
        assert (truth["magnification2"] is None) == (kind == "single")
        assert kind == "single" or truth["magnification2"] > 1.6


def test_invisible_arcs_make_no_lens():
    system, _ = visible_scene("single", "challenge", np.random.default_rng(4))
    optics = Optics(CHALLENGE, 0.0)
    assert render(system, optics) is not None
    assert render(faint(system, 30.0), optics) is None


def test_a_source_far_from_the_lens_makes_no_lens():
    system, _ = visible_scene("single", "challenge", np.random.default_rng(4))
    moved = replace(system, source1=tuple(replace(light, x_arcsec=light.x_arcsec + 4) for light in system.source1))
    assert render(moved, Optics(CHALLENGE, 0.0)) is None


def test_a_plain_galaxy_has_no_arcs_and_no_lensing_truth():
    _, scene = visible_scene("nonlens", "challenge", np.random.default_rng(1))
    assert not scene.source1
    assert not scene.source2
    for name in ("einstein_radius1_arcsec", "magnification1", "arc_snr", "n_pix_source", "z_source1", "source1_mag_vis"):
        assert scene.truth[name] is None


def test_both_sources_of_a_compound_lens_are_lensed(compound):
    """The published notebook draws the middle galaxy unlensed; here its own place is dark and its light a ring."""
    system, scene = compound
    axis = (np.arange(200) - 99.5) * 0.1
    lens = system.masses[0]
    radius = np.hypot(axis[None, :] - lens.x_arcsec, axis[:, None] - lens.y_arcsec)
    for number, source in ((1, scene.source1), (2, scene.source2)):
        unlensed = sum(light.sed.flux_adu_per_s("VIS") for light in (system.source1, system.source2)[number - 1])
        flux = source["VIS"].sum(dtype=float)
        assert flux > 1.6 * unlensed
        assert flux / unlensed == pytest.approx(scene.truth[f"magnification{number}"], rel=0.02)
        # Light within a third of the Einstein radius, where a galaxy near the axis would stand unlensed.
        einstein = scene.truth[f"einstein_radius{number}_arcsec"]
        assert source["VIS"][radius < einstein / 3].sum() < 0.1 * flux
        mean_radius = (source["VIS"] * radius).sum() / flux
        assert mean_radius == pytest.approx(einstein, rel=0.25)


@pytest.mark.parametrize("number", [1, 2])
def test_magnification_agrees_with_rays_shot_four_times_as_densely(compound, number):
    system, scene = compound
    z = (system.z_source1, system.z_source2)[number - 1]
    lights = (system.source1, system.source2)[number - 1]
    axis = (np.arange(960) - 479.5) * 0.0125
    beta = ray_shoot(system.masses, z, *np.meshgrid(axis, axis))
    lensed = sum(light.sed.flux_adu_per_s("VIS") * light.unit_brightness(*beta).sum() * 0.0125**2 for light in lights)
    unlensed = sum(light.sed.flux_adu_per_s("VIS") for light in lights)
    assert scene.truth[f"magnification{number}"] == pytest.approx(lensed / unlensed, rel=0.01)


def test_einstein_radii_of_the_truth_follow_equation_1(compound):
    system, scene = compound
    sigma = system.velocity_dispersion_km_s
    radius1 = einstein_radius_arcsec(sigma, system.z_lens, system.z_source1)
    assert scene.truth["einstein_radius1_arcsec"] == pytest.approx(radius1, rel=0.005)
    # Galaxy 1 adds to what the deflector does to the farther source.
    assert scene.truth["einstein_radius2_arcsec"] > einstein_radius_arcsec(sigma, system.z_lens, system.z_source2)


def test_flux_of_a_plain_galaxy_is_its_magnitude():
    system = draw_system("nonlens", np.random.default_rng(6))
    scene = render(system, Optics(CHALLENGE, 0.0), with_neighbours=False)
    for name, band in EUCLID.items():
        true = sum(light.sed.flux_adu_per_s(name) for light in system.galaxy)
        assert scene.galaxies[name].sum(dtype=float) == pytest.approx(true, rel=0.06)
        assert band.zero_point_ab_mag - 2.5 * np.log10(true) < 23


def test_noise_is_added_to_the_sum_of_all_light(compound):
    system, scene = compound
    parts = scene.galaxies["VIS"] + scene.source1["VIS"] + scene.source2["VIS"]
    np.testing.assert_array_equal(scene.clean["VIS"], parts)
    made = simulate_object("double_ring", "challenge", np.random.default_rng(3))
    assert made.system == system
    residual = made.stamps["VIS"] - parts
    dark = parts < np.percentile(parts, 30)
    sigma = VIS.noise_electrons_per_pixel / VIS.electrons_per_adu_per_s
    assert residual[dark].std() == pytest.approx(sigma, rel=0.05)
    assert residual[parts > np.percentile(parts, 99.8)].std() > 1.5 * sigma


def test_the_detector_turns_the_psf_of_a_tile(compound):
    system, scene = compound
    turned = render(system, Optics(CHALLENGE, scene.truth["detector_angle_deg"] + 60), with_neighbours=False)
    assert turned.truth["detector_angle_deg"] == scene.truth["detector_angle_deg"] + 60
    assert np.abs(turned.source1["VIS"] - scene.source1["VIS"]).max() > 0.005 * scene.source1["VIS"].max()


def test_giving_up_is_an_error_not_a_noise_image(monkeypatch):
    monkeypatch.setattr(render_module, "MIN_ARC_SNR", 1e9)
    monkeypatch.setattr(render_module, "MAX_TRIES", 2)
    with pytest.raises(SimulationError, match="no visible single in 2 draws"):
        simulate_object("single", "challenge", np.random.default_rng(1))
