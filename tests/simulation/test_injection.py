import numpy as np
import pytest

from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import MER
from simulation.injection import InjectionError, inject_arcs
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.render import simulate_object

LENSES = ("single", "compound_arc", "double_ring")


@pytest.fixture(scope="module")
def host():
    """A bright galaxy without arcs, in the middle of its stamp."""
    rng = np.random.default_rng(5)
    while True:
        made = simulate_object("twin", MER, rng)
        centred = max(abs(made.system.galaxy[0].x_arcsec), abs(made.system.galaxy[0].y_arcsec)) < 0.05
        if centred and 19 < made.scene.truth["lens_mag_vis"] < 20.5 and made.stamps["VIS"].all():
            return made.stamps


@pytest.mark.parametrize("kind", LENSES)
def test_what_is_added_is_the_arcs_and_their_noise(host, kind):
    made = inject_arcs(host, kind, np.random.default_rng(1))
    for band in EUCLID:
        added = made.stamps[band] - host[band]
        noise = added - made.arcs[band]
        assert made.stamps[band].dtype == np.float32
        assert abs(noise.sum()) < 0.2 * made.arcs[band].sum()
        far = made.arcs[band] < 1e-7 * made.arcs[band].max()
        assert np.abs(added[far]).max() <= 0.05 * made.arcs[band].max()
    assert made.truth["kind"] == kind
    assert made.truth["arc_snr"] > 14


def test_fluxes_are_those_of_magnified_sources(host):
    made = inject_arcs(host, "single", np.random.default_rng(2))
    for band in EUCLID:
        unlensed = sum(light.sed.flux_adu_per_s(band) for light in made.system.source1)
        assert made.arcs[band].sum(dtype=float) / unlensed == pytest.approx(made.truth["magnification1"], rel=0.1)


def test_shot_noise_is_that_of_the_arcs_electrons(host):
    draws = np.array([inject_arcs(host, "single", np.random.default_rng(3)).stamps["VIS"] for _ in range(2)])
    np.testing.assert_array_equal(draws[0], draws[1])
    made = inject_arcs(host, "single", np.random.default_rng(3))
    noise, arcs = (made.stamps["VIS"] - host["VIS"] - made.arcs["VIS"]), made.arcs["VIS"]
    bright = arcs > 0.2 * arcs.max()
    expected = np.sqrt(arcs[bright].mean() / EUCLID["VIS"].electrons_per_adu_per_s)
    # MER's resampling smooths a little.
    assert 0.5 * expected < noise[bright].std() < 1.1 * expected


def test_files_on_another_flux_scale_get_arcs_on_that_scale(host):
    """One ADU/s that is ten times as much light."""
    shifted = {band: EUCLID[band].zero_point_ab_mag - 2.5 for band in EUCLID}
    tenth = {band: image / np.float32(10) for band, image in host.items()}
    a = inject_arcs(host, "single", np.random.default_rng(4))
    b = inject_arcs(tenth, "single", np.random.default_rng(4), zero_points_ab_mag=shifted)
    assert b.truth["lens_mag_vis"] == pytest.approx(a.truth["lens_mag_vis"], abs=1e-3)
    for band in EUCLID:
        np.testing.assert_allclose(10 * b.arcs[band], a.arcs[band], rtol=1e-4, atol=1e-6)


def test_arcs_go_about_the_host_wherever_it_is(host):
    moved = {band: np.roll(image, (30, -20), axis=(0, 1)) for band, image in host.items()}
    a = inject_arcs(host, "double_ring", np.random.default_rng(6), host_yx=(99.5, 99.5))
    b = inject_arcs(moved, "double_ring", np.random.default_rng(6), host_yx=(129.5, 79.5))
    np.testing.assert_allclose(np.roll(a.arcs["VIS"], (30, -20), axis=(0, 1)), b.arcs["VIS"], atol=1e-6)
    deflector = b.system.masses[0]
    assert (deflector.x_arcsec, deflector.y_arcsec) == pytest.approx((0.0, 0.0))
    axis = (np.arange(200) - 99.5) * 0.1
    radius = np.hypot(axis[None, :], axis[:, None])
    mean = (a.arcs["VIS"] * radius).sum() / a.arcs["VIS"].sum()
    largest = effective_einstein_radius_arcsec(a.system.masses, a.system.z_source2)
    assert 0.3 * largest < mean < 1.7 * largest


def test_half_a_pixel_of_the_hosts_place_moves_the_arcs_by_as_much(host):
    a = inject_arcs(host, "double_ring", np.random.default_rng(7), host_yx=(99.5, 99.5))
    b = inject_arcs(host, "double_ring", np.random.default_rng(7), host_yx=(99.5, 99.8))
    x = np.arange(200)
    centre = [(m.arcs["H"].sum(0) * x).sum() / m.arcs["H"].sum() for m in (a, b)]
    assert centre[1] - centre[0] == pytest.approx(0.3, abs=0.05)


def test_what_cannot_host_arcs_is_refused(host, rng):
    empty = {band: rng.normal(0, 0.002, (200, 200)).astype(np.float32) for band in EUCLID}
    with pytest.raises(InjectionError, match=r"magnitude must be in \[16.0, 23.5\], got"):
        inject_arcs(empty, "single", rng)
    with pytest.raises(ValueError, match="only lenses have arcs"):
        inject_arcs(host, "nonlens", rng)
    with pytest.raises(ValueError, match=r"\['J'\] are missing"):
        inject_arcs({band: host[band] for band in ("VIS", "Y", "H")}, "single", rng)
    with pytest.raises(ValueError, match="one shape"):
        inject_arcs({**host, "H": host["H"][:66, :66]}, "single", rng)
